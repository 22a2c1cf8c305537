"""Files deeper than 8 bits as people bring them, each with the fractions that it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from tests.images.test_dicom import write
from xattn.images.levels import Window

Grey = np.ndarray
"""Fractions (height, width) in 0 to 1."""


@dataclass(frozen=True)
class DeepFile:
    """How to write a file, and what a network is to see of it.

    Attributes:
        name: of the file, with its ending.
        save: writes fractions there, and returns what they are after rounding to its bits.
        window: as of `--window`.
    """

    name: str
    save: Callable[[Path, Grey], np.ndarray]
    window: Window = None


def _whole(top: int) -> Callable[[Grey], np.ndarray]:
    return lambda f: np.rint(f * top).astype(np.uint16)


def _by_pillow(top: int, of: float) -> Callable[[Path, Grey], np.ndarray]:
    def save(path: Path, f: Grey) -> np.ndarray:
        Image.fromarray(_whole(top)(f)).save(path)
        return _whole(top)(f) / of

    return save


def _floats(path: Path, f: Grey) -> np.ndarray:
    Image.fromarray((f * 3000 - 1000).astype(np.float32)).save(path)
    return f.astype(np.float32)


def coloured(f: Grey) -> np.ndarray:
    return np.stack([f, f * 0.5, 1 - f], axis=-1)


def _colours(path: Path, f: Grey) -> np.ndarray:
    stored = _whole(65535)(coloured(f))
    if path.suffix == ".tif":
        tifffile.imwrite(path, stored, photometric="rgb")
    else:
        cv2.imwrite(str(path), stored[..., ::-1])
    return stored / 65535


def _float_colours(path: Path, f: Grey) -> np.ndarray:
    tifffile.imwrite(path, coloured(f).astype(np.float32), photometric="rgb")
    return coloured(f)


def _rotated(path: Path, f: Grey) -> np.ndarray:
    stored = _whole(65535)(coloured(f))
    tifffile.imwrite(path, np.rot90(stored), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    return stored / 65535


def _dicom(path: Path, f: Grey) -> np.ndarray:
    write(path, _whole(4095)(f))
    return _whole(4095)(f) / 4095


def _windowed(path: Path, f: Grey) -> np.ndarray:
    stored = np.rint(f * 4000).astype(np.int16)
    write(path, stored, 16, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3000,
          WindowWidth=4000, VOILUTFunction="LINEAR_EXACT")  # fmt: skip
    return np.clip((stored * 2.0 - 2000) / 4000, 0, 1)


def _inverted(path: Path, f: Grey) -> np.ndarray:
    write(path, _whole(4095)(1 - f), PhotometricInterpretation="MONOCHROME1")
    return 1 - _whole(4095)(1 - f) / 4095


def _array(path: Path, f: Grey) -> np.ndarray:
    np.savez(path, images=_whole(65535)(f)[None])
    return _whole(65535)(f) / 65535


DEEP_FILES = {
    "PNG of 16 bits": DeepFile("x.png", _by_pillow(65535, 65535)),
    "TIFF of 16 bits": DeepFile("x.tif", _by_pillow(65535, 65535)),
    "12 of 16 bits": DeepFile("x.png", _by_pillow(4095, 65535)),
    "12 of 16 bits with a window": DeepFile("x.tif", _by_pillow(4095, 4095), (0.0, 4095.0)),
    "TIFF of floats": DeepFile("x.tiff", _floats, (-1000.0, 2000.0)),
    "PNG of 16-bit colours": DeepFile("x.png", _colours),
    "TIFF of 16-bit colours": DeepFile("x.tif", _colours),
    "TIFF of float colours": DeepFile("x.tif", _float_colours, (0.0, 1.0)),
    "PPM of 16-bit colours": DeepFile("x.ppm", _colours),
    "rotated TIFF of 16-bit colours": DeepFile("x.tif", _rotated),
    "DICOM of 12 bits": DeepFile("x.dcm", _dicom),
    "DICOM with a rescale and a window": DeepFile("x.dcm", _windowed),
    "DICOM of MONOCHROME1": DeepFile("x.dcm", _inverted),
    "npz of 16 bits": DeepFile("x.npz", _array),
}
