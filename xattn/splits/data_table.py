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


def _as_texts(value: Any) -> Any:
    if isinstance(value, str | int | float) or not isinstance(value, list | tuple):
        raise ValueError(f"expected a list of texts or numbers, but got {value!r}")
    if not all(isinstance(one, str | int | float) for one in value):
        raise ValueError(f"expected texts or numbers in the list, but got {value!r}")
    return tuple(value)


def _as_names(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"expected a list of metadata columns, but got {value!r}")
    return tuple(dict.fromkeys(value))


def _as_findings(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"expected a list of findings, but got {value!r}")
    return tuple(dict.fromkeys(value))


def value_text(value: str | int | float) -> str:
    """Return a metadata value as text, in which 2 and 2.0 are the same.

    >>> value_text(2), value_text(2.0), value_text("rosendahl"), value_text(True)
    ('2', '2', 'rosendahl', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


Destination = Literal["train", "val", "test", "ood", "none"]
"""A split, or "none": left out."""
Values = Annotated[tuple[str | int | float | bool, ...], BeforeValidator(_as_texts)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
Findings = Annotated[tuple[str, ...], BeforeValidator(_as_findings)]
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
    findings: Findings = ()
    """Of lists of findings those that become outputs; default all that some images are known to
    show, and some to lack."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Fraction of the images that choose the best epoch."""
    test: float = Field(default=0.15, ge=0, lt=1)
    """Fraction of the images that are looked at once, at the end; 0 for none."""
    ood_column: str | None = None
    """Metadata column that says where an image comes from."""
    ood_values: Values = ()
    """Its values whose images are the test set of other origin, kept out of the other splits."""
    split_column: str | None = None
    """Metadata column that says the split of every image, in place of `val` and `test`."""
    split_values: dict[str, Destination] = Field(default_factory=dict)
    """Its values and the split of each; needed if they are not train, val, test and ood."""
    stratify: Names = ()
    """Metadata columns that train, val and test shall have in the same proportions."""
    split_seed: int = Field(default=0, ge=0)
    """Kept apart from `seed`: trainings of several seeds are compared on the same images."""

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> DataTable:
        if self.val + self.test >= 1:
            raise ValueError(f"expected val + test to be below 1, but got {self.val} + {self.test}")
        if min(self.std) <= 0:
            raise ValueError(f"expected std above 0, but got {list(self.std)}")
        return self

    @model_validator(mode="after")
    def _columns_have_values(self) -> DataTable:
        if (self.ood_column is None) != (not self.ood_values):
            raise ValueError(
                "expected ood_column and ood_values together, but got "
                f"{'ood_values' if self.ood_column is None else 'ood_column'} alone"
            )
        if self.split_column is None and self.split_values:
            raise ValueError("expected split_values with a split_column, but got them alone")
        return self
