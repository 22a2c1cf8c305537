"""Which images of a call are in the splits that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xattn.attribution.run.sources import Named
from xattn.errors import Remark, UsageError, near
from xattn.splits.membership import Membership
from xattn.splits.samples import SPLITS


def require_splits(member: Membership, splits: Sequence[str]) -> None:
    """Make sure that splits can be told.

    Args:
        member: what is known of a checkpoint's training.
        splits: names of splits that are asked for; none for all images.

    Raises:
        UsageError: there is no such split, or nothing is known of the training's.
    """
    for name in splits:
        if name not in SPLITS:
            raise UsageError(
                f"Expected splits among {', '.join(SPLITS)}, but got {name!r}{near(name, SPLITS)}"
            )
    if splits and not member.known:
        raise UsageError(
            f"Expected the splits of the checkpoint's training to choose {' and '.join(splits)}, "
            f"but {member.caveat.partition(';')[0]}; without --split all images are explained"
        )


def in_splits(
    named: Sequence[Named],
    member: Membership,
    splits: Sequence[str],
    on_note: Callable[[str], None] | None = None,
) -> list[Named]:
    """Return the images whose part in the checkpoint's training is among the splits.

    Args:
        named: the images of a call.
        member: what is known of the training.
        splits: as `require_splits` allows; none for all images.
        on_note: told how many images were left out.

    Raises:
        UsageError: no image is in one.
    """
    if not splits:
        return list(named)
    chosen = [one for one in named if member.splits.get(one.id) in splits]
    if not chosen:
        raise UsageError(
            f"Expected images in {' or '.join(splits)} of {member.file}, but none of {len(named)} "
            "is; ids are the annotation file's, else file names without their ending"
        )
    parts = {member.splits[one.id] for one in chosen}
    if on_note is not None and (empty := [name for name in splits if name not in parts]):
        on_note(Remark(f"no image is in {' or '.join(empty)}"))
    if on_note is not None and len(chosen) < len(named):
        unknown = sum(one.id not in member.splits for one in named)
        strange = f", {unknown} of them in no split of the training" if unknown else ""
        left = len(named) - len(chosen)
        on_note(Remark(f"{left} images are not in {' or '.join(splits)} and left out{strange}"))
    return chosen
