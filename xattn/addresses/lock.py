"""A lock object in a folder at an address: who writes there, since when, last alive when.

A store has no locks that end with their holder. The object says when its holder was last alive;
who finds one that was silent for `LAPSE` seconds, or whose process on this machine is no more,
takes it over. Who was taken over finds another's name there before it writes again, and stops.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import socket
import threading
from contextlib import suppress
from typing import Any

from xattn.addresses.address import Address
from xattn.addresses.failures import NoObjectError
from xattn.addresses.stores import Store
from xattn.errors import RunError, XattnError

NAME = ".lock"
RENEWED = 30.0
"""Seconds between two signs of life."""
LAPSE = 180.0
"""Seconds of silence after which a holder is taken for dead."""
_ATTEMPTS = 3


class Held:
    """A lock that this process has, renewed by a thread until it is given back.

    Args:
        store: of the folder.
        folder: its address.
        command: told to those who come meanwhile.

    Raises:
        RunError: another process has it.
        AddressError: the store refuses.
    """

    def __init__(self, store: Store, folder: Address, command: str) -> None:
        self._store, self._folder = store, folder
        self._place = lock_of(folder)
        self._facts = {
            "pid": os.getpid(), "host": socket.gethostname(), "machine": _machine(),
            "command": command, "since": _now().isoformat(timespec="seconds"),
            "token": secrets.token_hex(8),
        }  # fmt: skip
        self._over = threading.Event()
        self._take()
        self._beat = threading.Thread(target=self._renew, name="lock", daemon=True)
        self._beat.start()

    def require(self) -> None:
        """Make sure that nobody has taken the lock over.

        Raises:
            RunError: somebody has; nothing more may be written.
        """
        now = holder_of(self._store, self._folder)
        if now is None or now.get("token") != self._facts["token"]:
            who = "nobody" if now is None else _who(now)
            raise RunError(
                f"Expected {self._folder} for this command alone, but its lock is {who}'s now: "
                "it was not renewed in time, or deleted; nothing more is written there, repeat "
                "the command to go on"
            )

    def release(self) -> None:
        """Give the lock back, if it is still there."""
        self._over.set()
        with suppress(XattnError, OSError):
            self.require()
            self._store.remove([self._place])

    def _take(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                self._store.write(self._place, self._content(), new=True)
            except FileExistsError:
                holder = holder_of(self._store, self._folder)
                if holder is None:
                    continue
                if is_alive(holder):
                    raise RunError(busy(self._folder, holder)) from None
                self._store.remove([self._place])
                continue
            self.require()
            return
        raise RunError(f"Expected {self._folder} for this command alone, but others want it too")

    def _renew(self) -> None:
        while not self._over.wait(RENEWED):
            with suppress(XattnError, OSError):  # whoever writes next is told
                self.require()
                if not self._over.is_set():
                    self._store.write(self._place, self._content())

    def _content(self) -> bytes:
        return json.dumps({**self._facts, "alive": _now().isoformat(timespec="seconds")}).encode()


def lock_of(folder: Address) -> Address:
    """Return the address of the lock object of a folder."""
    return Address(folder.protocol, (*folder.parts, NAME))


def holder_of(store: Store, folder: Address) -> dict[str, Any] | None:
    """Read who has a folder; None if nobody has, {} if the object does not say."""
    try:
        content = store.read(lock_of(folder))
    except NoObjectError:
        return None
    try:
        facts = json.loads(content)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def is_alive(holder: dict[str, Any]) -> bool:
    """Say whether a holder may still be at work."""
    if holder.get("machine") == _machine() and isinstance(holder.get("pid"), int):
        try:
            os.kill(holder["pid"], 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass
    silent = _silent(holder)
    return silent is None or silent < LAPSE


def busy(folder: Address, holder: dict[str, Any]) -> str:
    """Say who is at work on a folder."""
    silent = _silent(holder)
    alive = "" if silent is None else f", last alive {max(0, round(silent))} s ago"
    since = f" since {holder['since']}{alive}" if "since" in holder else ""
    return (
        f"Expected {folder} for this command alone, but {_who(holder)} is at work on it{since}; "
        f"wait until it ends, or name another folder; should it be gone, wait {LAPSE:.0f} s or "
        f"delete {lock_of(folder)}"
    )


def _who(holder: dict[str, Any]) -> str:
    if "pid" not in holder:
        return "another process"
    command = f" ({holder['command']})" if holder.get("command") else ""
    return f"process {holder['pid']} on {holder.get('host', 'another machine')}{command}"


def _silent(holder: dict[str, Any]) -> float | None:
    try:
        return (_now() - dt.datetime.fromisoformat(str(holder["alive"]))).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _machine() -> str:
    """Tell apart machines, and containers, whose numbers of processes say nothing to each other."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()
