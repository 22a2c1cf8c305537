"""The record of a run, as a folder in another place has it: paths in it are relative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from xattn.attribution.run.settings import ExplainInputs
from xattn.paths import joined, relative_to
from xattn.settings.load import LoadSettings


def moved_record(settings: Mapping[str, Any], before: Path, now: Path) -> dict[str, Any]:
    """Return a run.json whose paths are relative to another folder.

    Of its calls those of `explain` are kept.

    Args:
        settings: the run.json.
        before: the folder that holds the run.
        now: the folder that its paths are to be relative to.
    """

    def moved(file: str) -> str:
        return relative_to(joined(before, file), now)

    record = deepcopy(dict(settings))
    calls = [call for call in record.get("calls", []) if call["command"] == "explain"]
    if "calls" in record:
        record["calls"] = [_moved_call(call, before, now) for call in calls]
    for one in (record, *record.get("ensemble", {}).get("members", [])):
        if one.get("checkpoint_file"):
            one["checkpoint_file"] = moved(one["checkpoint_file"])
    return record


def _moved_words(words: Sequence[Any], before: Path, now: Path) -> list[Any]:
    """Return the words of a command, in which files are marked (see `record_call`)."""
    return [
        {**word, "path": relative_to(joined(before, word["path"]), now)}
        if isinstance(word, Mapping) else word
        for word in words
    ]  # fmt: skip


def _moved_call(call: Mapping[str, Any], before: Path, now: Path) -> dict[str, Any]:
    found = dict(call)
    inputs = ExplainInputs.from_dict(call.get("inputs", {}), before.as_posix())
    found["inputs"] = inputs.to_dict(now)
    if model := call.get("model"):
        options = LoadSettings.from_dict(model["options"], before.as_posix()).to_dict(now)
        files = model["checkpoint"]
        if isinstance(files, list):
            files = [relative_to(joined(before, file), now) for file in files]
        elif files is not None:
            files = relative_to(joined(before, files), now)
        found["model"] = {**model, "options": options, "checkpoint": files}
        if model.get("words") is not None:
            found["model"]["words"] = _moved_words(model["words"], before, now)
    if call.get("words") is not None:
        found["words"] = _moved_words(call["words"], before, now)
    if plugins := call.get("plugins"):
        found["plugins"] = [
            {**one, "file": relative_to(joined(before, one["file"]), now)} for one in plugins
        ]
    return found
