"""The commands that made a run, as far as the run folder records them."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.folders import run_places
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder


def commands(aligned: AlignedRuns) -> list[str]:
    """Return the commands that make these runs and their page again, from where they lie."""
    made = []
    places = run_places(aligned.runs)
    for sources, place in zip(aligned.sources, places, strict=True):
        made.append(_explain(sources.run, place))
        if sources.analysis or sources.features is not None:
            made.append(_feature_usage(place, sources))
    words = ["xattn", "report", *places]
    made.append(shlex.join(words if len(places) == 1 else [*words, "--out", "report.html"]))
    return made


def _explain(run: RunFolder, place: str) -> str:
    settings = run.settings
    words = ["xattn", "explain", "--ckpt", str(settings.get("checkpoint") or "model.pt")]
    words += ["--images", _common_folder(run)]
    for method in run.methods:
        words += ["--method", method]
    words += ["--target", str(settings.get("target", "predicted")), "--out", place]
    if settings.get("outputs") == "sigmoid":  # what probing cannot know
        words += ["--outputs", "sigmoid"]
    if settings.get("output") is not None:
        words += ["--output", str(settings["output"])]
    return shlex.join(words)


def _feature_usage(place: str, sources: RunSources) -> str:
    facts = sources.analysis
    annotations = str(facts.get("annotations") or "isic_attributes.json")
    words = ["xattn", "feature-usage", "--annotations", annotations, "--run", place]
    for option in ("permutations", "bootstrap", "alpha", "seed"):
        if option in facts:
            words += [f"--{option}", str(facts[option])]
    return shlex.join(words)


def _common_folder(run: RunFolder) -> str:
    """Return the deepest folder that holds all images, relative to the run folder's place."""
    parents = [PurePosixPath(f).parent.parts for f in run.predictions["file"].astype(str)]
    shared = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return str(PurePosixPath(*shared)) if shared else "."
