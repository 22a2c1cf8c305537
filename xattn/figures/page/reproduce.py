"""The commands that make a run and its page again, from what the run folder records of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from xattn.analysis.settings import (
    EvaluateInputs,
    EvaluateSettings,
    FaithfulnessSettings,
    OverTrainingSettings,
    UsageInputs,
    UsageSettings,
)
from xattn.attribution.run.settings import ExplainInputs, ExplainSettings
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.folders import run_places
from xattn.figures.page.settings import ReportSettings
from xattn.figures.run_sources import RunSources
from xattn.runs.calls import IMAGE_LIST
from xattn.settings import Settings, moved
from xattn.settings.load import LoadSettings

Call = Mapping[str, Any]
Parts = dict[str, type[Settings]]

PARTS: dict[str, Parts] = {
    "explain": {"inputs": ExplainInputs, "settings": ExplainSettings},
    "evaluate": {"inputs": EvaluateInputs, "settings": EvaluateSettings},
    "feature-usage": {"inputs": UsageInputs, "settings": UsageSettings},
}
"""The settings classes of each command's record."""


def commands(aligned: AlignedRuns, page: ReportSettings | None = None) -> list[str]:
    """Return the commands that make these runs and their page again, from where they lie.

    What no command can say again (a model in memory, a run whose record does not tell how it was
    made) stands there as a comment.

    Args:
        aligned: the runs.
        page: settings of the page.
    """
    made: list[str] = []
    places = run_places(aligned.runs)
    for sources, place in zip(aligned.sources, places, strict=True):
        made += _commands(sources, place)
    words = ["xattn", "report", *places, *(page.words() if page else [])]
    made.append(shlex.join(words if len(places) == 1 else [*words, "--out", "report.html"]))
    return made


def _commands(sources: RunSources, place: str) -> Iterator[str]:
    calls: list[Call] = list(sources.run.settings.get("calls", []))
    evaluated = sources.evaluation.get("call")
    # Of an evaluation that had nothing to predict the run itself says nothing.
    if evaluated and evaluated not in calls[-1:]:
        calls.append(evaluated)
    if not calls:
        yield f"# {place!r} does not say how it was made: no calls in its run.json"
    tested = sources.faithfulness.get("call")
    explained = [call for call in calls if call["command"] == "explain"]
    for call in calls:
        more = []
        if tested and call is explained[-1]:
            measured = FaithfulnessSettings.from_dict(tested["settings"])
            more = ["--evaluate", *measured.words()]
        yield from _written(call, place, PARTS[call["command"]], [*more, "--out", place])
    if over := sources.over_training.get("call"):
        parts: Parts = {"inputs": ExplainInputs, "settings": OverTrainingSettings}
        yield from _written(over, place, parts, ["--run", place])
    if not sources.analysis:
        return
    measured_by = sources.analysis.get("call")
    if measured_by is None:
        yield f"# {place!r} does not say how it was measured: no call in its analysis.json"
        return
    yield from _usage(measured_by, place, explained, sources.run.methods)


def _usage(
    call: Call, place: str, explained: Sequence[Call], methods: Sequence[str]
) -> Iterator[str]:
    """Write `xattn feature-usage`, with the checkpoint if it was measured with a model at hand."""
    more = ["--run", place]
    if call.get("model") and explained:  # the command explains first, what is there already
        again = ExplainInputs.from_dict(explained[-1]["inputs"], PurePosixPath(place).parent)
        only = ExplainSettings(methods=methods)
        more = [*again.with_values(annotations=None).words(), *only.words(), *more]
    else:
        call = {key: value for key, value in call.items() if key != "model"}
    yield from _written(call, place, PARTS["feature-usage"], more)


def _written(
    call: Call, place: str, parts: Mapping[str, type[Settings]], more: Sequence[str]
) -> Iterator[str]:
    """Write a call as one line, after comments on what the line cannot say."""
    under = PurePosixPath(place).parent
    said = [kind.from_dict(call.get(name, {}), under) for name, kind in parts.items()]
    words = ["xattn"]
    for plugin in call.get("plugins", []):
        words += ["--plugin", moved(plugin["file"], under)]
    words.append(call["command"])
    in_python = [name for one in said for name in one.unsaid()]
    if (model := call.get("model")) is not None:
        checkpoints = model["checkpoint"]
        if checkpoints is None:
            yield "# The model was in memory: load it in Python, for no checkpoint is known"
            checkpoints = "model.pt"
        for file in [checkpoints] if isinstance(checkpoints, str) else checkpoints:
            words += ["--ckpt", moved(file, under)]
        said.append(LoadSettings.from_dict(model["options"], under))
        in_python += model["in_python"]
    if in_python:
        yield f"# Said in Python, and by no option of the command: {', '.join(in_python)}"
    if number := call.get("images_named"):
        yield f"# {IMAGE_LIST}: the {number:,} images that were named one by one, a line each"
    yield shlex.join([*words, *(word for one in said for word in one.words()), *more])
