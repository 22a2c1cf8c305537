"""`xattn compare`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import rich_click as click

from xattn.analysis.settings import CompareSettings
from xattn.cli.from_settings import options_of, taken
from xattn.cli.options import common
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE
from xattn.settings import names


@click.command("compare")
@click.argument("runs", nargs=-1, required=True)
@options_of(CompareSettings)
@click.option("--out", type=PLACE, required=True, help="Folder for the tables.")
@common
def command(
    runs: tuple[str, ...],
    out: Path,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> None:
    """Compare trained models over seeds and images, and say what can be concluded.

    RUNS are folders of `xattn train` or `xattn evaluate`, one a seed, or NAME=FOLDER.
    """
    from xattn.analysis.comparison.compare import compare

    terminal = Terminal(quiet, as_json)
    settings = taken(CompareSettings, chosen)
    result = compare(runs, out, settings=settings)
    metric = names(settings.metric)
    means = result.runs[result.runs["metric"].isin(metric)].groupby(
        ["split", "metric", "model"], sort=False
    )["value"]
    terminal.table(
        means.agg(seeds="count", mean="mean", lowest="min", highest="max").reset_index(),
        "Every model over its seeds",
    )
    terminal.table(
        _side_by_side(result.pairs),
        f"Does a differ from b? ({', '.join(metric)}; interval over seeds; p-values after Holm)",
        _FORMATS,
    )
    for sentence in result.sentences:
        terminal.say(sentence)
    for note in result.notes:
        terminal.say(f"Note: {note}")
    path = result.folder.path
    figures = shlex.join(["xattn", "figures", str(path)])
    terminal.say(f"Tables in {path}; figures of them: {figures}")
    terminal.summary(
        {
            "out": str(path),
            "pairs": result.pairs.to_dict("records"),
            "ranks": result.ranks.to_dict("records"),
            "sentences": list(result.sentences),
            "notes": list(result.notes),
        }
    )


def _side_by_side(pairs: Any) -> Any:
    """Put the tests of a pair on one split into one row."""
    pair = ["a", "b", "split"]
    rows = pairs.loc[pairs["test"] == "welch", [*pair, "metric", "difference", "low", "high"]]
    for test in _TESTS:
        own = pairs[pairs["test"] == test].set_index(pair + ["metric"] * (test in _OVER_SEEDS))
        values = own["p_adjusted"].rename(f"p {test}")
        rows = rows.join(values, on=list(own.index.names))
    bayes = pairs[pairs["test"] == "bayes"].set_index([*pair, "metric"])["p_better"]
    rows = rows.join(bayes.rename("P(better)"), on=[*pair, "metric"])
    alone = rows["metric"].nunique() == 1
    rows = rows.drop(columns=["metric"] if alone else [])
    return rows.rename(columns={"difference": "a - b"} | {f"p {t}": t for t in _TESTS})


_OVER_SEEDS = ("welch", "wilcoxon")
_TESTS = (*_OVER_SEEDS, "mcnemar", "delong")
_FORMATS = (
    dict.fromkeys(("a - b", "low", "high"), "+.3f")
    | dict.fromkeys(_TESTS, ".3f")
    | {"P(better)": ".2f"}
)
