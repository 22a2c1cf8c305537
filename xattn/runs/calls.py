"""Which call of which command made what is in a folder, so that it can be made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    command: str, base: Path, model: Mapping[str, Any] | None = None, **parts: Settings
) -> dict[str, Any]:
    """Return the record of a call as plain JSON values.

    Args:
        command: its name, such as "explain".
        base: the folder that paths are recorded relative to, the one that holds the run folder.
        model: how the model was loaded, if one was named.
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
    if plugins := list(_plugins(base)):
        record["plugins"] = plugins
    return record


def _plugins(base: Path) -> Iterator[dict[str, str]]:
    for file in loaded_files():
        yield {"file": relative_to(file, base), "sha256": file_sha256(file)}
