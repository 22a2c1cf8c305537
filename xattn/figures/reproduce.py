"""The commands that made a run, as far as the run folder records them."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from xattn.figures.evidence import Evidence
from xattn.figures.together import Together
from xattn.runs import RunFolder


def commands(together: Together) -> list[str]:
    """Return the commands that make these runs and their page again, from where they lie."""
    made = []
    for evidence, name in zip(together.evidence, together.names, strict=True):
        made.append(_explain(evidence.run, name))
        if evidence.analysis or evidence.features is not None:
            made.append(_feature_usage(name, evidence))
    words = ["xattn", "report", *together.names]
    made.append(shlex.join(words if len(together.names) == 1 else [*words, "--out", "report.html"]))
    return made


def _explain(run: RunFolder, name: str) -> str:
    settings = run.settings
    words = ["xattn", "explain", "--ckpt", str(settings.get("checkpoint") or "model.pt")]
    words += ["--images", _common_folder(run)]
    for method in run.methods:
        words += ["--method", method]
    words += ["--target", str(settings.get("target", "predicted")), "--out", name]
    return shlex.join(words)


def _feature_usage(name: str, evidence: Evidence) -> str:
    facts = evidence.analysis
    annotations = str(facts.get("annotations") or "isic_attributes.json")
    words = ["xattn", "feature-usage", "--annotations", annotations, "--run", name]
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
