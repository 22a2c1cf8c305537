"""Images of any number of channels: multispectral, colours and a mask, several views.

A file's channels are the samples of its pixels; of a TIFF of several pages those of all pages, in
their order.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from xattn.errors import ImageError, one_line
from xattn.images import dicom
from xattn.images.containers import Content
from xattn.images.deep_colour import deep_bits
from xattn.images.kinds import register_plugins
from xattn.images.npz import npy_header
from xattn.images.orientation import turn_upright
from xattn.images.pixel_arrays import channel_axis

if TYPE_CHECKING:
    from tifffile import TiffFile

COLOURS = 3
"""Channels of a network of colour images, which takes grey ones too."""
_WITH_ALPHA = 4
_AXES = 3  # rows, columns, channels
_NPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SAMPLES = 277
_MOST_PAGES = 1000


def is_npy(data: bytes) -> bool:
    """Say whether bytes begin as those of a .npy file of numpy do."""
    return data.startswith(_NPY)


def read_npy(data: bytes, where: str) -> NDArray[Any]:
    """Return the pixels of a .npy file, (h, w) or (h, w, channels).

    Raises:
        ImageError: it holds no image, or several.
    """
    try:
        pixels = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as err:  # damaged, or objects
        raise ImageError(f"Expected an array of numbers in {where}, but: {one_line(err)}") from None
    axis = channel_axis(pixels.shape)
    if pixels.dtype.kind not in "uif" or pixels.ndim not in (2, 3) or axis is None:
        raise ImageError(
            f"Expected an image (h, w) or (h, w, channels) in {where}, but got an array "
            f"{pixels.shape} of {pixels.dtype}; save several images as one .npz"
        )
    return np.ascontiguousarray(np.moveaxis(pixels, axis, -1) if pixels.ndim == 3 else pixels)


def expect_colours(channels: int, where: str) -> None:
    """Refuse what is neither grey nor colours, with alpha or without.

    Raises:
        ImageError: a network of three channels would see some of it alone.
    """
    if channels > _WITH_ALPHA or channels < 1:
        raise ImageError(
            f"Expected {COLOURS} channels in {where}, as the network takes them, or grey, but got "
            f"{channels}"
        )


def samples_of(image: TiffImageFile) -> int:
    """Return the samples of a pixel of a TIFF, of which Pillow may show the first alone."""
    samples = int(image.tag_v2.get(_SAMPLES, 1))
    shown = len(image.getbands())
    return samples if samples > max(shown, 2) else shown


def tiff_samples(data: bytes) -> int:
    """Return the samples of a pixel of a TIFF that Pillow does not open; 0 if it is none."""
    if not data.startswith(_TIFF):
        return 0
    try:
        with _tiff(data) as tiff:
            samples = tiff.pages.first.samplesperpixel
    except Exception:  # damaged: said by whoever reads it
        return 0
    return int(samples)


def _tiff(data: bytes) -> TiffFile:
    """Open a TIFF by tifffile, whose log of what is wrong with one is no line of ours."""
    import tifffile

    log = logging.getLogger("tifffile")
    if not log.handlers:  # Python prints what no handler takes
        log.addHandler(logging.NullHandler())
    return tifffile.TiffFile(io.BytesIO(data))


def stored_size(data: bytes) -> tuple[int, int, int] | None:
    """Return (width, height) as stored and the orientation of what Pillow does not open.

    None if it is neither a .npy file nor a TIFF.
    """
    if is_npy(data):
        shape, _ = npy_header(io.BytesIO(data))
        axis = channel_axis(shape)
        sides = shape if len(shape) == 2 else shape[:-1] if axis == -1 else shape[1:]
        return (sides[1], sides[0], 1) if axis is not None else None
    if not data.startswith(_TIFF):
        return None
    with _tiff(data) as tiff:
        first = tiff.pages.first
        return first.imagewidth, first.imagelength, int(first.tags.valueof("Orientation", 1))


def read_channels(data: Content, where: str, max_pixels: int) -> tuple[NDArray[Any], int]:
    """Return all channels of one image, upright, (h, w, channels), and its EXIF orientation.

    Args:
        data: the whole file, or pixels of a file of arrays.
        where: its name, for messages.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        ImageError: it is no image, damaged or too large.
    """
    orientation = 1
    if not isinstance(data, bytes):
        values = data
    elif not data:
        raise ImageError(f"Expected an image in {where}, but got a file of zero bytes")
    elif is_npy(data):
        values = read_npy(data, where)
    elif dicom.is_dicom(data):
        levels, _, _ = dicom.read_dicom(data, where, max_pixels)
        values = np.asarray(levels)
    else:
        try:
            values, orientation = _read(data, where, max_pixels)
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError(
                f"Expected an image in {where}, but its content is of no known format"
            ) from None
        except Exception as err:  # a decoder raises anything on damaged bytes
            raise ImageError(
                f"Expected a whole image in {where}, but decoding failed: {one_line(err)}"
            ) from None
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != _AXES or not values.size:
        raise ImageError(
            f"Expected an image in {where}, but got none: an array of shape {values.shape}"
        )
    return turn_upright(values, orientation), orientation


def _read(data: bytes, where: str, max_pixels: int) -> tuple[NDArray[Any], int]:
    if not data.startswith(_TIFF):
        return _by_pillow(data, where, max_pixels)
    try:
        with _tiff(data) as tiff:
            first = tiff.pages.first
            # Their number first, which a chain of pages that bites its tail ends; a loop over them
            # goes round for ever.
            if (count := len(tiff.pages)) > _MOST_PAGES:
                raise ImageError(
                    f"Expected at most {_MOST_PAGES} pages in {where}, but got {count}"
                )
            every = [tiff.pages[i] for i in range(count)]
            pages = [page for page in every if not (page.keyframe or first).is_reduced]
            for key in (page.keyframe or first for page in pages):
                _expect_size(key.imagewidth, key.imagelength * len(pages), where, max_pixels)
            parts = [_channels_last(page.asarray(), page.axes, where) for page in pages]
            orientation = int(first.tags.valueof("Orientation", 1))
    except ValueError as err:
        if "imagecodecs" not in str(err):
            raise
        try:  # Pillow knows the compressions of plain pages
            return _by_pillow(data, where, max_pixels)
        except UnidentifiedImageError:
            raise ImageError(
                f"Expected a compression that tifffile reads in {where}, but it needs imagecodecs; "
                "pip install imagecodecs, or save it without compression"
            ) from None
    return _joined(parts, where), orientation if orientation in range(1, 9) else 1


def _joined(pages: list[NDArray[Any]], where: str) -> NDArray[Any]:
    sizes = sorted({page.shape[:2] for page in pages})
    if len(sizes) > 1:
        raise ImageError(f"Expected pages of one size in {where}, but got {sizes}")
    kinds = sorted({page.dtype.name for page in pages})
    if len(kinds) > 1:
        raise ImageError(f"Expected pages of one depth in {where}, but got {', '.join(kinds)}")
    return np.concatenate(pages, axis=-1)


def _channels_last(page: NDArray[Any], axes: str, where: str) -> NDArray[Any]:
    if axes == "YX":
        return page[..., None]
    if axes in ("YXS", "SYX"):
        return page if axes == "YXS" else np.moveaxis(page, 0, -1)
    raise ImageError(f"Expected pages of (h, w) or (h, w, channels) in {where}, but got {axes}")


def _by_pillow(data: bytes, where: str, max_pixels: int) -> tuple[NDArray[Any], int]:
    register_plugins()
    image = Image.open(io.BytesIO(data))
    _expect_size(*image.size, where, max_pixels)
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if isinstance(image, TiffImageFile):
        frames = [np.asarray(frame) for frame in ImageSequence.Iterator(image)]
        frames = [frame[..., None] if frame.ndim == 2 else frame for frame in frames]
        return _joined(frames, where), 1  # Pillow has turned them
    if deep_bits(image, data) == 16:
        import cv2

        found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
        if found is not None and found.dtype == np.uint16:
            order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(found.shape[2] if found.ndim == 3 else 1)
            values: NDArray[Any] = found if order is None else found[..., order]
            return values, orientation if orientation in range(1, 9) else 1
    if image.mode == "P":
        return np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB")), 1
    return np.asarray(image), orientation if orientation in range(1, 9) else 1


def _expect_size(width: int, height: int, where: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"Expected at most {max_pixels:,} pixels, but got {width} x {height} in {where}"
        )
