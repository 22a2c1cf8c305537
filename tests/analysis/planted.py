"""Planted truth: models trained to use one known thing, and what the whole battery says of them.

    python -m tests.analysis.planted --models 20 --work planted

For each of five artifacts, networks are trained on generated images in which that artifact alone
goes with the label. They are then measured on other images, in which a second artifact has been
made to go with the first. So it is known of every model that

- it uses the first artifact (the label can be told by nothing else, and it is told);
- it cannot use age and sex, which are in no pixel;
- the second artifact depends on its predictions within a label, but only through the first: in
  training it was independent of everything.

A network that did not learn to tell the label (balanced accuracy on the validation images below
0.7) is known to use nothing: it is listed, and another is trained in its place.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import xattn
from xattn.analysis.feature_usage import feature_usage
from xattn.annotations import read_annotations
from xattn.runs.atomic import read_record
from xattn.runs.tables.verdicts import CHANGES
from xattn.synthetic import synthesize
from xattn.training.fit import train
from xattn.training.recipe import parse_recipe

ARTIFACTS = ("patches", "ink", "ruler", "hair", "dark_corner")
NOWHERE = ("age", "sex")
SIZE = (64, 80)
LEARNED = 0.7
"""Balanced accuracy from which a model must use the artifact: nothing else tells the label."""

RECIPE = {
    "model": {"architecture": "test_resnet"},
    "data": {"size": list(SIZE), "val": 0.2, "test": 0.0},
    "train": {"epochs": 30, "batch_size": 32, "lr": 3e-3, "augment": "light", "warmup": 0.1},
}


@dataclass(frozen=True)
class Truth:
    """What is known of one model."""

    used: str
    correlate: str
    seed: int


def truths() -> Iterator[Truth]:
    """Go round the artifacts without end; the correlate is the next one in the list."""
    for i in itertools.count():
        yield Truth(ARTIFACTS[i % 5], ARTIFACTS[(i + 1) % 5], seed=i // 5)


def images(work: Path, used: str, split: str, n: int, seed: int) -> Path:
    """Generate images in which `used` is all that goes with the label; weakly so in the test."""
    effects = dict.fromkeys(("border_irregularity", "colour_variegation", "age"), 0.0)
    effects |= {"negative_network": 0.0, "streaks": 0.0, "pigment_network": 0.0, "patches": 0.0}
    effects |= {used: 6.0 if split == "train" else 1.0}
    return synthesize(
        work / f"{used}-{split}",
        n,
        size=SIZE,
        seed=seed,
        effects=effects,
        prevalence=dict.fromkeys(ARTIFACTS, 0.5),
        pair_rate=0.0,
        workers=2,
    )


def correlated(annotations: Path, truth: Truth, seed: int) -> list[Path]:
    """Choose images so that the correlate is nine times as likely beside the used artifact."""
    known = read_annotations(annotations)
    used, other = (
        np.array([bool(image.values[name]) for image in known.images])
        for name in (truth.used, truth.correlate)
    )
    keep = np.random.default_rng(seed).random(len(used)) < np.where(used == other, 1.0, 1 / 9)
    return [image.file for image, kept in zip(known.images, keep, strict=True) if kept]


def measure(work: Path, truth: Truth) -> dict[str, object]:
    """Train one model, measure it, and return what was found of the three kinds of feature.

    Of one that did not learn only the accuracy is returned.
    """
    place = work / f"{truth.used}-{truth.seed}"
    if (place / "row.json").is_file():
        row: dict[str, object] = json.loads((place / "row.json").read_text())
        return row
    lessons = images(work, truth.used, "train", 800, seed=1)
    exam = images(work, truth.used, "test", 1200, seed=2)
    recipe = parse_recipe(RECIPE, "planted").with_train(seed=truth.seed)
    if not (place / "model" / "train.json").is_file():
        train(recipe, lessons, place / "model", progress=False, workers=2)
    trained = read_record(place / "model" / "train.json")
    accuracy = trained["val"]["balanced_accuracy"]
    if accuracy < LEARNED:
        return {**vars(truth), "accuracy": accuracy}
    model = xattn.load(place / "model" / "model.pt")
    chosen = correlated(exam, truth, truth.seed)
    run = xattn.explain(
        model, chosen, methods=["gradcam"], annotations=exam, overlay="none", out=place / "run"
    )
    tables = feature_usage(run, exam, seed=truth.seed, model=model, interventions=60)
    usage = tables["feature_usage"]
    flagged = set(usage.loc[usage["used"], "feature"])
    verdict = tables["verdicts"].set_index("feature")["verdict"]
    edits = tables["interventions"].set_index(["feature", "intervention"])
    others = [f for f in ARTIFACTS if f not in (truth.used, truth.correlate)]
    row = {
        **vars(truth),
        "accuracy": accuracy,
        "images": len(run.predictions),
        "used_found": truth.used in flagged,
        "used_verdict": verdict[truth.used],
        "used_excess": edits.loc[(truth.used, "inpaint"), "excess_logit"],
        "nowhere_flagged": sum(f in flagged for f in NOWHERE),
        "controls_flagged": sum(f.startswith("control-") for f in flagged),
        "correlate_found": truth.correlate in flagged,
        "correlate_verdict": verdict[truth.correlate],
        "correlate_excess": edits.loc[(truth.correlate, "inpaint"), "excess_logit"],
        "others_flagged": sum(f in flagged for f in others),
        "others_changing": sum(verdict[f] == CHANGES for f in others),
    }
    (place / "row.json").write_text(json.dumps(row, default=float))
    return row


def report(rows: pd.DataFrame) -> str:
    """Return the table for the docs."""
    n = len(rows)
    lines = [
        f"{n} models, {int(rows['images'].median())} images each; balanced accuracy on the "
        f"validation images {rows['accuracy'].min():.2f} to {rows['accuracy'].max():.2f}.",
        "",
        "| of the models | fraction |",
        "|---|---|",
        f"| the used artifact is found dependent | {rows['used_found'].mean():.2f} |",
        f"| its verdict: {CHANGES} | {(rows['used_verdict'] == CHANGES).mean():.2f} |",
        f"| age or sex, in no pixel, flagged | {rows['nowhere_flagged'].sum() / (2 * n):.3f} |",
        f"| noise controls flagged | {rows['controls_flagged'].sum() / (2 * n):.3f} |",
        f"| three other artifacts, flagged | {rows['others_flagged'].sum() / (3 * n):.3f} |",
        f"| their verdict: {CHANGES} | {rows['others_changing'].sum() / (3 * n):.3f} |",
        f"| the correlate is found dependent | {rows['correlate_found'].mean():.2f} |",
        f"| and told from the used by the intervention: not {CHANGES!r} | "
        f"{(rows['correlate_verdict'] != CHANGES).mean():.2f} |",
        "",
        f"Median excess of removal, log odds: used {rows['used_excess'].abs().median():.2f}, "
        f"correlate {rows['correlate_excess'].abs().median():.3f}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure all models and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for truth in truths():
        row = measure(arguments.work, truth)
        sys.stdout.write(json.dumps(row, default=float) + "\n")
        sys.stdout.flush()
        if float(str(row["accuracy"])) >= LEARNED:
            rows.append(row)
        if len(rows) == arguments.models:
            break
    sys.stdout.write("\n" + report(pd.DataFrame(rows)) + "\n")


if __name__ == "__main__":
    main()
