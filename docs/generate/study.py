"""The section of docs/study.md on the study of ISIC 2018, from docs/isic2018-study.

    python docs/generate/study.py xattn-study/isic2018 COMMIT    # takes the study's tables over
    python docs/generate/study.py                                # from the tables that are there

COMMIT is the one that the study was run at, which its folder does not know.

Writes anew what stands between a line `<!-- study: NAME -->` and a line `<!-- end of study -->`; a
test compares. The sentences around are written by hand, and have to be read again afterwards.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from xattn.runs.tables.verdicts import BRIEF_VERDICTS, SAY_NOT_USED, SAY_USED
from xattn.study.claims.write import as_markdown

ROOT = Path(__file__).parents[2]
PAGE, TABLES = ROOT / "docs" / "study.md", ROOT / "docs" / "isic2018-study"
MARKED = re.compile(r"(<!-- study: ([\w-]+) -->\n)(.*?)(<!-- end of study -->)", re.DOTALL)
NOT_YET = "The study has not been run in full yet: no number stands here.\n"
CHANCE = 0.5
"""Of balanced accuracy and AUC of two classes."""


def take_over(study: Path, commit: str) -> None:
    """Copy the tables of a study that the page shows, and what made them."""
    TABLES.mkdir(exist_ok=True)
    for name in ("claims/claims.csv", "comparison/comparison.csv"):
        pd.read_csv(study / name).to_csv(TABLES / Path(name).name, index=False)
    runs = pd.read_csv(study / "comparison" / "comparison_runs.csv")
    runs = runs[runs["metric"].isin(["auc", "balanced_accuracy"])]
    performance = [
        pd.read_csv(folder / "performance.csv").assign(run=folder.name)
        for folder in sorted((study / "evaluated").iterdir())
    ]
    learnt = pd.concat(performance).query(
        "split == 'test' and domain == 'all' and metric == 'balanced_accuracy' and `class` == 'all'"
    )
    above = set(learnt["run"][learnt["low"] > CHANCE])
    runs = runs.assign(learnt=[_folder(*one) in above for one in
                               zip(runs["model"], runs["seed"], strict=True)])  # fmt: skip
    runs.drop(columns="run").to_csv(TABLES / "networks.csv", index=False)
    verdicts = [
        pd.read_csv(folder / "verdicts.csv")[["feature", "verdict"]].assign(run=folder.name)
        for folder in sorted((study / "runs").iterdir())
    ]
    pd.concat(verdicts).to_csv(TABLES / "verdicts.csv", index=False)
    (TABLES / "about.json").write_text(
        json.dumps({"commit": commit, **_about(study)}, indent=1) + "\n"
    )


def _folder(model: str, seed: int) -> str:
    return f"{model}-{seed}"


def _about(study: Path) -> dict[str, object]:
    """Say what data and versions made a study, and what it took."""
    records = [json.loads(path.read_text()) for path in sorted((study / "steps").glob("*.json"))]
    seconds = sum(one.get("seconds") or 0 for one in records)
    (first, *_) = sorted((study / "models").iterdir())
    trained = json.loads((first / "train.json").read_text())
    return {
        "hours": round(seconds / 3600, 1),
        "steps": len(records),
        "splits": trained["splits"],
        "versions": {k: trained["versions"][k] for k in ("torch", "timm", "numpy")},
    }


def made() -> str:
    """Return what was run."""
    about = json.loads((TABLES / "about.json").read_text())
    parts = [
        f"{name} {split['images']} ({split['malignant']} malignant)"
        for name, split in about["splits"].items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"`xattn study analysis/isic2018.toml`, at {about['commit']}, {versions}: "
        f"{about['steps']} steps, which took {about['hours']} hours together. Images: "
        f"{', '.join(parts)}.\n"
    )


def networks() -> str:
    """Return mean, and interval over seeds, of each model's metrics, and how many learnt."""
    table = pd.read_csv(TABLES / "networks.csv")
    asked = [(metric, split) for metric in ("auc", "balanced_accuracy")
             for split in ("test", "ood")]  # fmt: skip
    names = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}
    rows = []
    for model, own in table.groupby("model", sort=False):
        cells = []
        for metric, split in asked:
            values = own["value"][(own["metric"] == metric) & (own["split"] == split)].to_numpy()
            cells.append(_over_seeds(values))
        each = own.drop_duplicates("seed")
        rows.append([f"`{model}`", *cells, f"{each['learnt'].sum()} of {len(each)}"])
    heads = [f"{names[metric]}, {'OOD' if split == 'ood' else split}" for metric, split in asked]
    return markdown(["model", *heads, "learnt"], rows)


def _over_seeds(values: np.ndarray) -> str:
    mean, n = values.mean(), len(values)
    if n < 2:
        return f"{mean:.2f}"
    half = student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def pairs() -> str:
    """Return each model against its backbone, by the AUC over seeds."""
    table = pd.read_csv(TABLES / "comparison.csv")
    table = table[(table["test"] == "welch") & (table["metric"] == "auc")]
    rows = []
    for (a, b), own in table.groupby(["a", "b"], sort=False):
        cells = []
        for split in ("test", "ood"):
            one = own[own["split"] == split].iloc[0]
            cells += [
                f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})",
                f"{one['p_adjusted']:.2g}",
                f"{one['smallest']:.3f}",
            ]
        rows.append([f"`{a}` - `{b}`", *cells])
    return markdown(
        ["pair", "AUC, test", "adjusted p", "smallest", "AUC, OOD", "adjusted p", "smallest"], rows
    )


def usage() -> str:
    """Return, of the networks that learnt, how many verdicts say what of each feature."""
    table = pd.read_csv(TABLES / "verdicts.csv")
    scores = pd.read_csv(TABLES / "networks.csv")
    scores = scores[scores["learnt"]]
    learnt = {_folder(*one) for one in zip(scores["model"], scores["seed"], strict=True)}
    table = table[table["run"].isin(learnt)]
    shown = [v for v in BRIEF_VERDICTS if (table["verdict"] == v).any()]
    rows = []
    for feature, own in table.groupby("feature", sort=False):
        said = own["verdict"]
        counts = [str(int((said == verdict).sum())) for verdict in shown]
        used, not_used = (said.isin(list(group)).mean() for group in (SAY_USED, SAY_NOT_USED))
        rows.append([f"`{feature}`", *counts, f"{100 * used:.0f} %", f"{100 * not_used:.0f} %"])
    rows.sort(key=lambda row: -int(row[-2].split()[0]))
    heads = [BRIEF_VERDICTS[verdict] for verdict in shown]
    return markdown([f"feature, of {len(learnt)} networks", *heads, "used", "not used"], rows)


def claims() -> str:
    """Return what others say beside what was found."""
    return as_markdown(pd.read_csv(TABLES / "claims.csv"))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


PARTS: dict[str, Callable[[], str]] = {
    "made": made, "networks": networks, "pairs": pairs, "usage": usage, "claims": claims,
}  # fmt: skip


def renewed(page: str) -> str:
    """Return a page with its parts written anew; without the tables they hold no number."""
    there = (TABLES / "about.json").is_file()
    return MARKED.sub(
        lambda found: f"{found[1]}{PARTS[found[2]]() if there else NOT_YET}{found[4]}", page
    )


def main() -> int:
    """Take the tables of a study over if one is named, and write the page anew."""
    if len(sys.argv) > 1:
        study, commit = sys.argv[1:]
        take_over(Path(study), commit)
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
