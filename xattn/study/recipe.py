"""A recipe of a study: data, models x seeds, methods, tests, figures and tables, in one TOML file.

Tables and keys are the fields of settings classes; `analysis/README.md` explains them, and
`read_recipe` reads them.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.analysis.settings import CompareSettings, EvaluateSettings, UsageSettings
from xattn.attribution.run.settings import ExplainSettings
from xattn.settings import Settings, setting
from xattn.study.claims.settings import Claim, matching

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
class Override:
    """[[models.overrides]]: values that some of the recipes get, over those of [models.values].

    Attributes:
        models: names of recipes, or patterns such as "resnet18*".
        values: dotted key -> value.
    """

    models: tuple[str, ...]
    values: Mapping[str, Any]


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
        overrides: values that some of them get; of several for one key the last holds.
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
    overrides: tuple[Override, ...] = ()
    effects: Mapping[str, float] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    known: KnownTable | None = None

    def values_of(self, name: str) -> dict[str, Any]:
        """Return what a recipe of a training gets in place of its own values: dotted key -> value.

        Args:
            name: of the recipe, its file's stem.
        """
        own = [one.values for one in self.overrides for of in one.models if matching(of, [name])]
        return dict(ChainMap(*map(dict, reversed(own)), dict(self.values)))
