"""Which formats are decoded: by their endings, and by how their files begin."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from PIL import Image

from xattn.images import dicom

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
_HEIC_PLUGINS = ("pillow_heif", "pi_heif")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
SEEN = 132
"""Bytes by which a format is known; those of DICOM come after 128 others."""
_TIFF = (b"II*\0", b"MM\0*")


@lru_cache(maxsize=1)
def endings() -> frozenset[str]:
    """Return the endings, in lower case with their dot, of what is decoded, DICOM among them."""
    register_plugins()
    known = Image.registered_extensions().items()
    pillow = {e for e, name in known if name in Image.OPEN and name not in _NO_IMAGE}
    return frozenset(pillow | dicom.ENDINGS)


@lru_cache(maxsize=1)
def register_plugins() -> None:
    """Make Pillow know its formats, and HEIC if a plugin for it is installed."""
    Image.init()
    for name in _HEIC_PLUGINS:
        try:
            plugin = import_module(name)
        except ImportError:
            continue
        plugin.register_heif_opener()
        return


def is_heic(data: bytes) -> bool:
    """Say whether bytes begin as those of a HEIC file do, which needs a plugin."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def begins_as_image(start: bytes, ending: str = "") -> bool:
    """Say whether the first bytes of a file are those of an image."""
    if start.startswith(_BEGINNINGS) or (not ending and start.startswith(_TIFF)):
        return True
    return (
        (start[:4], start[8:12]) == (b"RIFF", b"WEBP")
        or start[4:12] in (b"ftypavif", b"ftypavis")
        or is_heic(start)
        or dicom.is_dicom(start)
    )
