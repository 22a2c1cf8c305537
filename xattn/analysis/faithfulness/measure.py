"""Faithfulness of the maps of a run, into its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from xattn.analysis.asked_again import AskedAgain
from xattn.analysis.faithfulness.curves import BLUR, STEPS
from xattn.analysis.faithfulness.road import FRACTIONS
from xattn.analysis.faithfulness.sanity import COPIES, DEPTHS, NOISE
from xattn.analysis.faithfulness.scores import ScoredImages, Scorer
from xattn.analysis.faithfulness.table import faithfulness_sentences, faithfulness_table
from xattn.analysis.settings import FaithfulnessSettings
from xattn.attribution.run.plan import Plan, make_plan
from xattn.attribution.run.provenance import model_of_run, weights_sha256
from xattn.attribution.run.settings import Accelerate
from xattn.attribution.run.sources import DecodedImage, Failure, Named, decode
from xattn.errors import RunError, UsageError
from xattn.images.prefetch import prefetch
from xattn.models.interface import Model
from xattn.runs.calls import record_call
from xattn.runs.folder import RunFolder
from xattn.runs.guard import writes
from xattn.runs.parquet import write_parquet
from xattn.runs.record import begin_record, end_record

if TYPE_CHECKING:
    from xattn.annotations import Annotations


PASSES = 2 * STEPS + 8
"""About so many images a map is tested by, of each image: two curves, ROAD, noise."""


@dataclass(frozen=True)
class Faithfulness:
    """What was measured of a run's maps.

    Attributes:
        table: faithfulness.csv.
        images: the scores of each image.
        sentences: what follows, one per method.
        notes: what could not be done.
    """

    table: pd.DataFrame
    images: pd.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[str, ...]


@writes("run", "xattn explain --evaluate")
def faithfulness(
    run: RunFolder | str | Path,
    model: Model | None = None,
    *,
    annotations: Annotations | None = None,
    images: int = FaithfulnessSettings.images,
    permutations: int = FaithfulnessSettings.permutations,
    bootstrap: int = FaithfulnessSettings.bootstrap,
    seed: int = FaithfulnessSettings.seed,
    batch_size: int = FaithfulnessSettings.batch_size,
    accelerate: Accelerate = FaithfulnessSettings.accelerate,
    workers: int | None = FaithfulnessSettings.workers,
    settings: FaithfulnessSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Faithfulness:
    """Measure whether the maps of a run show what the model needs.

    Writes faithfulness.csv, faithfulness.parquet (the scores of each image) and faithfulness.json
    (settings, sentences, notes) into the run folder; see docs/explain.md for the columns.

    Args:
        run: a finished run with maps.
        model: the one that made the run; default loaded from the checkpoint that the run names.
        annotations: give the groups of images that depend on each other.
        images: so many of the run's, drawn at random, or all if there are fewer.
        permutations, bootstrap, seed: of p-values, intervals, and all draws.
        batch_size: images in one pass.
        accelerate: engine of the model's layers, as for `explain`.
        workers: threads that decode; default one per core, at most 4.
        settings: `images` and those after it as a whole, instead of one by one.
        progress: called as progress(done, total).

    Raises:
        UsageError: `images` is not positive.
        RunError: the run holds no maps, the model is another one, or no image can be read.
    """
    how = FaithfulnessSettings.of(
        settings, images=images, permutations=permutations, bootstrap=bootstrap, seed=seed,
        batch_size=batch_size, accelerate=accelerate, workers=workers,
    )  # fmt: skip
    most, seed = how.images, how.seed
    folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
    if not folder.methods:
        raise RunError(f"Expected maps in {folder.path}, but the run was made without a method")
    model = model or model_of_run(folder)
    require_testable(model)
    _require_maker(folder, model)
    rows = np.random.default_rng(seed).permutation(len(folder.predictions))[:most]
    threads = min(4, os.cpu_count() or 1) if how.workers is None else how.workers
    rows, chosen = _read(folder, np.sort(rows), threads)
    plan = _plan_of(folder, model)
    asked = AskedAgain(
        folder, model, accelerate=how.accelerate, images=len(rows) * len(plan.jobs) * PASSES,
        batch=how.batch_size,
    )  # fmt: skip
    scores = Scorer(model, asked.fast, plan, chosen, how.batch_size, seed).run(progress)
    table = faithfulness_table(
        scores,
        _groups(chosen.ids, annotations),
        permutations=how.permutations,
        bootstrap=how.bootstrap,
        seed=seed,
    )
    notes = _notes(folder, len(rows), min(most, len(folder.predictions)), scores)
    sentences = faithfulness_sentences(table)
    call = record_call("faithfulness", folder.path.absolute().parent, settings=how)
    facts = {
        "schema": "xattn-faithfulness/1",
        "images": len(rows),
        "of": len(folder.predictions),
        "engine": asked.engine,
        "precision": asked.precision,
        "steps": STEPS,
        "blur": BLUR,
        "road_shares": list(FRACTIONS),
        "noisy_copies": COPIES,
        "noise": NOISE,
        "randomised_depths": DEPTHS,
        "permutations": how.permutations,
        "bootstrap": how.bootstrap,
        "seed": seed,
        "sentences": list(sentences),
        "notes": notes,
        "call": call,
    }
    begin_record(folder.path / "faithfulness.json", call)
    folder.write_table("faithfulness", table)
    write_parquet(scores, folder.path / "faithfulness.parquet")
    files = ("faithfulness.csv", "faithfulness.parquet")
    end_record(folder.path / "faithfulness.json", facts, files)
    return Faithfulness(table, scores, sentences, tuple(notes))


def require_testable(model: Model) -> None:
    """Refuse models whose maps these scores do not suit.

    Args:
        model: the one that made the maps.

    Raises:
        UsageError: it is an ensemble, whose members would be randomised, or gives values, which
            have no probability to lose.
    """
    if model.members:
        raise UsageError(
            "Expected one network to test the maps of, but got an ensemble; test those of each "
            "member in a run of its own"
        )
    if model.outputs.of_value:
        raise UsageError(
            "Expected classes for a test of the maps, which asks what probability is lost, but "
            "the outputs are values"
        )


def _require_maker(run: RunFolder, model: Model) -> None:
    own = model.source.get("sha256") or weights_sha256(model.module)
    if own != run.settings["checkpoint_sha256"]:
        raise RunError(
            f"Expected the model that made {run.path}, but got another; explain with this one "
            "into another folder first"
        )


def _plan_of(run: RunFolder, model: Model) -> Plan:
    """Make the plan that the run was made by, from its record."""
    known = run.predictions[["image_id", "label"]].astype(object)
    labels = {str(i): None if pd.isna(v) else str(v) for i, v in known.itertuples(index=False)}
    targets = run.settings.get("targets") or [run.settings["target"]]
    # A target of one map alone (METHOD@TARGET) is none of the other methods'.
    return make_plan(model, run.methods, targets, labels).only(run.methods)


def _read(
    run: RunFolder, rows: NDArray[np.intp], workers: int
) -> tuple[NDArray[np.intp], ScoredImages]:
    """Decode images as the run did; one that has gone since is left out."""
    ids = [str(i) for i in run.predictions["image_id"].iloc[rows]]
    files = [str(f) for f in run.predictions["file"].iloc[rows]]
    named = [
        Named(id_, run.image_path(int(row)), file)
        for id_, row, file in zip(ids, rows, files, strict=True)
    ]
    reading = partial(
        decode, preprocessing=run.preprocessing, exact=bool(run.settings.get("exact"))
    )
    decoded: list[DecodedImage | Failure] = list(prefetch(reading, named, workers))
    good = [i for i, one in enumerate(decoded) if isinstance(one, DecodedImage)]
    if not good:
        raise RunError(f"Expected the images of {run.path} where they were, but none can be read")
    kept = rows[good]
    pixels = np.stack([p.pixels for p in decoded if isinstance(p, DecodedImage)])
    maps = {m: torch.from_numpy(run.maps(m)[kept].astype(np.float64)) for m in run.methods}
    cells = {m: run.cells(m) for m in run.methods}
    return kept, ScoredImages(tuple(ids[i] for i in good), torch.from_numpy(pixels), maps, cells)


def _groups(ids: tuple[str, ...], annotations: Annotations | None) -> NDArray[np.object_] | None:
    if annotations is None:
        return None
    known = annotations.by_id
    return np.array([known[i].group if i in known else None for i in ids], dtype=object)


def _notes(run: RunFolder, read: int, asked: int, scores: pd.DataFrame) -> list[str]:
    found = [f"{read} of the run's {len(run.predictions)} images, drawn at random"]
    if read == len(run.predictions):
        found = []
    if read < asked:
        found.append(f"{asked - read} images can no longer be read and are left out")
    empty = scores["deletion"].isna().groupby(scores["method"], sort=False).sum()
    found += [
        f"{count} maps of {method} are empty or the same everywhere: they rank nothing"
        for method, count in empty.items()
        if count
    ]
    if scores["randomised_all"].isna().all():
        found.append("The model cannot be copied: its weights were not randomised")
    return found
