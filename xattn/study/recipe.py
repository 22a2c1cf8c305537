"""A recipe of a study: data, models x seeds, methods, tests, figures and tables, in one TOML file.

Tables and keys are the fields of settings classes; `analysis/README.md` explains them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.analysis.settings import CompareSettings, EvaluateSettings, UsageSettings
from xattn.attribution.run.settings import ExplainSettings
from xattn.documents import read_toml
from xattn.errors import XattnError, near
from xattn.settings import Settings, setting
from xattn.settings.from_tables import settings_from
from xattn.study.claims.settings import Claim

if TYPE_CHECKING:
    from xattn.study.known_table import KnownTable

KNOWN = "known"  # stands in place of data and models


@dataclass(frozen=True)
class DataSettings(Settings):
    """[data]: an annotation file, or a data set's folder to build one from.

    Attributes:
        annotations: the annotation file.
        folder: the data set as it was downloaded, instead.
        layout, lesion_masks, artifact_masks, flags, metadata, labels, positive, exclude, domain:
            of the folder, as `xattn annotations build` takes them; found out if omitted.
        splits: a splits.csv that all trainings use; each makes the same one if omitted.
    """

    annotations: str | Path | None = setting(None, kind="file")
    folder: str | Path | None = setting(None, kind="path")
    layout: str | None = setting(None)
    lesion_masks: str | Path | None = setting(None, kind="path")
    artifact_masks: str | Path | None = setting(None, kind="path")
    flags: str | Path | None = setting(None, kind="file")
    metadata: str | Path | None = setting(None, kind="file")
    labels: str | Path | None = setting(None, kind="file")
    positive: Sequence[str] = setting((), several=True)
    exclude: Sequence[str] = setting((), several=True)
    domain: str | None = setting(None)
    splits: str | Path | None = setting(None, kind="file")

    def to_build(self) -> dict[str, Any]:
        """Return arguments of `build_annotations`, but for the file to write."""
        own = {name: getattr(self, name) for name in self.options()}
        left = ("annotations", "folder", "splits")
        chosen = {name: value for name, value in own.items() if name not in left}
        return {**chosen, "root": self.folder}


@dataclass(frozen=True)
class SynthesizeSettings(Settings):
    """[synthesize]: generated images instead; see `synthesize` and `synthesize_tissue`."""

    tissue: bool = setting(False, kind="switch")
    n: int = setting(200, kind="integer", low=1)
    size: Sequence[int] | None = setting(None, kind="size")
    seed: int = setting(0, kind="integer")
    positive_rate: float = setting(0.5, kind="number", low=0, high=1)
    pair_rate: float = setting(0.2, kind="number", low=0, high=1)
    """Of lesions; tissue has none."""

    def to_draw(self) -> dict[str, Any]:
        """Return arguments of `synthesize`, or of `synthesize_tissue`."""
        chosen = {name: getattr(self, name) for name in ("n", "seed", "positive_rate")}
        if self.size is not None:
            chosen["size"] = tuple(self.size)
        return chosen if self.tissue else {**chosen, "pair_rate": self.pair_rate}


@dataclass(frozen=True)
class SplitsSettings(Settings):
    """[splits]: one set of splits for all trainings, made first; see `split_images`.

    Attributes:
        val, test: fractions of the images.
        seed: of the splits; seeds of trainings do not change it.
        trap: artifacts that go with the label in train, and against it in ood.
        trap_share, trap_strength: fraction of the images for ood, and of these the fraction chosen
            against the label.
    """

    val: float = setting(0.15, kind="number", low=0, high=1, open=True)
    test: float = setting(0.15, kind="number", low=0, high=1)
    seed: int = setting(0, kind="integer")
    trap: Sequence[str] = setting((), several=True)
    trap_share: float = setting(0.3, kind="number", low=0, high=1, open=True)
    trap_strength: float = setting(0.8, kind="number", low=0, high=1)


@dataclass(frozen=True)
class ModelsSettings(Settings):
    """[models]: recipes of trainings, each trained with every seed."""

    recipes: Sequence[str | Path] = setting((), kind="file", several=True)
    seeds: int = setting(1, kind="integer", low=1)
    """How many: seeds are 0, 1, ..."""
    search_trials: int = setting(0, kind="integer", low=0)
    """Trials of a search of each recipe before its trainings; 0 for no search."""


@dataclass(frozen=True)
class FiguresSettings(Settings):
    """[figures]: names of `xattn figures`; all that there is data for if omitted."""

    runs: Sequence[str] | None = setting(None, several=True)
    comparison: Sequence[str] | None = setting(None, several=True)
    formats: Sequence[str] = setting(("png",), several=True)
    venue: str = setting("default")


@dataclass(frozen=True)
class TablesSettings(Settings):
    """[tables]: names of tables; all that there is data for if omitted."""

    runs: Sequence[str] | None = setting(None, several=True)
    comparison: Sequence[str] | None = setting(None, several=True)


@dataclass(frozen=True)
class StudyRecipe:
    """A validated recipe of a study.

    Attributes:
        source: the file.
        values: dotted key -> value that all recipes of [models] get in place of their own.
        effects: log odds ratios of generated features.
        claims: of others, to be held against what is found.
        known: of a study of known answers its worlds and networks, in place of data and models.
    """

    source: Path
    data: DataSettings = field(default_factory=DataSettings)
    synthesize: SynthesizeSettings | None = None
    splits: SplitsSettings | None = None
    models: ModelsSettings = field(default_factory=ModelsSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    feature_usage: UsageSettings = field(default_factory=UsageSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    figures: FiguresSettings = field(default_factory=FiguresSettings)
    tables: TablesSettings = field(default_factory=TablesSettings)
    values: Mapping[str, Any] = field(default_factory=dict)
    effects: Mapping[str, float] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    known: KnownTable | None = None


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
    recipe = _parsed(Path(path))
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
        parts[name] = settings_from(_TABLES[name], values, f"[{name}] in {path}", under)
    return StudyRecipe(source=path, **parts)


def _claims(values: Any, path: Path) -> tuple[Claim, ...]:
    if not isinstance(values, list):
        raise XattnError(f"Expected [[claims]], a table each, in {path}, but got {values!r}")
    return tuple(
        settings_from(Claim, one, f"[[claims]] {i} in {path}") for i, one in enumerate(values, 1)
    )


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


def _check_known(recipe: StudyRecipe) -> None:
    """Make sure that nothing stands beside [known] that it takes the place of."""
    beside = {
        "data": recipe.data != DataSettings(),
        "synthesize": recipe.synthesize is not None,
        "splits": recipe.splits is not None,
        "models": recipe.models != ModelsSettings() or bool(recipe.values),
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
