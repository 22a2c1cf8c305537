"""DICOM files as the images that a viewer shows: rescaled, windowed, and the right way round.

The steps are those of PS3.3 C.11: stored values become those of the modality (rescale slope and
intercept, or a look-up table), a window makes grey levels of them, and MONOCHROME1 is inverted.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError, one_line
from xattn.images.levels import Levels, Pixels, Window, as_levels, stretched

if TYPE_CHECKING:
    from pydicom import Dataset

ENDINGS = frozenset({".dcm", ".dicom", ".dic"})
_MARK_AT, _MARK = 128, b"DICM"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def is_dicom(data: bytes) -> bool:
    """Say whether bytes begin as those of a DICOM file do."""
    return data[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK


def read_dicom(
    data: bytes, where: str, max_pixels: int, window: Window = None
) -> tuple[Levels, tuple[int, int], str]:
    """Return one DICOM file as an image, its (width, height), and what was done to its values.

    What 8 bits hold is 8-bit RGB; everything else is deep, see `xattn.images.levels`.

    Args:
        data: the whole file.
        where: its name, for messages.
        max_pixels: larger images are refused before they are decoded.
        window: values of the modality (Hounsfield units, for CT) shown as black and white; None
            for the file's own window, else all that its bits can hold.

    Raises:
        ImageError: pydicom is not installed, or the file has no pixels, several frames, or a
            compression that cannot be decoded.
    """
    found = _open(data, where)
    if not any(key in found for key in _PIXELS):
        kind = getattr(found.get("SOPClassUID"), "name", "") or "no class"
        raise ImageError(f"Expected a DICOM with pixels in {where}, but got one without ({kind})")
    width, height = _size(found, where)
    if width * height > max_pixels:
        raise ImageError(
            f"Expected at most {max_pixels:,} pixels, but got {width} x {height} in {where}"
        )
    pixels = _pixels(found, where)
    photometric = str(found.get("PhotometricInterpretation", "MONOCHROME2"))
    if pixels.ndim == 3:
        return as_levels(_colours(pixels, found)), (width, height), f"DICOM, {photometric}"
    values = _of_modality(pixels, found)
    grey, note = _windowed(values, found, window)
    if photometric == "MONOCHROME1":
        grey, note = grey.dtype.type(255) - grey, f"{note}, MONOCHROME1 inverted"
    return as_levels(grey), (width, height), f"DICOM, {note}"


def dicom_size(data: bytes, where: str) -> tuple[int, int]:
    """Return (width, height) of one DICOM file, of which the header is read alone.

    Raises:
        ImageError: as `read_dicom`.
    """
    return _size(_open(data, where, header=True), where)


def _open(data: bytes, where: str, header: bool = False) -> Dataset:
    try:
        import pydicom
    except ImportError:
        raise ImageError(
            f"Expected pydicom to read the DICOM {where}, but it is not installed; "
            "pip install 'xattn[dicom]'"
        ) from None
    try:
        return pydicom.dcmread(
            io.BytesIO(data), stop_before_pixels=header, force=not is_dicom(data)
        )
    except Exception as err:  # a damaged file
        raise ImageError(
            f"Expected a whole DICOM in {where}, but reading failed: {one_line(err)}"
        ) from None


def _size(found: Dataset, where: str) -> tuple[int, int]:
    rows, columns = found.get("Rows"), found.get("Columns")
    if not rows or not columns:
        raise ImageError(
            f"Expected a DICOM with pixels in {where}, but got one without rows and columns"
        )
    frames = int(found.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageError(
            f"Expected a DICOM of one image, but got {frames} frames in {where}; save the frames "
            "that are meant as files of their own"
        )
    return int(columns), int(rows)


def _pixels(found: Dataset, where: str) -> NDArray[Any]:
    """Return stored values (h, w), or colours (h, w, 3)."""
    try:
        pixels = np.asarray(found.pixel_array)
        if str(found.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
            from pydicom.pixels.processing import apply_color_lut

            pixels = np.asarray(apply_color_lut(pixels, found))
    except Exception as err:  # of a decoder, or of keys that contradict each other
        raise ImageError(
            f"Expected a DICOM that can be decoded in {where}, but: {one_line(err)}; where a "
            "decoder is missing, pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
        ) from None
    return pixels[..., :3] if pixels.ndim == 3 else pixels


def _colours(colours: NDArray[Any], found: Dataset) -> Pixels:
    """Scale colours of more than 8 bits; those of a palette have 16, whatever is stored."""
    if colours.dtype == np.uint8:
        return colours
    palette = str(found.get("PhotometricInterpretation", "")) == "PALETTE COLOR"
    bits = 16 if palette else int(found.get("BitsStored", 16))
    return stretched(colours, 0.0, float(2**bits - 1))


def _of_modality(pixels: NDArray[Any], found: Dataset) -> NDArray[np.float64]:
    if "ModalityLUTSequence" in found:
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(pixels, found), dtype=np.float64)
    return np.asarray(pixels * _slope(found) + _intercept(found), dtype=np.float64)


def _slope(found: Dataset) -> float:
    return float(_first(found.get("RescaleSlope"), 1.0) or 1.0)


def _intercept(found: Dataset) -> float:
    return float(_first(found.get("RescaleIntercept"), 0.0))


def _windowed(values: NDArray[np.float64], found: Dataset, window: Window) -> tuple[Pixels, str]:
    """Return grey levels, and which window made them."""
    if window == "auto":
        low, high = float(values.min()), float(values.max())
        return stretched(values, low, high), "window auto"
    if window is not None:
        return stretched(values, *window), f"window {window[0]:g} to {window[1]:g}"
    if "VOILUTSequence" in found:
        from pydicom.pixels.processing import apply_voi

        table = np.asarray(apply_voi(values.astype(np.int64), found, index=0), dtype=np.float64)
        bits = int(found.VOILUTSequence[0].LUTDescriptor[2])
        return stretched(table, 0.0, float(2**bits - 1)), "look-up table of the file"
    center, width = _first(found.get("WindowCenter")), _first(found.get("WindowWidth"))
    if center is not None and width is not None and float(width) >= 1:
        return _by_window(values, float(center), float(width), found)
    low, high = _range(values, found)
    return stretched(values, low, high), f"all of {int(found.get('BitsStored', 0))} bits"


def _by_window(
    values: NDArray[np.float64], center: float, width: float, found: Dataset
) -> tuple[Pixels, str]:
    form = str(found.get("VOILUTFunction") or "LINEAR")
    note = "window of the file"
    if form == "SIGMOID":
        curve = 255 / (1 + np.exp(np.clip(-4 * (values - center) / width, -50, 50)))
        return np.asarray(curve, dtype=np.float32), f"{note}, sigmoid"
    if form == "LINEAR" and width > 1:  # PS3.3 C.11.2.1.2.1: half a step below the centre
        center, width = center - 0.5, width - 1
    return stretched(values, center - width / 2, center + width / 2), note


def _range(values: NDArray[np.float64], found: Dataset) -> tuple[float, float]:
    """Return what the stored bits can hold, in values of the modality."""
    bits = int(found.get("BitsStored", 0))
    if not bits or "ModalityLUTSequence" in found or "PixelData" not in found:
        return float(values.min()), float(values.max())
    signed = int(found.get("PixelRepresentation", 0)) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = sorted(end * _slope(found) + _intercept(found) for end in (low, high))
    return ends[0], ends[1]


def _first(value: Any, otherwise: float | None = None) -> Any:
    """Return a number of a key that may have several, or none."""
    several = getattr(value, "__iter__", None) and not isinstance(value, str)
    one = next(iter(value), None) if several else value
    known = one is not None and str(one).strip() != "" and math.isfinite(float(one))
    return one if known else otherwise
