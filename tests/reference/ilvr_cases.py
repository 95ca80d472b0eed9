"""What the ILVR agreement test and the script of its vectors share.

Nothing here is from the other repository. Pictures are [1, 3, 8, 8]; the network's units are
[-1, 1], those of `restore` [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 20
FACTOR = 2
SIDE = 32  # of the pictures whose resize matrices are compared


@dataclass(frozen=True)
class Case:
    """One run: the last `range_t + 1` steps are not conditioned."""

    range_t: int

    @property
    def key(self) -> str:
        return f"range-{self.range_t}"


CASES = [Case(0), Case(5)]
