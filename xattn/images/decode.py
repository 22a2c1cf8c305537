"""One decoder for every file, so that an image and its mask can never go out of step.

Pillow is used although OpenCV decodes a third faster: it reports truncation instead of returning
a half-grey image, and it tells modes and orientation apart.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from xattn.errors import ImageError, one_line
from xattn.images import dicom
from xattn.images.channels import (
    COLOURS,
    expect_colours,
    is_npy,
    read_channels,
    read_npy,
    samples_of,
    tiff_samples,
)
from xattn.images.containers import expect_unpacked, read_content, split_member
from xattn.images.deep_colour import deep_bits, read_deep_colour
from xattn.images.kinds import is_heic, register_plugins
from xattn.images.levels import (
    CUT,
    NARROW,
    LevelError,
    Levels,
    Window,
    channels_to_levels,
    in_8_bits,
    to_levels,
)
from xattn.images.masks import MaskError, inside
from xattn.images.notes import array_note, depth_in_words, describe, joined, turn_in_words

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, in pixels: the size at which Pillow suspects a bomb (512 MB)."""


_LOSSY = ("JPEG", "MPO", "WEBP")
_DARK = 64
_ON_ITS_SIDE = (5, 6, 7, 8)
_DICOM = "DICOM"

Enough = Callable[[int, int], tuple[int, int]]
"""Says for an upright (width, height) down to which (width, height) an image may be reduced."""


@dataclass(frozen=True)
class Decoded:
    """An upright image and what was done to get it.

    Attributes:
        levels: 8-bit RGB, or, of a deeper file, float32 (height, width) or (height, width, 3) of
            0 to 255, not rounded; the orientation is already applied. Of another number of
            channels, uint8 or float32 (height, width, channels).
        note: how the file differed from plain 8-bit RGB ("CMYK", "16-bit grey", ...), or "".
        orientation: EXIF orientation of the file, 1 (as stored) to 8.
        size: (width, height) of the upright original; `levels` are fewer if it was reduced.
    """

    levels: Levels
    note: str
    orientation: int
    size: tuple[int, int]

    @property
    def image(self) -> Image.Image:
        """The image in 8-bit RGB, for people to look at; `image.size` is (width, height)."""
        return in_8_bits(self.levels)


def read_image(
    path: str | Path,
    max_pixels: int = MAX_PIXELS,
    enough: Enough | None = None,
    window: Window = None,
    channels: int = COLOURS,
) -> Decoded:
    """Decode one image file upright, at its depth.

    Alpha is dropped and palettes, CMYK and grey are converted as torchvision's loader does it;
    values deeper than 8 bits are scaled and not rounded, see `xattn.images.levels`; of an animation
    the first frame is taken. The EXIF orientation is applied, exactly once. A DICOM is shown as a
    viewer shows it, see `xattn.images.dicom`.

    Args:
        path: file of any format Pillow reads, a DICOM, or a member of a zip, tar or HDF5 file, as
            `scans.zip/a.png`.
        max_pixels: larger images are refused before they are decoded.
        enough: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, several times faster, as
            long as it stays at least as large as this says for its upright (width, height).
        window: values shown as black and white, of images deeper than 8 bits.
        channels: how many a network takes. Three are colours, or grey three times; of another
            number all are read, of one page or of several, see `xattn.images.channels`.

    Raises:
        ImageError: the file is missing, empty, no image, damaged or too large, its values need
            a window, or it has another number of channels.
    """
    if channels != COLOURS:
        return _read_all(Path(path), max_pixels, window, channels)
    image, note, orientation, size, form = _open(Path(path), max_pixels, enough, window)
    if form == _DICOM:  # its own rules have made levels of it
        return Decoded(image, note, orientation, size)
    try:
        levels, said = to_levels(image, window)
    except LevelError as err:
        what, _, rest = str(err).partition(", but got")
        raise ImageError(f"{what} in {path}, but got{rest}") from None
    except Exception as err:  # conversions go through the decoders' code too
        raise ImageError(
            f"Expected an image that becomes RGB in {path}, but converting failed: {one_line(err)}"
        ) from None
    if CUT in note and int(np.asarray(levels).max(initial=0)) < _DARK:
        said = f"{NARROW}; rescale the file"
    return Decoded(levels, joined(note, said), orientation, size)


def _read_all(path: Path, max_pixels: int, window: Window, channels: int) -> Decoded:
    try:
        expect_plain_file(path)
        values, orientation = read_channels(read_content(path), str(path), max_pixels)
    except FileNotFoundError:
        raise ImageError(f"Expected a file at {path}, but got nothing there") from None
    height, width, found = values.shape
    if found != channels:
        raise ImageError(
            f"Expected {channels} channels in {path}, as the network takes them, but got {found}"
        )
    try:
        levels, said = channels_to_levels(values, window)
    except LevelError as err:
        what, _, rest = str(err).partition(", but got")
        raise ImageError(f"{what} in {path}, but got{rest}") from None
    deep = "" if values.dtype == np.uint8 else f", {depth_in_words(values)}"
    notes = (f"{found} channels{deep}", said, turn_in_words(orientation))
    return Decoded(levels, joined(*notes), orientation, (width, height))


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """Decode one mask file to booleans (height, width), upright.

    True where the value exceeds half of its range (> 127 for 8 bits), so that masks resized with
    interpolation keep their outline; a mask whose largest value is 1 is taken as 0/1. Palettes are
    read by index, drawings on a transparent ground by their alpha, colours as one beside black or
    white: see `xattn.images.masks`.

    Raises:
        ImageError: as `read_image`; or the mask has something in it and nothing above half, holds
            several labels, or is a photograph.
    """
    image, _, _, _, form = _open(Path(path), max_pixels)
    if not isinstance(image, Image.Image):
        image = in_8_bits(image if form == _DICOM else to_levels(image)[0])
    try:
        return inside(image, lossy=form in _LOSSY)
    except MaskError as err:
        what, _, rest = str(err).partition(", but got")
        raise ImageError(f"{what} in {path}, but got{rest}") from None


