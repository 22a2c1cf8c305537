"""How a checkpoint becomes a model: what `load` can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xattn.settings.declare import Settings, setting

Colours = tuple[float, ...]
Mode = Literal["squash", "crop"]
Average = Literal["probabilities", "logits"]
AVERAGES = ("probabilities", "logits")
Window = tuple[float, float] | Literal["auto"] | None


@dataclass(frozen=True)
class LoadSettings(Settings):
    """What a checkpoint does not say of itself; see `load` for what each setting means."""

    arch: str | None = setting(None, "--arch", help="Architecture of a checkpoint without a name.")
    classes: Sequence[str] | None = setting(
        None, "--classes", kind="names", metavar="NAME,...",
        help="Class names in the order of the logits, comma-separated.",
    )  # fmt: skip
    size: tuple[int, int] | None = setting(
        None, "--size", kind="size", help="Input size of a model that stores none."
    )
    mean: Colours | None = setting(
        None, "--mean", kind="colours", help="Mean of the normalisation, of pixels in \\[0, 1]."
    )
    std: Colours | None = setting(
        None, "--std", kind="scales",
        help="Standard deviation of the normalisation, of pixels in \\[0, 1].",
    )  # fmt: skip
    interpolation: str | None = setting(
        None, "--interpolation", choices=("bilinear", "bicubic", "lanczos", "nearest"),
        help="Resampling in the training, where no record says it.",
    )  # fmt: skip
    window: Window = setting(
        None, "--window", kind="window",
        help="Black and white of images deeper than 8 bits; all of 16 bits by default.",
    )  # fmt: skip
    channels: int | None = setting(
        None, "--channels", kind="integer", low=1,
        help="Channels of an input, where the network does not show its first layer.",
    )  # fmt: skip
    weights: str | None = setting(
        None, "--weights", metavar="ema|raw|NAME",
        help="Averaged or last weights, or one of several sets, where the file holds more; "
        "averaged by default, else the first.",
    )  # fmt: skip
    input_mode: Mode | None = setting(
        None, "--input-mode", choices=("squash", "crop"),
        help="Resize the whole image, or scale the shorter side and crop the centre.",
    )  # fmt: skip
    target_layer: str | None = setting(
        None, "--target-layer", help="Layer to explain; detected automatically if omitted."
    )
    outputs: str = setting(
        "auto", "--outputs", metavar="auto|softmax|sigmoid|probabilities|value|ordinal|corn",
        help="What they are: logits of classes, independent logits, probabilities, values that "
        "are measured, or thresholds between ordered classes.",
    )  # fmt: skip
    output: str | int | None = setting(
        None, "--output", metavar="KEY",
        help="Which part of what the model returns, by name or index.",
    )  # fmt: skip
    ensemble: Average | None = setting(
        None, "--ensemble", choices=AVERAGES, alone="probabilities",
        help="Average the checkpoints that --ckpt names: their probabilities, or their logits.",
    )  # fmt: skip
    unsafe_pickle: bool = setting(
        False, "--unsafe-pickle", kind="switch",
        help="Allow a pickled module: reading it [bold]runs code[/] from the file.",
    )  # fmt: skip
    device: str = setting(
        "auto", "--device", choices=("auto", "cpu", "cuda", "mps"), help="Where to compute."
    )

    def unsaid(self) -> list[str]:
        """Return also classes that have a comma in a name: the option cannot tell them apart."""
        comma = any("," in name for name in self.classes or ())
        return [*super().unsaid(), *(["classes"] if comma else [])]
