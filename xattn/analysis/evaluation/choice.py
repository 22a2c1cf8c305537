"""Which images are evaluated, of which split each is, and what must be known of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.annotations.findings import label_of, shows
from xattn.annotations.matching import examples, with_known_ids
from xattn.errors import UsageError, XattnError, near
from xattn.images.find import find_images
from xattn.models.interface import Model
from xattn.splits.membership import Membership
from xattn.splits.samples import HELD_OUT

if TYPE_CHECKING:
    from xattn.annotations import Annotations

SPLITS_TO_EVALUATE = ("val", *HELD_OUT)
"""Training images are not among them: how well they are remembered is no result."""

UNKNOWN = "all"
"""In place of a split where the training's splits are not known."""


def wanted_splits(split: Sequence[str] | None) -> tuple[str, ...]:
    """Return the splits that were asked for, default test and ood.

    Args:
        split: names; None for the default.

    Raises:
        UsageError: one is unknown, or was trained on.
    """
    for name in split or ():
        if name == "train":
            raise UsageError(
                "Expected a split that was not trained on, but got 'train': how well a model "
                "remembers its training images is no result"
            )
        if name not in SPLITS_TO_EVALUATE:
            raise UsageError(f"Unknown split {name!r}{near(name, SPLITS_TO_EVALUATE)}")
    return tuple(dict.fromkeys(split)) if split else HELD_OUT


def choose(
    known: Annotations,
    images: str | Path | Iterable[str | Path] | None,
    model: Model,
    member: Membership,
    wanted: Sequence[str],
    *,
    asked: bool,
) -> tuple[Annotations, dict[str, str], list[str]]:
    """Return the images to predict, the split of each, and what was left out or is uncertain."""
    notes = [f"Uncertain splits: {member.caveat}"] if member.caveat and member.known else []
    there = list(known.images)
    if images is not None:
        named = [i.file for i in known.images]
        found, matched = with_known_ids(find_images(images, notes.append, named), known)
        if not matched.found:
            raise XattnError(
                f"Expected images of {known.path} in {images}, but it knows none of the "
                f"{len(found):,} by its file or id: "
                f"{examples([f.id for f in found], [i.id for i in there])}"
            )
        files = {image.id: image.path for image in found}
        there = [
            replace(image, file=files[image.id])
            for image, at in zip(there, matched.place, strict=True)
            if at is not None
        ]
        if matched.found < len(found):
            notes.append(f"{matched.found:,} of {len(found):,} images are in {known.path}")
    exclusive = model.outputs.exclusive
    how = {"exclusive": exclusive, "values": model.outputs.of_value}
    held = {i.id: label_of(i, model.classes, known.labels, **how) for i in there}
    if model.outputs.of_value:
        labelled = [i for i in there if held[i.id] is not None]
    elif exclusive:
        labelled = [i for i in there if held[i.id] in model.classes]
    else:
        labels = [held[i.id] for i in there]
        known_of = [[one is not None for one in shows(labels, c)] for c in model.classes]
        labelled = [i for i, of_each in zip(there, zip(*known_of, strict=True), strict=True)
                    if any(of_each)]  # fmt: skip
    if not labelled:
        if model.outputs.of_value:
            raise XattnError(
                f"Expected images with a value of {', '.join(model.classes)}, but none of "
                f"{len(there)} has one; name it as one of the values in {known.path} is called, "
                "with --classes, or give a label that is a number"
            )
        raise XattnError(
            f"Expected images with a label among {', '.join(model.classes)}, but none of "
            f"{len(there)} has one; name their folder with --images, or label them in {known.path}"
        )
    if len(labelled) < len(there):
        notes.append(f"{len(there) - len(labelled)} images without a label of the model's classes")
    of_split = {i.id: str(member.splits[i.id]) for i in labelled if i.id in member.splits}
    if of_split:
        left = len(labelled) - len(of_split)
        kept = {id_: name for id_, name in of_split.items() if name in wanted}
        if not kept:
            raise XattnError(
                f"Expected images of {' or '.join(wanted)} in {member.file}, but all "
                f"{len(of_split)} are of {', '.join(sorted(set(of_split.values())))}"
                "; evaluate other images, or choose with --split"
            )
        if left:
            notes.append(f"{left} images that are in none of the splits are left out")
        if {"val", "test"} & set(kept.values()):
            notes += [f"In the training, {line}" for line in member.unlike]
        if "val" in wanted:
            notes.append("Images of val were used for model selection: their results are too good")
    elif asked:
        reason = member.caveat or f"none of the images is in {member.file}"
        raise XattnError(f"Expected splits to choose {' and '.join(wanted)} from, but {reason}")
    else:
        kept = dict.fromkeys((i.id for i in labelled), UNKNOWN)
        notes.append(_unknown_note(member, len(labelled)))
    chosen = [i for i in labelled if i.id in kept]
    return replace(known, images=tuple(chosen)), kept, notes


def _unknown_note(member: Membership, n: int) -> str:
    if member.known:
        return (
            f"None of the {n} images is in {member.file} by its id: they are taken as images "
            "that the model was not trained on"
        )
    return (
        f"All {n} images are evaluated, for {member.caveat}: some may have been trained on, and "
        "the numbers then flatter the model"
    )


def domains_of(chosen: Annotations, member: Membership, domain: str | None) -> Mapping[str, str]:
    """Return the domain of each image: a feature's value, by default what splits.csv says.

    Raises:
        UsageError: there is no such feature.
    """
    if domain is None:
        return member.domains
    values = {i.id: i.values.get(domain) for i in chosen.images}
    if domain not in chosen.features and all(v is None for v in values.values()):
        raise UsageError(
            f"Unknown domain {domain!r} in {chosen.path}{near(domain, chosen.features)}"
        )
    return {id_: str(value) for id_, value in values.items() if value is not None}
