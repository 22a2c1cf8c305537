"""`compare`: models x seeds in one table, and what can be concluded of each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xattn.analysis.comparison.chosen_pairs import choose_pairs
from xattn.analysis.comparison.pairs import comparison_table, run_tests
from xattn.analysis.comparison.ranks import rank_models
from xattn.analysis.comparison.sources import Trained, as_named, read_trained, remarks
from xattn.analysis.comparison.testsets import SharedImages, line_up
from xattn.analysis.evaluation.metrics import LOWER_IS_BETTER
from xattn.analysis.settings import CompareSettings
from xattn.errors import UsageError, near
from xattn.runs.calls import record_call
from xattn.runs.guard import writes
from xattn.runs.record import begin_record, end_record
from xattn.runs.table_folder import ComparisonFolder
from xattn.runs.tables.comparison import COMPARISON, RANKS
from xattn.settings import names

SCHEMA = "xattn-comparison/1"


@dataclass(frozen=True)
class Comparison:
    """A comparison of models.

    Attributes:
        folder: where its tables are.
        runs: model, seed, split, metric, value.
        pairs: one row per pair, test, split and metric.
        ranks: mean rank of each model, per split and metric; without rows for fewer than three
            models or two shared seeds.
        sentences: what can be concluded of each pair on each split.
        notes: what makes the comparison doubtful, and what could not be done.
    """

    folder: ComparisonFolder
    runs: pd.DataFrame
    pairs: pd.DataFrame
    ranks: pd.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        models = ", ".join(self.runs["model"].unique())
        pairs = len(self.pairs)
        return f"<xattn.Comparison in {self.folder.path}: {models}; {pairs} rows of pairs>"


@writes("out", "xattn compare")
def compare(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    baseline: str | None = CompareSettings.baseline,
    all_pairs: bool = CompareSettings.all_pairs,
    split: Sequence[str] | None = CompareSettings.split,
    target: str | None = CompareSettings.target,
    metric: str | Sequence[str] = CompareSettings.metric,
    rope: float = CompareSettings.rope,
    alpha: float = CompareSettings.alpha,
    settings: CompareSettings | None = None,
) -> Comparison:
    """Compare trained models over their seeds and on the same test images.

    Writes comparison_runs.csv, comparison.csv, ranks.csv and comparison.json into `out`; what
    their columns mean: docs/compare.md. A second call replaces them.

    Args:
        runs: folders of `xattn train` or `xattn evaluate`, or "NAME=folder".
        out: the folder for the tables.
        baseline: model that the others are compared with; default the first plain convolutional
            one, else the first. "backbone": each hybrid with its own backbone and its control.
        all_pairs: compare every model with every other.
        split: splits; default test and ood, as far as all runs have them.
        target: of runs of independent outputs the one that is compared, there or not.
        metric: metrics of `xattn evaluate` that are of all classes together.
        rope: differences up to this one are equivalent for practical purposes.
        alpha: level of the verdicts, after adjustment.
        settings: all of these but `runs` and `out` as a whole, instead of one by one.

    Returns:
        The tables, as they are in the folder, with sentences and notes; differences in units of
        the metric.

    Raises:
        UsageError: a name is unknown, a number out of range, or there are fewer than two models.
        RunError: a folder is no finished training or run.
        XattnError: runs that cannot be compared: other test images, labels or classes, or the
            same model and seed twice.

    Examples:
        >>> result = xattn.compare(
        ...     ["a-0", "a-1", "b-0", "b-1"], "comparison"
        ... )  # doctest: +SKIP
        >>> print(*result.sentences)  # doctest: +SKIP
    """
    asked = CompareSettings.of(
        settings, baseline=baseline, all_pairs=all_pairs, split=split, target=target,
        metric=metric, rope=rope, alpha=alpha,
    )  # fmt: skip
    rope, alpha = asked.rope, asked.alpha
    found = read_trained(runs, asked.target)
    pairs = choose_pairs(found, asked.baseline, asked.all_pairs)
    sets = line_up(found, None if asked.split is None else names(asked.split))
    values = {one.split: one.metrics() for one in sets}
    metrics = _known_metrics(names(asked.metric), values[sets[0].split])
    tests = [
        run_tests(found, one, values[one.split], metrics, pair, rope)
        for one in sets
        for pair in pairs
    ]
    table, sentences = comparison_table(tests, rope, alpha)
    ranks = _ranks(found, values, metrics, alpha)
    notes = (*remarks(found), *_few_seeds(found, pairs))

    folder = ComparisonFolder(Path(out))
    base = folder.path.absolute().parent
    call = record_call("compare", base, arguments=[*map(as_named, runs)], settings=asked)
    begin_record(folder.path / "comparison.json", call)
    tidy = _tidy(found, values)
    folder.write_table("comparison_runs", tidy)
    folder.write_table("comparison", table)
    folder.write_table("ranks", ranks)
    facts = {
        "schema": SCHEMA,
        "models": _models(found),
        "classes": list(found[0].classes),
        "baseline": _common(pairs),
        "splits": {one.split: _sizes(one) for one in sets},
        "metrics": metrics,
        "rope": rope,
        "alpha": alpha,
        "sentences": list(sentences),
        "notes": list(notes),
        "settings": asked.to_dict(),
        "call": call,
    }
    tables = ("comparison_runs", "comparison", "ranks")
    end_record(folder.path / "comparison.json", facts, [f"{name}.csv" for name in tables])
    return Comparison(folder, tidy, table[_ordered(table)], ranks, sentences, notes)


def _common(pairs: Sequence[tuple[str, str]]) -> str | None:
    """Return the one model that all others are compared with; None if there is none."""
    others = {other for _, other in pairs}
    return others.pop() if len(others) == 1 else None


def _ordered(table: pd.DataFrame) -> list[str]:
    promised = list(COMPARISON.promised)
    return [*promised, *(c for c in table.columns if c not in promised)]


def _models(found: Sequence[Trained]) -> dict[str, list[int | None]]:
    """Return each model's seeds, in the order the runs were named."""
    models: dict[str, list[int | None]] = {}
    for one in found:
        models.setdefault(one.model, []).append(one.seed)
    return models


