"""[search] of a recipe: which of its values are searched, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from xattn.splits.data_table import Table

DATA_KEYS = ("size", "mode", "resize", "mean", "std")
"""Keys of [data] that may be searched: the others decide which images a model is judged by."""


class Axis(Table):
    """One value of the recipe and what it may be: a range, or a list of choices."""

    low: int | float | None = None
    high: int | float | None = None
    """Both belong to the range; if both are whole numbers, so are all between."""
    log: bool = False
    """Whether orders of magnitude are drawn evenly rather than values."""
    choices: tuple[Any, ...] | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Axis:
        if self.choices is not None:
            if (self.low, self.high, self.log) != (None, None, False):
                raise ValueError("expected either choices or low and high, but got both")
            if len(set(self.labels)) < max(1, len(self.choices)):
                raise ValueError(f"expected different choices, but got {list(self.choices)}")
            return self
        if self.low is None or self.high is None:
            raise ValueError("expected low and high, or a list of choices")
        if self.low >= self.high:
            raise ValueError(f"expected low below high, but got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"expected low above 0 with log, but got {self.low}")
        return self

    @model_serializer
    def _as_written(self) -> Any:
        if self.choices is not None:
            return list(self.choices)
        return {"low": self.low, "high": self.high} | ({"log": True} if self.log else {})

    @property
    def labels(self) -> tuple[str, ...]:
        """The choices as texts that tell them apart, for instance "[3, 4]"."""
        return tuple(json.dumps(choice) for choice in self.choices or ())

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that must be possible for all to be: the ends of the range, or the choices."""
        return (self.low, self.high) if self.choices is None else self.choices

    def value(self, drawn: Any) -> Any:
        """Turn a drawn number, or the label of a choice, into a value of the recipe."""
        return drawn if self.choices is None else self.choices[self.labels.index(drawn)]


def _as_axes(space: Any) -> Any:
    """Take lists for choices, and the tables of `train.lr = ...` for the key "train.lr"."""
    if not isinstance(space, Mapping):
        return space
    axes: dict[str, Any] = {}
    for key, value in space.items():
        if isinstance(value, list | tuple):
            axes[key] = {"choices": list(value)}
        elif isinstance(value, Mapping) and value and not Axis.model_fields.keys() & value.keys():
            axes |= {f"{key}.{inner}": one for inner, one in _as_axes(value).items()}
        else:
            axes[key] = value
    return axes


class SearchTable(Table):
    """[search]: how the values in `space` are looked for."""

    trials: int = Field(default=20, ge=1)
    """Trainings in all, those that were ended early included."""
    sampler: Literal["tpe", "random"] = "tpe"
    """Tree-structured Parzen estimator (Bergstra et al. 2011), or all values alike."""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """End a trial that is below the median of the others at its epoch; or Hyperband; or none."""
    metric: Literal["val_balanced_accuracy", "val_auc"] = "val_balanced_accuracy"
    """Of a trial's best epoch; the largest wins."""
    space: Annotated[dict[str, Axis], BeforeValidator(_as_axes), Field(min_length=1)]
    """Dotted key of the recipe -> what it may be."""

    @model_validator(mode="after")
    def _leaves_the_comparison_fair(self) -> SearchTable:
        for key in self.space:
            table, _, rest = key.partition(".")
            if key == "train.seed" or (table == "data" and rest not in DATA_KEYS):
                raise ValueError(
                    f"expected no {key} in space: it changes by which chance or images models are "
                    "judged, not how good they are"
                )
        return self
