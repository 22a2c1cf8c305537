"""Which files are images: by an ending of which the decoder can read the format, or by content."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath

from PIL import Image

_NO_IMAGE = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"})
"""Formats that Pillow knows by name, and draws with another program or not at all."""

DOCUMENTS = frozenset({
    ".csv", ".db", ".doc", ".docx", ".gz", ".h5", ".html", ".ini", ".ipynb", ".js", ".json",
    ".jsonl", ".log", ".md", ".npy", ".npz", ".parquet", ".pdf", ".pkl", ".pt", ".pth", ".py",
    ".safetensors", ".sh", ".tab", ".tar", ".toml", ".tsv", ".txt", ".xls", ".xlsx", ".xml",
    ".yaml", ".yml", ".zip",
})  # fmt: skip
"""Endings of what lies beside images and is none; such files are not opened to see."""

_BEGINNINGS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000
    b"\xff\x4f\xff\x51",
)
_TIFF = (b"II*\0", b"MM\0*")


@lru_cache(maxsize=1)
def endings() -> frozenset[str]:
    """Return the endings, in lower case with their dot, of what Pillow and its plugins decode."""
    Image.init()
    known = Image.registered_extensions().items()
    return frozenset(e for e, name in known if name in Image.OPEN and name not in _NO_IMAGE)


def is_image(path: str) -> bool:
    """Say whether a file is to be taken as an image.

    By its ending if that is one of `endings()`; else by its first bytes, so that a photo without
    an ending or with that of another program is taken. Raw files of cameras and slides of scanners
    begin as TIFF, and are read by it as the thumbnail they hold: TIFF is known by its ending, or
    if there is none.
    """
    ending = PurePath(path).suffix.lower()
    if ending in endings():
        return True
    if ending in DOCUMENTS:
        return False
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError:
        return False
    if start.startswith(_BEGINNINGS) or (not ending and start.startswith(_TIFF)):
        return True
    return (start[:4], start[8:12]) == (b"RIFF", b"WEBP") or start[4:12] in (
        b"ftypavif",
        b"ftypavis",
    )
