"""What `feature_usage` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from xattn.analysis.question import TARGET
from xattn.analysis.settings import UsageSettings
from xattn.errors import UsageError, near
from xattn.notebook import facts_html, shortly
from xattn.runs import RunFolder


@dataclass(frozen=True, eq=False)
class FeatureUsage(Mapping[str, pd.DataFrame]):
    """Which features a model uses, and how; the tables also by the names of their CSV files.

    Where outputs are independent, the column `target` says which of them a row is of, and
    `found.of("mass")` has the rows of one.

    `found.usage` and `found["feature_usage"]` are the same table; docs/feature-usage.md says what
    the columns of each mean.

    Attributes:
        run: the run folder, which holds the same tables as files.
        alignment: maps against masks, one row per method, feature and label.
        usage: dependence tests, one row per feature and test (feature_usage.csv).
        interventions: what edits do to the score, one row per feature and edit.
        doses: whether the score follows the dose of an edit, one row per feature, edit and dose.
        concepts: which yes/no features the explained layer holds, and which move the score.
        bias: gaps between images with and without an artifact, and of groups of patients.
        fairness: how far the rates of groups are apart at most.
        agreement: whether two methods show the same, one row per pair.
        verdicts: one row per feature: what follows.
        interventions_by_class: with more than two classes, what edits do to each class's score;
            None where there is no such table.
        positive: positive class of the score and the rates, "" if each stands for itself.
        sentence: what is held against what, where a choice of classes changes every number; or "".
        settings: what all this was measured with.
        notes: what could not be measured, and what must be known to read the tables.
    """

    run: RunFolder
    alignment: pd.DataFrame
    usage: pd.DataFrame
    interventions: pd.DataFrame
    doses: pd.DataFrame
    concepts: pd.DataFrame
    bias: pd.DataFrame
    fairness: pd.DataFrame
    agreement: pd.DataFrame
    verdicts: pd.DataFrame
    interventions_by_class: pd.DataFrame | None = None
    positive: str = ""
    sentence: str = ""
    settings: UsageSettings = field(default_factory=UsageSettings)
    notes: tuple[str, ...] = ()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their CSV files, in the order they are written."""
        more = self.interventions_by_class
        return {
            "alignment": self.alignment,
            "feature_usage": self.usage,
            "interventions": self.interventions,
            "doses": self.doses,
            **({} if more is None else {"interventions_by_class": more}),
            "concepts": self.concepts,
            "bias": self.bias,
            "fairness": self.fairness,
            "agreement": self.agreement,
            "verdicts": self.verdicts,
        }

    @property
    def targets(self) -> list[str]:
        """The independent outputs that were tested; none where classes exclude each other."""
        if TARGET not in self.verdicts:
            return []
        tables = [table[TARGET] for table in self.tables.values()]
        return [str(name) for name in pd.concat(tables).unique()]

    def of(self, target: str) -> FeatureUsage:
        """Return what was found for one of the independent outputs.

        Args:
            target: its name.

        Raises:
            UsageError: it was not tested.
        """
        if target not in self.targets:
            raise UsageError(f"Unknown output {target!r}{near(target, self.targets)}")
        own: dict[str, Any] = {
            "usage" if name == "feature_usage" else name: table[table[TARGET] == target]
            .drop(columns=TARGET)
            .reset_index(drop=True)
            for name, table in self.tables.items()
        }
        return replace(self, positive=target, sentence="", **own)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables["feature_usage" if name == "usage" else name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __repr__(self) -> str:
        tested = self.usage["feature"].nunique()
        used = f"{len(self._used)} of {tested} features used"
        return f"<xattn.FeatureUsage in {self.run.path}: {used}>"

    def _repr_html_(self) -> str:
        verdicts = self.verdicts.groupby("verdict", sort=False)["feature"]
        return facts_html(
            f"Feature usage in {self.run.path.resolve().name}",
            {
                "positive class": self.positive,
                "features used": shortly(self._used) or "none",
                **{str(verdict): shortly(list(names)) for verdict, names in verdicts},
                "notes": f"{len(self.notes)}, in .notes" if self.notes else "",
            },
        )

    @property
    def _used(self) -> list[str]:
        rows = self.usage[self.usage["used"].astype(bool)]
        return [str(name) for name in rows["feature"].unique()]
