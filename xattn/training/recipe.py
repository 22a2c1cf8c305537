"""A recipe: everything that decides how a model is trained, in one TOML file.

Tables and keys are the field names of the classes below; `models/README.md` explains them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from xattn.documents import read_toml
from xattn.errors import XattnError, near
from xattn.images.domains import DOMAINS
from xattn.images.preprocessing import Preprocessing
from xattn.paths import as_path
from xattn.splits.data_table import DataTable, Table
from xattn.training.search_table import Axis, SearchTable

AUTO = "auto"
UNKNOWN = "dermoscopy"
"""Augmentation of "auto" where the domain of the images is not known."""
PRETRAINED = "pretrained"
"""As `init`: published weights, found by the architecture's name."""


class ModelTable(Table):
    """[model]: what is trained."""

    architecture: str
    """A name that `xattn.models.build` knows."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Passed to `build`, for instance `stages` and `heads` of a hybrid."""


class TrainTable(Table):
    """[train]: the optimisation, AdamW on cross-entropy."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(default=32, ge=2)
    lr: float = Field(gt=0)
    """Learning rate at its highest."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Of weight matrices and kernels; biases, norms and gates are left out."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """After the warm-up: down to 0 along a cosine; a tenth at 1/2 and again at 3/4; or nothing."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Fraction of the training over which the learning rate rises linearly to `lr`."""
    class_weights: Literal["balanced", "none"] = "balanced"
    """Weights of the loss: "balanced" is n / (classes x n of the class)."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """Every image once an epoch, or as many of every class: rare ones several times."""
    augment: str = AUTO
    """A name in `xattn.training.augmentations.AUGMENTATIONS`; "auto" is that of the domain of the
    images, "dermoscopy" where it is not known."""
    clip: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0 for no limit."""
    patience: int = Field(default=0, ge=0)
    """Epochs without a better balanced accuracy after which training stops; 0 for never."""
    keep_every: int = Field(default=0, ge=0)
    """Keep the checkpoint of every so many epochs, beside the best one; 0 for none."""
    precision: Literal["32", "bf16", "16"] = "32"
    """Of the arithmetic in training: mixed with bfloat16, or with float16 and a scaled loss."""
    seed: int = Field(default=0, ge=0)
    init: str | None = None
    """Weights that the model starts from: "pretrained", those that timm or torchvision published of
    the architecture or of a hybrid's backbone; "pretrained:TAG", those of a tag; or a checkpoint,
    relative to the recipe."""
    backbone_lr: float = Field(default=1.0, gt=0, le=1)
    """Learning rate of what `init` filled, as a fraction of `lr`."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor of the learning rate from each layer that `init` filled to the one before it."""
    freeze_epochs: int = Field(default=0, ge=0)
    """Epochs at the beginning in which what `init` filled stays as it is."""

    @field_validator("augment")
    @classmethod
    def _augmentation_is_known(cls, name: str) -> str:
        from xattn.training.augmentations import AUGMENTATIONS  # loads torch

        if name != AUTO and name not in AUGMENTATIONS:
            raise ValueError(f"unknown augmentation {name!r}{near(name, AUGMENTATIONS)}")
        return name

    @property
    def pretrained_tag(self) -> str | None:
        """The tag of published weights to start from, "" for the default; None without them."""
        word, _, tag = (self.init or "").partition(":")
        return tag if word == PRETRAINED else None

    @model_validator(mode="after")
    def _rates_of_loaded_weights_need_some(self) -> TrainTable:
        given = {
            "backbone_lr": self.backbone_lr < 1,
            "layer_decay": self.layer_decay < 1,
            "freeze_epochs": self.freeze_epochs > 0,
        }
        if self.init is None and any(given.values()):
            names = " and ".join(name for name, there in given.items() if there)
            raise ValueError(f"expected init, the weights to start from, with {names}")
        if self.freeze_epochs >= self.epochs:
            raise ValueError(
                f"expected fewer freeze_epochs than epochs ({self.epochs}), but got "
                f"{self.freeze_epochs}: nothing that init filled would be trained"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_balanced_once(self) -> TrainTable:
        if self.sampling == "balanced" and self.class_weights == "balanced":
            raise ValueError(
                'expected class_weights = "none" with sampling = "balanced", but got "balanced" '
                "for both: rare classes would count twice over"
            )
        return self


class Recipe(Table):
    """A validated recipe."""

    model: ModelTable
    data: DataTable = DataTable()
    train: TrainTable
    search: SearchTable | None = None
    """What `xattn search` makes of the recipe; a training passes it over."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become inputs, as it will stand in the checkpoint."""
        return Preprocessing(
            size=self.data.size,
            mode=self.data.mode,
            resize=self.data.resize,
            mean=self.data.mean,
            std=self.data.std,
        )

    def with_train(self, **changes: Any) -> Recipe:
        """Return the recipe with other values in [train], validated again.

        Raises:
            XattnError: a value is out of range.
        """
        values = self.model_dump()
        return parse_recipe({**values, "train": {**values["train"], **changes}}, "the call")

    def for_domain(self, domain: str | None) -> Recipe:
        """Return the recipe with the augmentation of a domain in place of "auto".

        Args:
            domain: of the images, a name of `DOMAINS`; None if it is not known.
        """
        if self.train.augment != AUTO:
            return self
        return self.with_train(augment=DOMAINS[domain].augment if domain else UNKNOWN)

    def doubts(self, domain: str | None) -> list[str]:
        """Say that images are augmented without their domain being known; [] if they are not.

        Args:
            domain: as of `for_domain`.
        """
        if self.train.augment != AUTO or domain is not None:
            return []
        return [
            f'The domain of the images is not known: they are augmented as "{UNKNOWN}", also '
            "upside down; `xattn annotations build --domain` says it, or `augment` under [train]"
        ]

    def with_values(self, values: Mapping[str, Any], place: str = "the call") -> Recipe:
        """Return the recipe without [search] and with other values, validated again.

        Args:
            values: dotted key -> value, for instance {"train.lr": 0.1, "model.options.heads": 4}.
            place: where they stand, for messages.

        Raises:
            XattnError: a key is unknown or a value is out of range.
        """
        return parse_recipe(self._changed(values), place)

    def to_record(self) -> dict[str, Any]:
        """Return what decides a training, as JSON can hold it."""
        return self.model_dump(mode="json", exclude={"search"})

    def to_toml(self) -> str:
        """Return TOML that reads back as this recipe; unset keys are left out."""
        tables = self.model_dump(mode="json", exclude_none=True)
        lines = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
        return "\n".join(lines)

    def _changed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        tables = self.model_dump(exclude={"search"})
        for place, value in values.items():
            *path, key = place.split(".")
            table: dict[str, Any] = tables
            for part in path:
                inner = table.get(part)
                table[part] = dict(inner) if isinstance(inner, Mapping) else {}
                table = table[part]
            table[key] = value
        return tables

    def _space_problems(self) -> list[str]:
        """Say which ends of the search's axes are no values of a recipe."""
        axes = self.search.space if self.search is not None else {}
        return [
            f"search.space: {problem}"
            for key, axis in axes.items()
            for end in axis.ends
            for problem in _problems(self._changed({key: end}))
        ]


def read_recipe(path: str | Path) -> Recipe:
    """Read and validate a recipe.

    Raises:
        XattnError: there is no such file, it is no TOML, or keys or values are wrong; all problems
            are named.
    """
    path = as_path(path, "a recipe")
    values = read_toml(path, "a recipe")
    recipe = parse_recipe(values, str(path))
    if recipe.train.init is None or recipe.train.pretrained_tag is not None:
        return recipe
    return recipe.with_train(init=str((path.parent / recipe.train.init).resolve()))


def parse_recipe(values: Mapping[str, Any], source: str) -> Recipe:
    """Validate the tables of a recipe.

    Args:
        values: table -> key -> value, as TOML is read.
        source: what error messages call it, usually the file.

    Raises:
        XattnError: keys or values are wrong; all problems are named.
    """
    if problems := _problems(values):
        raise _invalid(source, problems)
    values = _with_published_colours(values)
    recipe = Recipe.model_validate(values)
    if problems := recipe._space_problems():
        raise _invalid(source, problems)
    return recipe


def _with_published_colours(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put in the mean and std that published weights were trained with, where none are given."""
    recipe = Recipe.model_validate(values)
    missing = {"mean", "std"} - recipe.data.model_fields_set
    if recipe.train.pretrained_tag is None or not missing:
        return values
    from xattn.models.pretrained import find_pretrained  # loads torch

    published = find_pretrained(recipe.model.architecture, recipe.train.pretrained_tag)
    colours = {key: getattr(published, key) for key in missing}
    return {**values, "data": {**values.get("data", {}), **colours}}


def _invalid(source: str, problems: list[str]) -> XattnError:
    return XattnError(f"Expected a valid recipe in {source}, but got {'; '.join(problems)}")


_TABLES: dict[str, type[BaseModel]] = {
    "model": ModelTable,
    "data": DataTable,
    "train": TrainTable,
    "search": SearchTable,
}


def _problems(values: Mapping[str, Any]) -> list[str]:
    """Return all that is wrong with the tables of a recipe, but for its search space."""
    try:
        recipe = Recipe.model_validate(values)
        recipe.preprocessing  # noqa: B018 -- it checks how size, mode and resize go together
    except ValidationError as err:
        return [_problem(error) for error in err.errors()]
    except XattnError as err:
        return [f"data: {err}"]
    return []


def _problem(error: Mapping[str, Any]) -> str:
    """Turn one of pydantic's errors into "train.lr: what is wrong"."""
    place = [str(part) for part in error["loc"]]
    key = ".".join(place)
    if error["type"] == "extra_forbidden":
        table = _TABLES[place[0]] if len(place) > 1 else Recipe
        table = Axis if len(place) > 3 else table  # search.space.KEY.unknown
        return f"{key}: unknown key{near(place[-1], table.model_fields)}"
    if error["type"] == "missing":
        return f"{key}: missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower()}{message[1:]}" + _shown(error)


def _shown(error: Mapping[str, Any]) -> str:
    if error["type"] == "value_error":  # of ours, which show their values themselves
        return ""
    return f" (got {json.dumps(error['input'], default=str, ensure_ascii=False)})"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # Strings, booleans and finite numbers look alike in both, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
