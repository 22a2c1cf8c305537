"""Reads and checks the recipe of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xattn.analysis.settings import CompareSettings, EvaluateSettings, UsageSettings
from xattn.attribution.run.settings import ExplainSettings
from xattn.documents import read_toml
from xattn.errors import XattnError, near
from xattn.paths import as_path
from xattn.settings import Settings
from xattn.settings.from_tables import settings_from
from xattn.study.claims.settings import Claim, matching
from xattn.study.recipe import (
    KNOWN,
    DataSettings,
    FiguresSettings,
    ModelsSettings,
    Override,
    SplitsSettings,
    StudyRecipe,
    SynthesizeSettings,
    TablesSettings,
)

_TABLES: dict[str, type[Settings]] = {
    "data": DataSettings,
    "synthesize": SynthesizeSettings,
    "splits": SplitsSettings,
    "models": ModelsSettings,
    "evaluate": EvaluateSettings,
    "explain": ExplainSettings,
    "feature_usage": UsageSettings,
    "compare": CompareSettings,
    "figures": FiguresSettings,
    "tables": TablesSettings,
}
_CLAIMS = "claims"
_OVERRIDES = "overrides"
_INNER = {"models": "values", "synthesize": "effects"}
"""Tables within a table, whose keys are free."""


def read_study(path: str | Path, data: str | Path | None = None) -> StudyRecipe:
    """Read and validate a recipe of a study, and the recipes of trainings that it names.

    Args:
        path: the TOML file; paths in it are relative to it.
        data: an annotation file or a data set's folder, in place of the recipe's.

    Raises:
        XattnError: there is no such file, or a key or value is wrong.
    """
    recipe = _parsed(as_path(path, "a recipe"))
    if data is not None:
        if recipe.known is not None:
            raise XattnError(
                f"Expected no data beside [{KNOWN}], but got {data}; leave --data away"
            )
        place = "folder" if Path(data).is_dir() else "annotations"
        other = "annotations" if place == "folder" else "folder"
        given = recipe.data.with_values(**{place: str(data), other: None})
        recipe = StudyRecipe(**{**vars(recipe), "data": given, "synthesize": None, "effects": {}})
    _check(recipe)
    return recipe


def read_usage_part(path: str | Path) -> UsageSettings:
    """Read the [feature_usage] table of a recipe; the whole file is checked.

    Raises:
        XattnError: as `read_study`, but for data and models, which may be missing.
    """
    return _parsed(Path(path)).feature_usage


def _parsed(path: Path) -> StudyRecipe:
    tables = read_toml(path, "a recipe of a study")
    under = str(path.parent)
    parts: dict[str, Any] = {}
    for name, values in tables.items():
        if name == _CLAIMS:
            parts[name] = _claims(values, path)
            continue
        if name == KNOWN:
            from xattn.study.known_table import known_table  # loads the generator

            parts[KNOWN] = known_table(values, f"[{KNOWN}] in {path}")
            continue
        if name not in _TABLES:
            known = [*_TABLES, _CLAIMS, KNOWN]
            raise XattnError(
                f"Expected tables that are known in {path}, but got {name!r}{near(name, known)}"
            )
        inner = _INNER.get(name)
        if inner and isinstance(values, Mapping) and inner in values:
            free = values[inner]
            if not isinstance(free, Mapping):
                raise XattnError(f"Expected a table as {name}.{inner} in {path}, but got {free!r}")
            parts[inner] = dict(_flat(free)) if inner == "values" else dict(free)
            values = {key: value for key, value in values.items() if key != inner}
        if name == "models" and isinstance(values, Mapping) and _OVERRIDES in values:
            parts[_OVERRIDES] = _overrides(values[_OVERRIDES], path)
            values = {key: value for key, value in values.items() if key != _OVERRIDES}
        parts[name] = settings_from(_TABLES[name], values, f"[{name}] in {path}", under)
    return StudyRecipe(source=path, **parts)


def _claims(values: Any, path: Path) -> tuple[Claim, ...]:
    if not isinstance(values, list):
        raise XattnError(f"Expected [[claims]], a table each, in {path}, but got {values!r}")
    return tuple(
        settings_from(Claim, one, f"[[claims]] {i} in {path}") for i, one in enumerate(values, 1)
    )


def _overrides(tables: Any, path: Path) -> tuple[Override, ...]:
    found = []
    for i, one in enumerate(tables if isinstance(tables, list) else [tables], 1):
        place = f"[[models.{_OVERRIDES}]] {i} in {path}"
        if not isinstance(one, Mapping) or not isinstance(tables, list):
            raise XattnError(
                f"Expected [[models.{_OVERRIDES}]], a table each, in {path}, but got {tables!r}"
            )
        own = {key: value for key, value in one.items() if key != "models"}
        models = one.get("models", ())
        models = (models,) if isinstance(models, str) else models
        if not models or not all(isinstance(name, str) for name in models):
            got = repr(one["models"]) if "models" in one else "none"
            raise XattnError(f"Expected models, names of recipes, in {place}, but got {got}")
        if not own:
            raise XattnError(
                f"Expected values beside models in {place}, such as train.epochs = 10, but got none"
            )
        found.append(Override(tuple(models), dict(_flat(own))))
    return tuple(found)


def _flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Return dotted keys and values; model.options is a table of the recipe of its own."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        place = f"{before}{key}"
        inner = isinstance(value, Mapping) and place != "data.split_values"
        found += _flat(value, f"{place}.") if inner else [(place, value)]
    return found


def _check(recipe: StudyRecipe) -> None:
    if recipe.known is not None:
        _check_known(recipe)
        return
    data = recipe.data
    given = [bool(data.annotations), bool(data.folder), recipe.synthesize is not None]
    if sum(given) != 1:
        raise XattnError(
            f"Expected one of data.annotations, data.folder and [synthesize] in {recipe.source}, "
            f"but got {sum(given) or 'none'} of them; --data names data of yours"
        )
    if recipe.splits is not None and data.splits is not None:
        raise XattnError(
            f"Expected data.splits or the table [splits] in {recipe.source}, but got both"
        )
    paths = [Path(one) for one in recipe.models.recipes]
    if not paths:
        raise XattnError(f"Expected models.recipes in {recipe.source}, but got none")
    stems = [path.stem for path in paths]
    for name in stems:
        if stems.count(name) > 1:
            raise XattnError(
                f"Expected recipes of different names in {recipe.source}, but got {name!r} "
                f"{stems.count(name)} times"
            )
    for one in recipe.overrides:
        for pattern in one.models:
            if not matching(pattern, stems):
                raise XattnError(
                    f"Expected models of {recipe.source} in [[models.{_OVERRIDES}]], but got "
                    f"{pattern!r}{near(pattern, stems)}"
                )


def _check_known(recipe: StudyRecipe) -> None:
    """Make sure that nothing stands beside [known] that it takes the place of."""
    beside = {
        "data": recipe.data != DataSettings(),
        "synthesize": recipe.synthesize is not None,
        "splits": recipe.splits is not None,
        "models": recipe.models != ModelsSettings() or bool(recipe.values or recipe.overrides),
        "evaluate": recipe.evaluate != EvaluateSettings(),
        "compare": recipe.compare != CompareSettings(),
        "tables": recipe.tables != TablesSettings(),
        "claims": bool(recipe.claims),
    }
    if wrong := [name for name, there in beside.items() if there]:
        raise XattnError(
            f"Expected [explain], [feature_usage] and [figures] beside [{KNOWN}] in "
            f"{recipe.source}, but got [{wrong[0]}]"
        )
