"""What a computation takes memory for."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class OwnMemory(TorchDispatchMode):
    """How large results are that do not lie in the memory of what they are made of.

    Attributes:
        numbers: of each of them, in order.
        bytes: of its memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers, self.bytes = list[int](), list[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, Tensor)}
        if isinstance(result, Tensor) and result.untyped_storage().data_ptr() not in given:
            self.numbers.append(result.numel())
            self.bytes.append(result.untyped_storage().nbytes())
        return result
