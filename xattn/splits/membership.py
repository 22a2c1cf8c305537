"""Which images a checkpoint was trained on: its splits.csv, if it is there and is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xattn.errors import XattnError
from xattn.paths import as_path
from xattn.runs.record import file_sha256
from xattn.splits.samples import SPLITS
from xattn.splits.splits import Split, read_domains, read_splits


@dataclass(frozen=True)
class Membership:
    """What is known of the part that images had in a checkpoint's training.

    Attributes:
        splits: image id -> split; empty if nothing is known.
        domains: image id -> domain, of those that have one.
        file: the splits.csv this was read from, or None.
        caveat: why this is not known, or not certain; "" if the file's hash is the checkpoint's.
        unlike: in what train, val and test differ by more than chance, if the training said so.
    """

    splits: Mapping[str, Split] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    caveat: str = ""
    unlike: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there are splits at all."""
        return bool(self.splits)


def membership(source: Mapping[str, Any], file: str | Path | None = None) -> Membership:
    """Find the splits of the training that a checkpoint came from.

    A checkpoint of `xattn train` holds the hash of its splits.csv, which lies beside it. Only a
    file of that hash is believed without being named; one that is named is taken, with a caveat
    if the hash is another or the checkpoint holds none.

    Of an ensemble an image is in the part that is nearest the training of any member: one that a
    single fold was trained on was trained on.

    Args:
        source: `Model.source` of the loaded checkpoint: `path`, and `extra` with `splits_sha256`;
            or `members`, the sources of those of an ensemble.
        file: a splits.csv named by the caller, instead of the one beside the checkpoint.

    Raises:
        XattnError: the file that was named cannot be read.
    """
    if "members" in source:
        return _joined([membership(one, file) for one in source["members"]])
    wanted = source.get("extra", {}).get("splits_sha256")
    if file is not None:
        return _named(as_path(file, "a splits.csv"), wanted, unlike_in(source.get("extra")))
    if "path" not in source:
        return Membership(caveat="the model came from no file")
    if wanted is None:
        return Membership(caveat="the checkpoint does not say which images it was trained on")
    place = Path(source["path"])  # a folder holds its checkpoint and the splits
    beside = (place if place.is_dir() else place.parent) / "splits.csv"
    if not beside.is_file():
        return Membership(caveat=f"{beside} is not there; name it with --splits")
    if file_sha256(beside) != wanted:
        return Membership(caveat=f"{beside} is not the file that the checkpoint was trained with")
    unlike = unlike_in(source.get("extra"))
    return Membership(read_splits(beside), read_domains(beside), beside, unlike=unlike)


def _joined(found: Sequence[Membership]) -> Membership:
    """Return what is known of an ensemble of what is known of its members."""
    known = [one for one in found if one.known]
    caveats = list(dict.fromkeys(one.caveat for one in found if one.caveat))
    if not known:
        return Membership(caveat=caveats[0] if caveats else "")
    splits: dict[str, Split] = {}
    for one in known:
        for id_, split in one.splits.items():
            splits[id_] = min(splits.get(id_, split), split, key=SPLITS.index)
    if len(known) < len(found):
        caveats.insert(0, f"they are known of {len(known)} of the {len(found)} members alone")
    domains = {id_: domain for one in known for id_, domain in one.domains.items()}
    unlike = tuple(dict.fromkeys(line for one in known for line in one.unlike))
    return Membership(splits, domains, known[0].file, "; ".join(caveats), unlike)


def unlike_in(training: Any) -> tuple[str, ...]:
    """Return what a checkpoint's record says of splits that are not alike; () if it says nothing.

    Args:
        training: `extra` of the checkpoint, in whatever state it is.
    """
    told = training.get("unlike") if isinstance(training, Mapping) else None
    return tuple(map(str, told)) if isinstance(told, list) else ()


def _named(file: Path, wanted: str | None, unlike: tuple[str, ...]) -> Membership:
    caveat = ""
    if not file.is_file():
        raise XattnError(f"Expected splits in {file}, but there is no such file")
    if wanted is None:
        caveat = f"the checkpoint does not say that {file} are the splits it was trained with"
    elif file_sha256(file) != wanted:
        caveat = f"{file} is not the file that the checkpoint was trained with"
    return Membership(read_splits(file), read_domains(file), file, caveat, () if caveat else unlike)
