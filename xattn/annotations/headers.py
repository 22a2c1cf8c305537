"""The size and orientation of an image file, without decoding its pixels."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from xattn.errors import ImageError, one_line
from xattn.images import dicom
from xattn.images.channels import stored_size
from xattn.images.containers import read_content, split_member
from xattn.images.decode import MAX_PIXELS, expect_plain_file
from xattn.images.kinds import register_plugins
from xattn.images.orientation import SWAPPED

_PNG = b"\x89PNG\r\n\x1a\n"
_DICOM_MARK = 132
"""Bytes by which a DICOM is known."""
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    Attributes:
        width, height: in pixels, upright (after the orientation is applied).
        orientation: as EXIF defines it, 1 (as stored) to 8.
    """

    width: int
    height: int
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, upright."""
        return self.width, self.height


def read_header(path: str | Path) -> Header:
    """Read the size and orientation of one image file, as `xattn.images.read_image` will find it.

    A PNG is walked through chunk by chunk, ten times faster than Pillow opens it, and with its
    end seen to be there; of other formats a truncated end goes unnoticed here.

    Raises:
        ImageError: the file is missing, empty, no image, damaged or too large.
    """
    path = Path(path)
    try:
        expect_plain_file(path)
        if split_member(path) is None:
            with path.open("rb") as file:
                header = _header(file, path)
        else:
            content = read_content(path)
            if isinstance(content, bytes):
                header = _header(io.BytesIO(content), path)
            else:
                header = Header(content.shape[1], content.shape[0], orientation=1)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"Expected a file at {path}, but got nothing there") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        header = None
    except UnidentifiedImageError:
        raise ImageError(
            f"Expected an image in {path}, but its content is of no known format"
        ) from None
    except struct.error:
        raise ImageError(f"Expected a whole image in {path}, but the file ends too early") from None
    except Exception as err:  # a decoder raises anything on damaged bytes
        raise ImageError(
            f"Expected a whole image in {path}, but reading failed: {one_line(err)}"
        ) from None
    if header is None or header.width * header.height > MAX_PIXELS:
        raise ImageError(f"Expected at most {MAX_PIXELS:,} pixels, but got more in {path}")
    return header


def _header(file: BinaryIO, path: Path) -> Header | None:
    header = _png_header(file)
    if header is not None:
        return header
    file.seek(0)
    if path.suffix.lower() in dicom.ENDINGS or dicom.is_dicom(file.read(_DICOM_MARK)):
        file.seek(0)
        return Header(*dicom.dicom_size(file.read(), str(path)), orientation=1)
    file.seek(0)
    register_plugins()
    try:
        return _any_header(file)
    except UnidentifiedImageError:
        file.seek(0)
        stored = stored_size(file.read())
        if stored is None:
            raise
        width, height, orientation = stored
        if orientation in SWAPPED:
            width, height = height, width
        return Header(width, height, orientation if orientation in range(1, 9) else 1)


def _any_header(file: BinaryIO) -> Header:
    with Image.open(file) as image:
        if image.format == "PNG":
            image.load()  # its orientation may come after the pixels
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        orientation = orientation if orientation in range(1, 9) else 1
        width, height = image.size
        if isinstance(image, TiffImageFile):  # some versions of Pillow swap the size, others do not
            width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
    if orientation >= 5:
        width, height = height, width
    return Header(width, height, orientation)


def _png_header(file: BinaryIO) -> Header | None:
    """Walk through a PNG's chunks; None if it is no PNG or one that may carry an orientation."""
    if file.read(8) != _PNG:
        return None
    size = (0, 0)
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IEND":
            return Header(*size, orientation=1)
        if kind == b"eXIf":
            return None
        if kind == b"IHDR":
            size = struct.unpack(">II", file.read(8))
            length -= 8
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and length >= 4:
            if file.read(4) in (b"Raw ", b"XML:"):  # profiles of EXIF and XMP, as ImageMagick's
                return None
            length -= 4
        file.seek(length + 4, 1)