Loaded = tuple["Image.Image | NDArray[Any]", str, int, tuple[int, int], str]
"""An upright image or its values, the note, its orientation, (width, height) of the upright
original, and the name of its format."""


def _open(
    path: Path, max_pixels: int, enough: Enough | None = None, window: Window = None
) -> Loaded:
    """Load one file upright; every way in which that fails becomes one line."""
    try:
        return _load(path, max_pixels, enough, window)
    except ImageError:
        raise
    except Exception as err:  # a decoder raises anything on damaged bytes
        raise ImageError(
            f"Expected a whole image in {path}, but decoding failed: {one_line(err)}"
        ) from None


def _load(path: Path, max_pixels: int, enough: Enough | None, window: Window) -> Loaded:
    """Load one file upright.

    The bytes are read first: given a name, Pillow maps uncompressed TIFF files into memory and
    scrambles those with an orientation. Warnings are left alone, since silencing them is not safe
    in threads.
    """
    try:
        expect_plain_file(path)
        data = read_content(path)
        if isinstance(data, bytes) and is_npy(data):
            data = read_npy(data, str(path))
        if not isinstance(data, bytes):
            expect_colours(data.shape[2] if data.ndim == 3 else 1, str(path))
            return data, array_note(data), 1, (data.shape[1], data.shape[0]), "array"
        if not data:
            raise ImageError(f"Expected an image in {path}, but got a file of zero bytes")
        if dicom.is_dicom(data) or path.suffix.lower() in dicom.ENDINGS:
            image, size, note = dicom.read_dicom(data, str(path), max_pixels, window)
            return image, note, 1, size, _DICOM
        register_plugins()
        image = Image.open(io.BytesIO(data))
        if isinstance(image, TiffImageFile):
            expect_colours(samples_of(image), str(path))
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                f"Expected at most {max_pixels:,} pixels, but got {width} x {height} in {path}"
                "; scale it down first, it may be a decompression bomb"
            )
        form = image.format or ""
        if form == "BMP" and image.mode == "1" and data[28] > 1:
            # Pillow takes its bytes for bits.
            raise ImageError(
                f"Expected an image that Pillow reads, but got a BMP of two greys in {data[28]} "
                f"bits in {path}, which it misreads; save it as PNG"
            )
        bits = deep_bits(image, data)
        note = describe(image, bits)
        # Pillow and OpenCV turn a TIFF while loading it; a PNG may tell its orientation after the
        # pixels.
        orientation = _orientation(image) if image.format == "TIFF" else 1
        if bits == 16:
            turned = orientation if form == "TIFF" else _orientation(image)
            whole = read_deep_colour(data, image.size, 1 if form == "TIFF" else turned)
            if whole is not None:
                note = joined(note.replace(f", {CUT}", ""), turn_in_words(turned))
                return whole, note, turned, (whole.shape[1], whole.shape[0]), form
        if enough is not None and image.format == "JPEG":
            _reduce(image, enough)
        image.load()
        if orientation == 1 and (orientation := _orientation(image)) != 1:
            image = ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise ImageError(f"Expected a file at {path}, but got nothing there") from None
    except UnidentifiedImageError:
        expect_unpacked(path)
        if isinstance(data, bytes) and (found := tiff_samples(data)):
            expect_colours(found, str(path))
            values, turned = read_channels(data, str(path), max_pixels)
            colours = values[..., :COLOURS] if values.shape[2] >= COLOURS else values[..., 0]
            note = joined(f"{depth_in_words(values)} colour", turn_in_words(turned))
            return colours, note, turned, (values.shape[1], values.shape[0]), "TIFF"
        plugin = isinstance(data, bytes) and is_heic(data)
        raise ImageError(
            f"Expected pillow-heif to read the HEIC {path}, but it is not installed; "
            "pip install 'xattn[heic]'"
            if plugin
            else f"Expected an image in {path}, but its content is of no known format"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"Expected at most {max_pixels:,} pixels, but got a decompression bomb in {path}"
        ) from None
    note = joined(note, turn_in_words(orientation))
    if form != "JPEG":
        width, height = image.size  # before a TIFF is loaded, versions of Pillow differ on it
    elif orientation in _ON_ITS_SIDE:
        width, height = height, width
    return image, note, orientation, (width, height), form


def expect_plain_file(path: Path) -> None:
    """Refuse what is no file: reading a pipe or a device would wait for ever.

    Raises:
        ImageError: there is something else at the path.
    """
    if split_member(path) is not None:
        return
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # whoever opens it is told why
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise ImageError(f"Expected a file at {path}, but got {kind}")


def _reduce(image: Image.Image, enough: Enough) -> None:
    """Let the decoder leave out fine detail; the smallest of its scales that is large enough."""
    if _orientation(image) in _ON_ITS_SIDE:
        image.draft(None, enough(*image.size[::-1])[::-1])
    else:
        image.draft(None, enough(*image.size))


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in range(1, 9) else 1
