"""Which call of which command made what is in a folder, so that it can be made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xattn.paths import relative_to
from xattn.plugins import loaded_files
from xattn.runs.record import file_sha256
from xattn.settings import Settings

MOST_SOURCES = 100
IMAGE_LIST = "images.txt"
"""Stands for more images, named one by one in Python, than a command is made of."""


def record_call(
    command: str,
    base: Path,
    model: Mapping[str, Any] | None = None,
    arguments: Sequence[str | Path | tuple[str, Path]] = (),
    **parts: Settings,
) -> dict[str, Any]:
    """Return the record of a call as plain JSON values.

    `words` are those of the command line that give the settings again, see `again`; there are none
    where images were named one by one.

    Args:
        command: its name, such as "explain".
        base: the folder that paths are recorded relative to, the one that holds the run folder.
        model: how the model was loaded, if one was named.
        arguments: words that no settings give; files and folders as paths, also after a text that
            stands before them, such as ("NAME=", folder).
        parts: its settings, by what they are of.
    """
    record: dict[str, Any] = {"command": command}
    if model is not None:
        record["model"] = dict(model)
    for name, part in parts.items():
        record[name] = part.to_dict(base)
        images = record[name].get("images")
        if isinstance(images, list) and len(images) > MOST_SOURCES:
            record[name]["images"], record["images_named"] = [IMAGE_LIST], len(images)
    if "images_named" not in record:
        record["words"] = [_marked(word, base) for word in arguments]
        record["words"] += [word for part in parts.values() for word in part.marked_words(base)]
    if plugins := list(_plugins(base)):
        record["plugins"] = plugins
    return record


def _marked(word: str | Path | tuple[str, Path], base: Path) -> Any:
    if isinstance(word, str):
        return word
    before, path = word if isinstance(word, tuple) else ("", word)
    return {"path": relative_to(path, base)} | ({"before": before} if before else {})


def _plugins(base: Path) -> Iterator[dict[str, str]]:
    for file in loaded_files():
        yield {"file": relative_to(file, base), "sha256": file_sha256(file)}
