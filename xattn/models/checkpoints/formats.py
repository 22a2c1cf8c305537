"""What a file is that is no checkpoint, told by its first bytes: its name says nothing."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from xattn.errors import CheckpointError

LONGEST_HEADER = 100_000_000
"""Bytes of the longest header that a safetensors file may have, by its format."""

_EXPORT = "load the model where it was made and save `model.state_dict()` with torch.save"

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF\r\n", "an HDF5 file, as Keras and TensorFlow write them", "only PyTorch's are read"),
    (b"\x93NUMPY", "a NumPy array", _EXPORT),
    (b"PAR1", "a Parquet table", "name the checkpoint instead"),
    (b"GGUF", "a GGUF file of a language model", "name an image classifier's checkpoint"),
    (b"\x89PNG", "a PNG image", "name the checkpoint instead"),
    (b"\xff\xd8\xff", "a JPEG image", "name the checkpoint instead"),
    (b"%PDF", "a PDF document", "name the checkpoint instead"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"),
)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a JSON header, then the header."""
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= length <= LONGEST_HEADER


def is_onnx(path: Path) -> bool:
    """Whether a file begins as an ONNX graph does: field 1 of a protobuf message, the version."""
    with path.open("rb") as file:
        start = file.read(64)
    by_torch = start[2:3] == b"\x12" and b"pytorch" in start
    return start[:1] == b"\x08" and (by_torch or path.suffix.lower() == ".onnx")


def refuse_others(path: Path) -> None:
    """Refuse a file that is known to be no checkpoint of PyTorch, and say what it is.

    Raises:
        CheckpointError: it is empty, a pointer, a web page, an archive, another program's file.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    what = _name(path, start)
    if what:
        raise CheckpointError(f"Expected a checkpoint in {path}, but got {what[0]}; {what[1]}")


def _name(path: Path, start: bytes) -> tuple[str, str] | None:
    """Return what a file is and what to do about it; None for what PyTorch may have written."""
    if not start:
        return "an empty file", "download or save it again"
    if not start.strip(b"\0"):
        return "zeros alone", "the copy was cut off; copy or download it again"
    for magic, what, way_out in _STARTS:
        if start.startswith(magic):
            return what, way_out
    if start.startswith(b"PK"):
        return _name_zip(path)
    if start[257:262] == b"ustar":
        return _name_tar(path)
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model", "only PyTorch's are read"
    return _name_text(start)


def _name_zip(path: Path) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive makes it raise anything
        return "a zip archive that is damaged or cut short", "copy, download or save it again"
    ends = [name.rpartition("/")[2] for name in names]
    if "data.pkl" in ends or "constants.pkl" in ends:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy arrays (npz)", _EXPORT
    if "model.weights.h5" in ends:
        return "a Keras model", "only PyTorch's are read"
    inside = _choose(names)
    return f"a zip archive of {len(names)} files", f"unpack it{inside}"


def _name_tar(path: Path) -> tuple[str, str] | None:
    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
    except (tarfile.TarError, OSError, EOFError):
        return "a tar archive that is damaged or cut short", "copy or download it again"
    if {"pickle", "storages", "tensors"} <= set(names):  # as torch wrote before 0.2
        return None
    return f"a tar archive of {len(names)} files", f"unpack it{_choose(names)}"


def _choose(names: Sequence[str]) -> str:
    """Name what looks like a checkpoint in an archive."""
    endings = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
    found = [name for name in names if name.lower().endswith(endings)]
    return f" and name {found[0]!r} in it" if found else " first"


def _name_text(start: bytes) -> tuple[str, str] | None:
    try:
        text = start.decode("utf-8", errors="strict")
    except UnicodeDecodeError as err:
        if err.start < len(start) - 4:  # else a letter was cut in two
            return None
        text = start[: err.start].decode()
    if not text.isprintable() and any(ord(c) < 32 and c not in "\t\n\r\f" for c in text):
        return None  # a pickle of protocol 0 and torch's old format have such letters
    bare = text.lstrip("\ufeff \t\r\n")
    if bare.startswith("version https://git-lfs"):
        size = re.search(r"^size (\d+)", bare, re.MULTILINE)
        of = f" (of {int(size[1]):,} bytes)" if size else ""
        return f"a Git LFS pointer to it{of}", "fetch the file itself with `git lfs pull`"
    if bare[:500].lower().startswith(("<!doctype html", "<html", "<?xml", "<head", "<!--")):
        return "a web page", "the download asked for something; open its address in a browser"
    if bare[:1] in ("{", "["):
        return f"JSON{_message(bare)}", "name the file with the weights"
    first = bare.splitlines()[0][:40] if bare else ""
    return f"text that begins with {first!r}", "name the file with the weights"


def _message(text: str) -> str:
    """Return what a server's answer says, where a download kept that instead of the file."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    said = content.get("error") or content.get("message") if isinstance(content, dict) else None
    return f" that says {said[:60]!r}" if isinstance(said, str) else ""
