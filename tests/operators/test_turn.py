from __future__ import annotations

import pytest
import torch

from operators import Turn
from restore.io.orientation import apply_orientation, undo_orientation


@pytest.mark.parametrize("code", range(1, 9))
def test_turns_as_the_pictures_are_read(code):
    stored = torch.arange(3 * 4 * 5.0).reshape(3, 4, 5)
    seen = torch.from_numpy(apply_orientation(stored.numpy(), code))
    A = Turn(tuple(seen.shape), code)
    assert torch.equal(A(seen), stored)
    assert torch.equal(A.adjoint(stored), seen)
    assert torch.equal(A(seen), torch.from_numpy(undo_orientation(seen.numpy(), code)))


def test_refuses_other_codes():
    with pytest.raises(ValueError, match="the orientation is 9; it must be 1 to 8"):
        Turn((3, 4, 5), 9)
