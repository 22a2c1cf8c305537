"""A run folder that is there is added to: what is new, what changed, what is left of it to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xattn.attribution.run.settings import ExplainSettings
from xattn.attribution.run.sources import Named
from xattn.errors import RunError
from xattn.images.containers import has_file
from xattn.paths import joined
from xattn.runs.another_folder import another_folder
from xattn.runs.identity import other_versions
from xattn.runs.table_folder import read_settings
from xattn.runs.writer import RunWriter
from xattn.settings.precision import FULL

CLOSE = {"32": 1e-2, "bf16": 1e-1, "16": 2e-2}
"""Of the largest logit: by so much may those of an image differ when a map is added to it.

By precision, which another engine and the passes of another batch size round otherwise in.
"""
_NAMED = 5


@dataclass(frozen=True)
class Todo:
    """What a call has to do.

    Attributes:
        whole: images to predict and explain.
        adding: images that are there, by the methods whose maps they lack.
        notes: what was found and is changed, a line each.
    """

    whole: list[Named]
    adding: dict[tuple[str, ...], list[Named]]
    notes: list[str]

    @property
    def n(self) -> int:
        """Number of images to read."""
        return len(self.whole) + sum(map(len, self.adding.values()))


def stored_settings(out: Path) -> dict[str, Any]:
    """Return the run.json of a folder, {} if it has none.

    Raises:
        RunError: it is damaged.
    """
    path = out / "run.json"
    return read_settings(path) if path.is_file() else {}


def as_before(settings: ExplainSettings, old: Mapping[str, Any]) -> ExplainSettings:
    """Take what is left open from the run that is there, else the default.

    Args:
        settings: of a call.
        old: the run's run.json, {} if there is none.
    """
    return settings.with_values(
        **{
            name: old.get(name, getattr(ExplainSettings, name))
            for name in ExplainSettings.identity()
            if getattr(settings, name) is None
        }
    )


def what_to_do(
    writer: RunWriter,
    named: Sequence[Named],
    labels: Mapping[str, str | None],
    *,
    by_label: bool,
    old: Mapping[str, Any],
) -> Todo:
    """Compare what was asked for with what a run folder holds.

    Images that are new or were replaced are done, labels that came later are taken over, and maps
    that images lack are made; where labels decide what maps explain, those images are done again.

    Args:
        writer: of the folder.
        named: the images of this call.
        labels: reference class by image id.
        by_label: whether maps are for the label.
        old: the folder's run.json before this call, {} if it is new.

    Raises:
        RunError: an image that lacks a map is not there any more.
    """
    base = writer.path.absolute().parent
    files = {one.file for one in named if not one.problem}
    notes = list(writer.notes)
    have = set(writer.ids_done.values())
    there = [one for one in named if not one.problem and one.file in have]
    replaced = [one.file for one in there if _replaced(writer, one)]
    told = labels if not by_label else {one.id: labels.get(one.id) for one in there}
    filled, changed = writer.label(told)
    again = [writer.ids_done[id_] for id_ in [*filled, *changed]] if by_label else []
    for file in dict.fromkeys([*replaced, *again]):
        writer.redo(file)
    notes += [f"{_images(replaced)} replaced under the same name: done again"] if replaced else []
    notes += [f"labels of {_images(filled)} filled in"] if filled else []
    if changed:
        words = [f"{i} ({was}, now {labels[i]})" for i, was in changed.items()]
        notes.append(f"labels of {_images(words)} changed")
    if again:
        notes.append(f"maps of {_count(again)} made again for the new labels")
    unknown = [one for one in there if one.file not in writer.stamps]
    if unknown:
        notes.append(
            f"what the files of {_count(unknown)} were is not recorded, by an earlier version: "
            "one replaced under the same name is not noticed"
        )
    gone = [f for f in writer.ids_done.values() if f not in files and not has_file(joined(base, f))]
    if gone:
        notes.append(f"{_images(gone)} of the run no longer there: what was found of them stays")

    whole = [one for one in named if one.file not in writer.files_done]
    others = [Named(i, joined(base, f), f) for i, f in writer.ids_done.items() if f not in files]
    adding: dict[tuple[str, ...], list[Named]] = {}
    for one in (*there, *others):
        lacking = writer.missing(one.file) if one.file in writer.files_done else ()
        if lacking and not has_file(one.path):
            raise RunError(
                f"Expected {one.path} to add its maps of {', '.join(lacking)} to {writer.path}, "
                f"but it is not there; put it back, or {another_folder()}"
            )
        if lacking:
            adding.setdefault(lacking, []).append(one)
    if adding and old.get("methods"):
        names = dict.fromkeys(name for lacking in adding for name in lacking)
        notes.append(f"added to what is there: {', '.join(names)}")
    versions = other_versions(old, writer.settings | {"versions": writer.versions})
    if versions and (whole or adding):
        notes.append(f"made in other versions than what is there: {versions}")
    return Todo(whole, adding, notes)


def require_same_predictions(writer: RunWriter, rows: Iterable[Mapping[str, Any]]) -> None:
    """Make sure that images to which maps are added are predicted as the run has them.

    Raises:
        RunError: the logits of one differ by more than `CLOSE`.
    """
    what = "value" if writer.settings.get("outputs") == "value" else "logit"
    columns = [f"{what}_{c}" for c in writer.settings["classes"]]
    close = CLOSE[writer.settings.get("precision", FULL)]
    for row in rows:
        stored = writer.row(row["file"])
        was, now = ([float(one[c]) for c in columns] for one in (stored, row))
        scale = max(1.0, *map(abs, was))
        if max(abs(a - b) for a, b in zip(was, now, strict=True)) > close * scale:
            told, got = (", ".join(f"{v:.3f}" for v in values) for values in (was, now))
            raise RunError(
                f"Expected the logits of {row['file']} as in {writer.path}, {told}, but got {got}: "
                f"the image or a library has changed since; {another_folder()}"
            )


def _replaced(writer: RunWriter, one: Named) -> bool:
    stamp = writer.stamps.get(one.file)
    try:
        return stamp is not None and not stamp.fits(one.path)
    except OSError:  # it cannot be read any more: what is there stays
        return False


def _images(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"{_count(names)} ({shown})"


def _count(found: Sequence[object]) -> str:
    return f"{len(found)} image{'' if len(found) == 1 else 's'}"
