"""What `explain` can be told beside the model and the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from xattn.attribution.run.shards import Shard
from xattn.errors import UsageError
from xattn.settings import Settings, setting
from xattn.settings.precision import FULL, PRECISIONS, Precision

Overlay = Literal["png", "jpeg", "none"]

Accelerate = Literal["auto", "torch", "openvino", "compile", "none"]
"""Engine of the layers before the explained one; see `passes.engines`."""
ACCELERATE: tuple[Accelerate, ...] = get_args(Accelerate)

NO_METHODS = "none"
"""Instead of methods: predictions alone."""


@dataclass(frozen=True)
class ExplainInputs(Settings):
    """What is explained.

    Attributes:
        images: as `explain` takes them.
        annotations: the annotation file.
    """

    images: Sequence[str | Path] | None = setting(
        None, "--images", "-i", kind="path", several=True,
        help="Directory, glob, file, archive, or list (.txt, .csv, .parquet); repeatable.",
    )  # fmt: skip
    annotations: str | Path | None = setting(
        None, "--annotations", kind="file",
        help="Gives labels and ids, and images if none are named.",
    )  # fmt: skip


@dataclass(frozen=True)
class ExplainSettings(Settings):
    """How images are predicted and explained; see `explain` for what each setting means."""

    methods: str | Sequence[str] | None = setting(
        None, "--method", "-m", several=True,
        help="Repeatable; see `xattn models --methods`. none: predictions alone.",
    )  # fmt: skip
    target: str | int | Sequence[str | int] | None = setting(
        None, "--target", several=True,
        help="Class to explain: predicted (default), label, a class's name or index, or all "
        "(default of independent outputs); repeatable.",
    )  # fmt: skip
    split: str | Sequence[str] | None = setting(
        None, "--split", several=True,
        help="Only images of this split of the checkpoint's training, such as test; repeatable.",
    )  # fmt: skip
    shard: str | None = setting(
        None, "--shard", metavar="I/N",
        help="Only this of N parts of the images, such as 2/8; `xattn merge` puts them together.",
    )  # fmt: skip
    overlay: Overlay | None = setting(
        "png", "--overlay", choices=("png", "jpeg", "none"), identity=True,
        help="Format of the overlays, none for no overlays.",
    )  # fmt: skip
    exact: bool | None = setting(
        False, "--exact", kind="switch", identity=True,
        help="No faster copy of the model (equal to 1e-4), no reduced decoding of large JPEGs.",
    )  # fmt: skip
    accelerate: Accelerate = setting(
        "auto", "--accelerate", choices=ACCELERATE,
        help="Engine of the layers before the explained one: auto, the one that is installed and "
        "saves time; torch, a folded copy; openvino; compile; none, the model itself.",
    )  # fmt: skip
    precision: Precision | None = setting(
        FULL, "--precision", choices=PRECISIONS, identity=True,
        help="What the layers up to the explained one compute in: float32, bfloat16 or float16; "
        "changes predictions and maps a little.",
    )  # fmt: skip
    compiled: bool = setting(
        False, "--compile", kind="switch", help="torch.compile the trunk; CUDA only."
    )
    batch_size: int = setting(
        16, "--batch-size", kind="integer", low=1, help="Images per forward pass."
    )
    workers: int | None = setting(
        None, "--workers", kind="integer", low=0, recorded=False,
        help="Threads for decoding and overlays; default one per core, at most 4.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.methods == ():
            object.__setattr__(self, "methods", (NO_METHODS,))
        if self.batch_size < 1:
            raise UsageError(f"Expected a batch_size of at least 1, but got {self.batch_size}")
        if self.shard is not None:
            Shard.read(self.shard)
