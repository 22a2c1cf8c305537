"""The files below a folder, through links, each once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_LITTER = frozenset(
    ("@eadir", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "#recycle",
     "lost+found", "system volume information")
)  # fmt: skip
"""Names, in lower case, of what systems and network disks leave among a user's files."""


OWN = ("run.json", "study.json")
"""Files that mark a folder as one that we wrote: a run's, a study's."""


def is_litter(name: str) -> bool:
    """Say whether a file or folder is hidden, or left by a system (`._a.jpg`, `Thumbs.db`)."""
    return name.startswith(".") or name.lower() in _LITTER


class Walk:
    """Goes through a folder; iterating gives (folder, file name) of every plain file once.

    Links to folders and files are followed. What can be reached without a link goes by that name;
    what was there before is passed over, so loops end. Litter is passed over, and so is what lies
    in a run folder or a study, whose overlays and figures are no inputs. Folders are not in order.

    Attributes:
        root: where it begins.
        again: links to what was reached otherwise.
        odd: what is no file and no folder, with the reason: links that lead nowhere, pipes,
            folders that may not be read. Filled while it goes on.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self.again = 0
        self.odd: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield files; those behind links come last."""
        folders = [(self.root, os.path.realpath(self.root))]
        been: set[str] = set()
        listed: set[str] = set()  # without run folders, of which no file is taken
        linked_folders: list[str] = []
        linked_files: list[str] = []
        while folders or linked_folders:
            if not folders:
                linked_folders.sort(reverse=True)
                link = linked_folders.pop()
                folders.append((link, os.path.realpath(link)))
                if folders[0][1] in been:
                    self.again += 1
            folder, real = folders.pop()
            if real in been:
                continue
            been.add(real)
            entries = self._entries(folder)
            if entries:
                listed.add(real)
            for entry in entries:
                if is_litter(entry.name):
                    continue
                if entry.is_symlink():
                    if os.path.isdir(entry.path):  # entry.is_dir() raises on a link to itself
                        linked_folders.append(entry.path)
                    else:
                        linked_files.append(entry.path)
                elif entry.is_dir():
                    folders.append((entry.path, os.path.join(real, entry.name)))
                elif entry.is_file():
                    yield folder, entry.name
                else:
                    self.odd.append((entry.path, "a pipe, a socket or a device"))
        yield from self._files_behind(sorted(linked_files), listed)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as err:
            self.odd.append((folder, err.strerror or str(err)))
            return []
        return [] if any(e.name in OWN for e in entries) else entries

    def _files_behind(self, links: list[str], listed: set[str]) -> Iterator[tuple[str, str]]:
        taken: set[str] = set()
        for link in links:
            real = os.path.realpath(link)
            real_name = os.path.basename(real)
            if not os.path.exists(link):
                self.odd.append((link, "a link that leads nowhere"))
            elif not os.path.isfile(link):
                self.odd.append((link, "a link to a pipe, a socket or a device"))
            elif real in taken or (os.path.dirname(real) in listed and not is_litter(real_name)):
                self.again += 1
            else:
                taken.add(real)
                yield os.path.split(link)
