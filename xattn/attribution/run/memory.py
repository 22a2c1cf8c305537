"""Batches that do not fit into memory are done in halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from xattn.errors import RunError, one_line

Item = TypeVar("Item")
Part = TypeVar("Part")

_SAYS = ("out of memory", "not enough memory", "can't allocate memory", "bad allocation")
"""What PyTorch and its libraries say in a RuntimeError where no memory was left."""


def is_out_of_memory(err: BaseException) -> bool:
    """Say whether an exception means that no memory was left, on a GPU or beside one."""
    if isinstance(err, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(err, RuntimeError) and any(one in str(err).lower() for one in _SAYS)


@dataclass
class Fitting:
    """Runs batches, and in smaller parts from when one did not fit.

    Attributes:
        most: items that fit at once; None while every batch did.
        failed: how many did not.
    """

    most: int | None = None
    failed: int = 0

    def run(self, items: Sequence[Item], work: Callable[[Sequence[Item]], Part]) -> list[Part]:
        """Return what `work` makes of the items, in parts in their order.

        Args:
            items: of a batch.
            work: of some of them.

        Raises:
            RunError: one alone does not fit.
        """
        parts: list[Part] = []
        begin = 0
        while begin < len(items):
            some = items[begin : begin + (self.most or len(items))]
            try:
                parts.append(work(some))
            except (MemoryError, RuntimeError) as err:
                if not is_out_of_memory(err):
                    raise
                if len(some) == 1:
                    raise RunError(
                        f"Expected memory for one image, but got: {one_line(err)[:200]}; use "
                        "--device cpu, fewer methods at a time, or a machine with more"
                    ) from err
                self.most, self.failed = len(some) // 2, len(some)
            else:
                begin += len(some)
                continue
            if torch.cuda.is_available():  # outside the handler: the error holds what was made
                torch.cuda.empty_cache()
        return parts

    @property
    def note(self) -> str:
        """What happened, in a line; "" if all fitted."""
        if self.most is None:
            return ""
        return (
            f"{self.failed} images at once did not fit into memory, and were done {self.most} at a "
            f"time (the same to rounding); --batch-size {self.most} asks for it from the start"
        )