def _known_metrics(asked: Sequence[str], values: pd.DataFrame) -> list[str]:
    if not asked:
        raise UsageError("Expected at least one metric, but got none")
    for name in asked:
        if name not in values.columns:
            raise UsageError(f"Unknown metric {name!r}{near(name, map(str, values.columns))}")
    return list(dict.fromkeys(asked))


def _ranks(
    found: Sequence[Trained],
    values: Mapping[str, pd.DataFrame],
    metrics: Sequence[str],
    alpha: float,
) -> pd.DataFrame:
    """Rank three models or more within the seeds that all of them have."""
    seeds = _models(found)
    shared = _shared(seeds)
    if len(seeds) < 3 or len(shared) < 2:
        return pd.DataFrame(columns=list(RANKS.promised))
    index = {(one.model, one.seed): i for i, one in enumerate(found)}
    order = np.array([[index[model, seed] for model in seeds] for seed in shared])
    tables = []
    for split, table in values.items():
        for metric in metrics:
            block = table[metric].to_numpy(np.float64)[order]
            ranks = rank_models(-block if metric in LOWER_IS_BETTER else block, alpha)
            facts = {**vars(ranks), "split": split, "metric": metric}
            tables.append(pd.DataFrame({"model": list(seeds), "rank": facts.pop("mean"), **facts}))
    return pd.concat(tables, ignore_index=True)


def _shared(seeds: Mapping[str, Sequence[int | None]]) -> list[int]:
    """Return the seeds that every model was trained with."""
    common = set.intersection(*(set(own) for own in seeds.values()))
    return sorted(seed for seed in common if seed is not None)


def _few_seeds(found: Sequence[Trained], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Say what the number of seeds leaves open."""
    seeds = _models(found)
    notes = []
    alone = [model for model, own in seeds.items() if len(own) < 2]
    if alone:
        notes.append(
            f"Only one seed of {', '.join(alone)}: one seed leaves open whether another training "
            "would come out the same way"
        )
    if any(0 < len(_shared({m: seeds[m] for m in pair})) < 6 for pair in pairs):
        notes.append(
            "With fewer than six shared seeds Wilcoxon's test cannot reach p < 0.05, whatever the "
            "difference"
        )
    if len(seeds) > 2 and len(_shared(seeds)) < 2:
        notes.append(
            "No ranks and no critical difference: they need two seeds that all models share"
        )
    return notes


def _tidy(found: Sequence[Trained], values: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return comparison_runs.csv: every metric of every network on every split."""
    who = pd.DataFrame(
        {
            "model": [one.model for one in found],
            "seed": pd.array([one.seed for one in found], dtype="Int64"),
            "run": [one.path.resolve().name for one in found],
        }
    )
    parts = [
        pd.concat([who.assign(split=split), table], axis=1).melt(
            ["model", "seed", "run", "split"], var_name="metric"
        )
        for split, table in values.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _sizes(one: SharedImages) -> dict[str, int]:
    return {"images": len(one.truth), "groups": int(one.group.max()) + 1}
