"""Findings of which several can be true of one image: as one label, and back.

Tables have one column `label`. For a model whose outputs are independent it holds all that is known
of an image: "effusion; mass", "none of them", and with a question mark what is not known: "edema?".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.annotations.records import AnnotatedImage
from xattn.annotations.value_labels import value_label

NONE = "none of them"
"""Label of an image that shows no finding, and of which none is unknown."""
_BETWEEN, _UNKNOWN = "; ", "?"


def absent(finding: str) -> str:
    """Return what an image without the finding is called."""
    return f"no {finding}"


def label_of(
    image: AnnotatedImage,
    classes: Sequence[str],
    declared: Collection[str],
    *,
    exclusive: bool,
    values: bool = False,
) -> str | None:
    """Return the label that a model's answers for an image are held against.

    Args:
        image: an image with a label, or with findings.
        classes: of the model.
        declared: the labels of the annotation file: of what it does not declare nothing is known.
        exclusive: whether one class of the model is true of an image, and no two.
        values: whether the model's outputs are values, see `value_labels`.

    Returns:
        Where outputs are independent, all that is known of the image's findings, see `shows`. Where
        classes exclude each other its label; of findings the one that is a class, or, of the
        classes "no mass" and "mass", whether it shows a mass. None where that is not known.
    """
    if values:
        return value_label(image, classes)
    if exclusive:
        return image.label if image.findings is None else _one_class(image, classes, declared)
    if image.findings is None and image.label is None:
        return None
    there = [image.label] if image.findings is None else list(image.findings)
    unknown = [c for c in dict.fromkeys((*image.unknown, *classes))
               if c not in declared or c in image.unknown]  # fmt: skip
    return label_text([name for name in there if name is not None], unknown)


def label_text(shown: Iterable[str], unknown: Iterable[str] = ()) -> str:
    """Return the label of an image: what it shows, and what is not known of it.

    >>> label_text(["effusion", "mass"], ["edema"]), label_text([])
    ('effusion; mass; edema?', 'none of them')
    """
    parts = [*map(_plain, shown), *(_plain(name) + _UNKNOWN for name in unknown)]
    return _BETWEEN.join(parts) or NONE


def _one_class(
    image: AnnotatedImage, classes: Sequence[str], declared: Collection[str]
) -> str | None:
    if len(classes) == 2:
        for no, yes in (classes, tuple(reversed(classes))):
            if no == absent(yes) and no not in declared and yes in declared:
                return {True: yes, False: no, None: None}[image.shows(yes)]
    found = [name for name in image.findings or () if name in classes]
    return found[0] if len(found) == 1 else None


def shows(labels: Iterable[Any], finding: str) -> NDArray[Any]:
    """Return what labels of independent findings say of one of them.

    Args:
        labels: (n,) as `label_of` writes them; missing where nothing is known.
        finding: one of the model's outputs.

    Returns:
        (n,) of True, False, and None where it is not known.
    """
    name = _plain(finding)
    found: list[bool | None] = []
    for label in labels:
        parts = label.split(_BETWEEN) if isinstance(label, str) and label else None
        unknown = parts is None or name + _UNKNOWN in parts
        found.append(None if unknown or parts is None else name in parts)
    return np.array(found, dtype=object)


def answers(labels: Iterable[Any], finding: str) -> NDArray[Any]:
    """Return `shows` as labels: the finding's name, "no <finding>", or None."""
    named = {True: finding, False: absent(finding), None: None}
    return np.array([named[known] for known in shows(labels, finding)], dtype=object)


def _plain(name: str) -> str:
    return name.replace(";", ",")
