"""What this project's own checkpoint says beside the weights, checked before it is believed."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xattn.errors import CheckpointError, XattnError
from xattn.images.preprocessing import Preprocessing

SCHEMA = "xattn-checkpoint/1"
MOST_CLASSES = 100_000
OUTPUTS = ("softmax", "sigmoid")
"""What the outputs of a network that was trained here can be."""
LARGEST_SIDE = 8192
"""Pixels of the longest side that an input may have: more would fill the memory."""


def checked_facts(facts: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the facts of an own checkpoint, each of the type it must have.

    Raises:
        CheckpointError: one is not.
    """
    found = dict(facts)
    name, classes, options = (found.get(k) for k in ("architecture", "classes", "options"))
    if not isinstance(name, str) or not re.fullmatch(r"[\w.+-]+(/[\w.+-]+)?", name):
        raise _wrong(path, "an architecture's name", name)
    if not _is_names(classes):
        raise _wrong(path, "a list of class names", classes)
    if not isinstance(options, Mapping) or not all(isinstance(k, str) for k in options):
        raise _wrong(path, "options by name", options)
    if (outputs := found.get("outputs", "softmax")) not in OUTPUTS:
        raise _wrong(path, f"outputs that are {' or '.join(OUTPUTS)}", outputs)
    stored = found.get("preprocessing")
    if stored is not None:
        if not isinstance(stored, Mapping):
            raise _wrong(path, "preprocessing by name", stored)
        read_preprocessing(stored, path)
    return found


def _is_names(classes: Any) -> bool:
    names = isinstance(classes, list | tuple) and 0 < len(classes) <= MOST_CLASSES
    return names and all(isinstance(one, str) for one in classes)


def read_preprocessing(stored: Mapping[str, Any], path: Path) -> Preprocessing:
    """Rebuild the preprocessing that a file stores.

    Raises:
        CheckpointError: a value is of another type, or would fill the memory.
    """
    try:
        found = Preprocessing.from_dict(dict(stored))
        scaled = found.resize if isinstance(found.resize, tuple) else (found.resize or 1,)
        pixels = [*found.size, *scaled]
        fits = len(found.size) == 2 and all(
            type(side) is int and 1 <= side <= LARGEST_SIDE for side in pixels
        )
        colours = [found.mean, found.std]
        fits &= all(len(c) == 3 and all(abs(float(x)) < 1e6 for x in c) for c in colours)
        fits &= all(float(x) != 0 for x in found.std)
    except XattnError as err:
        raise CheckpointError(f"{path}: {err}") from err
    except (TypeError, ValueError) as err:
        raise _wrong(path, "preprocessing that can be applied", dict(stored)) from err
    if not fits:
        raise _wrong(path, "preprocessing that can be applied", dict(stored))
    return found


def _wrong(path: Path, expected: str, got: Any) -> CheckpointError:
    return CheckpointError(f"Expected {expected} in {path}, but got {reprlib.repr(got)}")
