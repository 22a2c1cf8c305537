"""[data] of a recipe: how images become inputs, and how they are split."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from xattn.images.preprocessing import IMAGENET_MEAN, IMAGENET_STD


def _as_pair(value: Any) -> Any:
    """Take one side for both, and a TOML array for the tuple it cannot write."""
    pair = (value, value) if isinstance(value, int) else value
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(f"expected a side in pixels or [height, width], but got {value!r}")
    return tuple(pair)


def _as_triple(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ValueError(f"expected [red, green, blue], but got {value!r}")
    return tuple(value)


Pixels = Annotated[int, Field(ge=1)]
Size = Annotated[tuple[Pixels, Pixels], BeforeValidator(_as_pair)]
Colour = Annotated[tuple[float, float, float], BeforeValidator(_as_triple)]


class Table(BaseModel):
    """A table of a recipe: unknown keys, other types and infinite numbers are errors."""

    # Strict: `lr = "1e-3"` is a mistake to report, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataTable(Table):
    """[data]: how images become inputs, and how they are split."""

    size: Size = (224, 224)
    """(height, width) of the model's input in pixels; a recipe may give one number for both."""
    mode: Literal["squash", "crop"] = "squash"
    resize: Pixels | None = None
    """Length of the shorter side before the crop; "crop" only."""
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD
    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the images that choose the best epoch."""
    test: float = Field(default=0.15, ge=0, lt=1)
    """Share of the images that are looked at once, at the end; 0 for none."""
    split_seed: int = Field(default=0, ge=0)
    """Kept apart from `seed`: trainings of several seeds are compared on the same images."""

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> DataTable:
        if self.val + self.test >= 1:
            raise ValueError(f"expected val + test to be below 1, but got {self.val} + {self.test}")
        if min(self.std) <= 0:
            raise ValueError(f"expected std above 0, but got {list(self.std)}")
        return self
