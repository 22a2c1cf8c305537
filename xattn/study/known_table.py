"""[known] of a recipe of a study: worlds, architectures, and how many networks of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError, field_validator

from xattn.analysis.known.world import World
from xattn.errors import XattnError, near
from xattn.splits.data_table import Size, Table
from xattn.training.recipe import Recipe, parse_recipe


class KnownTable(Table):
    """[known]: what networks of known answers learn from and are measured on."""

    size: Size = (64, 80)
    """(height, width) of the images in pixels, and of the networks' input."""
    seeds: int = Field(default=1, ge=1)
    """Networks of each architecture that learn a world's shortcuts."""
    seeds_without: int = Field(default=1, ge=0)
    """Of these seeds, as many learn once more from the same images without the shortcuts."""
    train_images: int = Field(default=640, ge=40)
    """Images to learn from, those that are held out for the test of learning among them."""
    scenes: int = Field(default=100, ge=2)
    """Scenes that are rendered with and without each thing, to measure what is used."""
    architectures: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name -> options, as in a recipe of a training."""
    recipe: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The tables [data] and [train] of all trainings."""
    worlds: list[World] = Field(min_length=1)

    @field_validator("worlds")
    @classmethod
    def _names_are_different(cls, worlds: list[World]) -> list[World]:
        names = [world.name for world in worlds]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"expected worlds of different names, but got {twice[0]!r} twice")
        return worlds

    def trainings(self, source: str) -> dict[str, Recipe]:
        """Return the recipe of each architecture's trainings.

        Args:
            source: names the study's recipe in messages.

        Raises:
            XattnError: one is wrong.
        """
        found = {}
        for name, options in self.architectures.items():
            data = {"size": list(self.size), **self.recipe.get("data", {})}
            tables = {"model": {"architecture": name, "options": options}, **self.recipe}
            found[name] = parse_recipe({**tables, "data": data}, f"[known.recipe] of {source}")
        return found

    def networks(self) -> Iterator[Network]:
        """Yield all networks, world by world, so that a stopped study has some whole worlds."""
        for world in self.worlds:
            for seed in range(max(self.seeds, self.seeds_without)):
                for planted, seeds in ((True, self.seeds), (False, self.seeds_without)):
                    if seed < seeds:
                        for name in self.architectures:
                            yield Network(world, name, seed, planted)


@dataclass(frozen=True)
class Network:
    """One network of known answers.

    Attributes:
        world: that it lives in.
        architecture: its name.
        seed: of the training.
        planted: whether the images that it learns from have the world's shortcuts.
    """

    world: World
    architecture: str
    seed: int
    planted: bool

    @property
    def name(self) -> str:
        """Name of its folders."""
        without = "" if self.planted else "-without"
        return f"{self.world.name}-{self.architecture}-{self.seed}{without}"

    @property
    def part(self) -> str:
        """Which of the world's images it learns from."""
        return "with" if self.planted else "without"


def known_table(values: Any, place: str) -> KnownTable:
    """Validate the table [known] of a recipe.

    Args:
        values: as TOML is read.
        place: names the table in messages.

    Raises:
        XattnError: keys or values are wrong; all problems are named.
    """
    if not isinstance(values, Mapping):
        raise XattnError(f"Expected a table as {place}, but got {values!r}")
    try:
        return KnownTable.model_validate(dict(values))
    except ValidationError as err:
        problems = "; ".join(_problem(error) for error in err.errors())
        raise XattnError(f"Expected a valid table {place}, but got {problems}") from None


def _problem(error: Any) -> str:
    """Turn one of pydantic's errors into "worlds.0.shortcuts: what is wrong"."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        table = World if error["loc"][0] == "worlds" else KnownTable
        return f"{key}: unknown key{near(str(error['loc'][-1]), table.model_fields)}"
    if error["type"] == "missing":
        return f"{key}: missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower()}{message[1:]}"
