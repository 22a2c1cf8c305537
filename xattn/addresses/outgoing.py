"""What is written under an address goes up: a file once it is whole, a record after its files.

A folder that a command holds is looked through at each of its records, so that what no single
function writes (arrays, overlays) goes up before the record that is of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from xattn.addresses import scratch
from xattn.addresses.address import Address
from xattn.addresses.failures import AddressError
from xattn.addresses.lock import Held, busy, holder_of, is_alive
from xattn.addresses.mirror import DONE, MIRROR, PROGRESS
from xattn.addresses.stores import Facts, open_store, opened_store
from xattn.errors import RunError

REPLACING = ".replacing"
"""Says that maps and table of a run may be of different images."""
_ARRAYS = ".zarr"


@dataclass
class _Folder:
    """A folder that this process writes."""

    address: Address
    lock: Held
    waiting: dict[str, None] = field(default_factory=dict)


_held: dict[str, _Folder] = {}
_changing = threading.RLock()


@contextmanager
def holding(folder: str | Path, command: str) -> Iterator[None]:
    """Hold a folder at an address for the block: brought up to date, locked, sent up at its end.

    For any other folder nothing is done. Within the block it may be held again.

    Raises:
        RunError: another command writes there.
        AddressError: the store refuses.
    """
    path = os.path.normpath(os.path.abspath(folder))
    address = scratch.address_at(path)
    if address is None or not address.parts:
        yield
        return
    with _changing:
        again = path in _held
    if again:  # whose thread may do so, the lock on the scratch folder knows
        yield
        return
    store = open_store(address)
    with _changing:
        mine = _held[path] = _Folder(address, Held(store, address, command))
    try:
        MIRROR.list_folder(address, deep=True)  # what others wrote before we had the lock
        yield
        _send(path, mine)
        _take_away(path, mine)
    except BaseException as err:
        if not isinstance(err, AddressError):
            with suppress(AddressError, RunError, OSError):  # the first error is told
                _send(path, mine)
        raise
    finally:
        mine.lock.release()
        with _changing:
            del _held[path]


def require_free(folder: str | Path) -> None:
    """Make sure that nobody else writes a folder at an address; nothing for any other.

    Raises:
        RunError: somebody does.
    """
    path = os.path.normpath(os.path.abspath(folder))
    address = scratch.address_at(path)
    store = None if address is None else opened_store(address)
    if address is None or store is None or path in _held:
        return
    holder = holder_of(store, address)
    if holder is not None and is_alive(holder):
        raise RunError(busy(address, holder))


def committed(path: str | Path, *, record: bool = False) -> None:
    """Send up a file that is whole now, if it lies under an address.

    In a folder that is held it waits for the next record; a record of the folder itself waits for
    all that has changed there.

    Args:
        path: the file.
        record: it is one from which a command goes on, whatever its ending.

    Raises:
        RunError: the folder was taken over.
        AddressError: the store refuses.
    """
    if not scratch.is_used():
        return
    text = os.path.normpath(os.path.abspath(path))
    if scratch.address_at(text) is None:
        return
    top, mine = _folder_of(text)
    if mine is None:
        if not _is_own(os.path.basename(text)):
            _put([text])
    elif not (record or text.endswith(".json")):
        with _changing:
            mine.waiting[text] = None
    else:
        if os.path.dirname(text) == top:
            _send(top, mine, last=text)
        else:
            _flush(mine, last=text)


@contextmanager
def sending_all() -> Iterator[None]:
    """Send up, at the end of the block, all that it wrote under any address.

    What an earlier command of this process could not send up is left to that command's own call: it
    would make all others fail with it.

    Raises:
        AddressError: the store refuses.
    """
    before = _facts_of_changed()
    yield
    now = _facts_of_changed()
    _put(sorted((path for path in now if now[path] != before.get(path)), key=_turn))


def _facts_of_changed() -> dict[str, Facts]:
    if not MIRROR.used:
        return {}
    there = {path: os.stat(path) for path in _changed(scratch.root())}
    return {path: Facts(one.st_size, one.st_mtime_ns) for path, one in there.items()}


def _folder_of(path: str) -> tuple[str, _Folder | None]:
    with _changing:
        inside = [top for top in _held if path.startswith(top + os.sep)]
        top = max(inside, key=len, default="")
        return top, _held.get(top)


def _flush(mine: _Folder, last: str) -> None:
    with _changing:
        waiting, mine.waiting = list(mine.waiting), {}
    mine.lock.require()
    _put([path for path in waiting if os.path.isfile(path)])
    _put([last])


def _send(top: str, mine: _Folder, last: str = "") -> None:
    """Send up all that has changed in a folder, what others refer to first."""
    mine.lock.require()
    with _changing:
        mine.waiting = {}
    changed = sorted((path for path in _changed(top) if path != last), key=_turn)
    mark = Address(mine.address.protocol, (*mine.address.parts, REPLACING))
    # Between the two, maps and table would be of different images.
    table = os.path.join(top, "predictions.parquet")
    mixed = table in changed and table in MIRROR.known and any(
        path in MIRROR.known and _ARRAYS + os.sep in path for path in changed
    )  # fmt: skip
    store = open_store(mine.address)
    if mixed:
        store.write(mark, b"")
    _put(changed)
    if mixed and not os.path.exists(os.path.join(top, REPLACING)):
        store.remove([mark])
    if last:
        _put([last])


def _take_away(top: str, mine: _Folder) -> None:
    """Take objects away whose files a command took away: what it needed on the way."""
    start = top + os.sep
    gone = [
        path
        for path in list(MIRROR.known)
        if path.startswith(start) and not os.path.lexists(path) and _may_go(path, top)
    ]
    addresses = {path: scratch.address_at(path) for path in gone}
    left = [address for address in addresses.values() if address is not None]
    left += [
        Address(mine.address.protocol, (*mine.address.parts, *name.split("/")))
        for name in MIRROR.left_over(top)
    ]
    if not left:
        return
    mine.lock.require()
    store = open_store(mine.address)
    done = Address(mine.address.protocol, (*mine.address.parts, DONE))
    store.write(done, b"")
    store.remove(left)
    store.remove([done])
    for path in gone:
        MIRROR.forgotten(path)


def _may_go(path: str, top: str) -> bool:
    """Say whether an object may be deleted: only what is hidden, or of an array that is there."""
    parts = path[len(top) + 1 :].split(os.sep)
    if parts[0] in (PROGRESS, REPLACING) or PROGRESS in parts:
        return True
    array = next((i for i, part in enumerate(parts) if part.endswith(_ARRAYS)), None)
    if array is None or len(parts) < array + 2:
        return False
    return os.path.isfile(os.path.join(top, *parts[: array + 2], "zarr.json"))


def _changed(top: str) -> Iterator[str]:
    """Yield the files below a folder that their store does not have as they are."""
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name == PROGRESS or name[:1] != "."]
        for name in files:
            path = os.path.join(folder, name)
            if not _is_own(name) and not MIRROR.clean(path) and not os.path.islink(path):
                yield path


def _is_own(name: str) -> bool:
    return (name[:1] == "." and name != REPLACING) or name.endswith((".fetch", ".blank"))


def _turn(path: str) -> tuple[int, str]:
    """Sort what refers to others after them: of an array its chunks, then tables, then records."""
    if path.endswith(f"{os.sep}zarr.json"):
        return 1, path
    if path.endswith((".parquet", ".csv")):
        return 2, path
    return (3, path) if path.endswith(".json") else (0, path)


def _put(paths: list[str]) -> None:
    """Send files up, those of one turn together."""
    turns: dict[tuple[int, str, str], list[tuple[str, Address, Facts]]] = {}
    for path in paths:
        address = scratch.address_at(path)
        if address is None or len(address.parts) < 2:
            continue
        there = os.stat(path)
        facts = Facts(there.st_size, there.st_mtime_ns)
        turn = (_turn(path)[0], address.protocol, address.host)
        turns.setdefault(turn, []).append((path, address, facts))
    for (_, protocol, host), files in sorted(turns.items()):
        open_store(Address(protocol, (host,))).put([(path, to) for path, to, _ in files])
        for path, _, facts in files:
            MIRROR.written(path, facts)
