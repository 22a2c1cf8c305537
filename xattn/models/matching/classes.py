"""The names of the classes: as the user says them, else as the checkpoint or a file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.errors import CheckpointError
from xattn.models.checkpoints.records import Record
from xattn.models.probing.outputs import VALUE, check_count


@dataclass(frozen=True)
class Classes:
    """Names in the order of the logits, and what there is to say about them.

    Attributes:
        names: one for each logit; two for one logit, the negative first.
        notes: who says them; empty if the user did.
        guesses: those of the notes that `--classes` could have said.
    """

    names: list[str]
    notes: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()


def find_classes(
    path: Path,
    said: Sequence[str] | None,
    record: Record,
    count: int | None,
    part: bool = False,
    values: bool = False,
) -> Classes:
    """Return the names of the classes.

    Args:
        path: of the checkpoint, for the messages.
        said: by the user.
        record: what the checkpoint and the files beside it say.
        count: number of logits; None if it is not known yet.
        part: whether one of several outputs is meant, which need not be as many as the classes.
        values: whether outputs are values, each with one name.

    Raises:
        CheckpointError: nobody names them, or they are not as many as the logits.
    """
    if said is not None:
        if count == 1 and not values:
            check_count(count, said)  # two names for one logit
        elif not part and count is not None and len(said) != count:
            raise CheckpointError(
                f"Expected {count} {'values' if values else 'classes'} for {path}, but got "
                f"{len(said)}: {', '.join(said)}; --classes names all of them in the order of the "
                "outputs, or --output chooses one"
            )
        return Classes(list(said))
    named = record.named_classes()
    fitting = {who: names for who, names in named.items() if _fits(len(names), count)}
    if not fitting and values and count in (None, 1):
        return Classes([VALUE])  # the one value, that nobody named
    if not fitting:
        raise CheckpointError(_missing(path, named, count))
    (who, names), *others = fitting.items()
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise CheckpointError(
            f"Expected every class of {path} once, but {who} names {twice!r} twice; say them by "
            "--classes"
        )
    notes = [f"classes {', '.join(names)}: {who}"]
    unlike = [f"{', '.join(other)} ({by})" for by, other in others if other != names]
    if unlike:
        notes[0] += f"; but {' and '.join(unlike)} is named too: say it by --classes"
    return Classes(names, tuple(notes), tuple(notes) if unlike else ())


def _fits(names: int, count: int | None) -> bool:
    return count in (None, names) or (count, names) == (1, 2)


def _missing(path: Path, named: dict[str, list[str]], count: int | None) -> str:
    shown = f"its {count} classes" if count else "its classes"
    shown = "the two classes of its one output, the negative first," if count == 1 else shown
    unfit = "".join(
        f"; {who} names {len(names)}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
        for who, names in named.items()
    )
    return (
        f"Expected --classes with the names of {shown} for {path}, in the order of the logits, "
        f"for instance --classes benign,malignant{unfit}"
    )
