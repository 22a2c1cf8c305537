"""From an address that a user named to the path that stands for it."""

from __future__ import annotations

import os
from contextlib import suppress
from glob import has_magic
from pathlib import Path
from typing import Any

from xattn.addresses import scratch
from xattn.addresses.address import Address, is_address, local_file, parse
from xattn.addresses.failures import AddressError
from xattn.addresses.mirror import MIRROR
from xattn.addresses.stores import Store, open_store

_HOLDS_MEMBERS = (".zip", ".tar", ".h5", ".hdf5", ".hdf", ".npz")


def local(given: Any) -> Any:
    """Return the path that an address stands for; anything else as it is.

    What lies there is listed, and nothing is fetched yet.

    Raises:
        UsageError: it is no address that can be read.
        AddressError: the store cannot be reached, or has no such bucket.
    """
    if not is_address(given):
        return given
    plain = local_file(given)
    if plain is not None:
        return plain
    address = parse(given)
    store = open_store(address)
    path = scratch.path_of(address)
    folder = str(os.fspath(given)).endswith("/")
    facts = None if folder or len(address.parts) == 1 else store.facts(address)
    if facts is not None:
        with suppress(AddressError):  # who may read an object may not always list its folder
            _beside(address)
        MIRROR.place(str(path), facts)
    elif not MIRROR.list_folder(address, deep=True):
        _further(store, address)
    return path


def _beside(address: Address) -> None:
    """List what lies beside a file, such as the splits beside a checkpoint."""
    MIRROR.list_folder(Address(address.protocol, address.parts[:-1]), deep=False)


def _further(store: Store, address: Address) -> None:
    """List where a pattern begins, or find the archive that an address goes on inside of."""
    for i, part in enumerate(address.parts[1:], start=1):
        upper = Address(address.protocol, address.parts[: i + 1])
        if has_magic(part) or "{id}" in part:
            MIRROR.list_folder(Address(address.protocol, address.parts[:i]), deep=True)
            return
        if part.lower().endswith(_HOLDS_MEMBERS) and (facts := store.facts(upper)) is not None:
            MIRROR.place(str(scratch.path_of(upper)), facts)
            return


def known_path(file: str) -> Path:
    """Return where an address that stands in a record would lie; opens nothing."""
    return scratch.path_of(parse(file))
