"""What a network's layers compute in, by the names that Lightning has made known."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["32", "bf16", "16"]
"""float32, bfloat16 and float16; see `xattn.attribution.passes.precision`."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
FULL: Precision = "32"
