"""How images become inputs, as an image processor of transformers does it.

What its file says is put into this project's terms, and then both prepare the same image: what a
processor does beyond them is found so, and not passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xattn.errors import CheckpointError, XattnError
from xattn.images.preprocessing import Preprocessing

FILES = ("preprocessor_config.json", "processor_config.json")
"""Where a folder says it."""

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""
_TOLERANCE = 3 / 255
"""By which the two may differ at a pixel of values in [0, 1]: both round to 8 bits on the way."""
_BY_FACTOR = {"ConvNext": 384, "PoolFormer": 0}
"""Processors that divide the shorter side by `crop_pct`; below which size, 0 for any."""


def find_processor(folder: Path, config: Any) -> tuple[Any, str]:
    """Return the image processor of a folder, and which file says it in words.

    Without a file it is the one that the package makes for such networks by default.

    Args:
        folder: with weights and `config.json`.
        config: of the network, of transformers' class.

    Raises:
        CheckpointError: there is a file, but the package cannot make a processor of it.
    """
    from transformers import AutoImageProcessor
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

    named = next((name for name in FILES if (folder / name).is_file()), None)
    try:
        if named is not None:
            found = AutoImageProcessor.from_pretrained(
                str(folder), config=config, backend="pil", local_files_only=True,
                trust_remote_code=False,
            )  # fmt: skip
            return found, f"{named} beside it"
        kinds = IMAGE_PROCESSOR_MAPPING[type(config)]
        kind = kinds["pil"] if isinstance(kinds, dict) else kinds[0]
        found = kind(**_own_size(kind, config))
    except Exception as err:  # a foreign class, of a file from anywhere
        first = (str(err).splitlines() or [""])[0][:120]
        raise CheckpointError(
            f"Expected an image processor that transformers knows in {folder}, but got: {first}"
        ) from err
    return found, f"transformers' default for {config.model_type}, for no file beside it says them"


def _own_size(kind: Any, config: Any) -> dict[str, Any]:
    """Give a processor without a file the size that its network is built for."""
    size = getattr(config, "image_size", None)
    if isinstance(size, Sequence) and len(size) == 2:
        height, width = (int(side) for side in size)
    elif isinstance(size, int):
        height = width = size
    else:
        return {}
    square = "height" in dict(kind.size)
    crop = {"crop_size": {"height": height, "width": width}}
    if square and not getattr(kind, "do_center_crop", None):
        return {"size": {"height": height, "width": width}}
    return crop if max(height, width) <= _side(kind.size) else {}


def _side(size: Any) -> int:
    values = [value for value in dict(size).values() if value]
    return int(min(values)) if values else 0


def to_terms(processor: Any, source: str) -> Preprocessing:
    """Put an image processor into this project's terms, and make sure that both do the same.

    Args:
        processor: of transformers.
        source: the file, for the message.

    Raises:
        CheckpointError: it does something that cannot be said so.
    """
    try:
        found = _read(processor)
        ours, theirs = _prepared(found, processor)
    except XattnError as err:
        raise CheckpointError(f"The image processor of {source} cannot be applied: {err}") from err
    except Exception as err:  # attributes of any kind, from a file
        raise _unlike(source, f"it raised {type(err).__name__}") from err
    if ours.shape != theirs.shape:
        raise _unlike(source, f"its inputs are {theirs.shape}, not {ours.shape}")
    scale = np.abs(np.asarray(found.std)).reshape(3, 1, 1)
    apart = np.abs(ours - theirs) * scale
    if np.quantile(apart, 0.99) > _TOLERANCE:
        raise _unlike(source, f"its pixels differ by {apart.max():.2g}")
    return found


def _unlike(source: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"Expected an image processor that resizes, crops and normalises in {source}, but "
        f"{what}; say --size, --mean and --std, or pass a network that does the rest to "
        "`xattn.wrap`"
    )


def _read(processor: Any) -> Preprocessing:
    name = type(processor).__name__
    size = dict(processor.size) if getattr(processor, "do_resize", True) else {}
    cropped = bool(getattr(processor, "do_center_crop", False))
    crop = dict(getattr(processor, "crop_size", None) or {}) if cropped else {}
    cut = (int(crop["height"]), int(crop["width"])) if crop.get("height") else None
    shorter, square = size.get("shortest_edge"), None
    if size.get("height") and size.get("width"):
        square = int(size["height"]), int(size["width"])
    below = next((limit for start, limit in _BY_FACTOR.items() if name.startswith(start)), None)
    if below is not None and shorter and (not below or shorter < below):
        cut = cut or (int(shorter), int(shorter))
        shorter = int(shorter / processor.crop_pct)
    elif below and shorter:
        square, shorter = (int(shorter), int(shorter)), None
    if name.startswith("Levit") and shorter:
        shorter = int(256 / 224 * shorter)
    mean, std = _normalisation(processor)
    said: dict[str, Any] = {"mean": mean, "std": std}
    resample = _RESAMPLING.get(int(getattr(processor, "resample", 2) or 0))
    if resample is not None:
        said["interpolation"] = resample
    if shorter:
        resize = int(shorter)
        cut = cut or (resize, resize)  # without a crop images stay oblong; the comparison tells
        return Preprocessing(size=cut, mode="crop", resize=resize, **said)
    if square is None:
        raise CheckpointError("it names no size that images are resized to")
    if cut is None or cut == square:
        return Preprocessing(size=square, mode="squash", **said)
    return Preprocessing(size=cut, mode="squash", resize=square, **said)


def _normalisation(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of values in [0, 1], whatever the processor scales by."""
    factor = processor.rescale_factor * 255 if getattr(processor, "do_rescale", True) else 255.0
    shift = 1.0 if getattr(processor, "rescale_offset", False) else 0.0
    mean, std = np.zeros(3), np.ones(3)
    if getattr(processor, "do_normalize", True):
        mean = np.broadcast_to(np.asarray(processor.image_mean, dtype=float), 3)
        std = np.broadcast_to(np.asarray(processor.image_std, dtype=float), 3)
    first, scale = (mean + shift) / factor, std / factor
    if getattr(processor, "include_top", False):  # EfficientNet's divides once more
        scale = scale * std
    return tuple(first.tolist()), tuple(scale.tolist())


def _prepared(
    found: Preprocessing, processor: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prepare one image, twice as wide as high, both ways: (3, height, width) each."""
    height = 2 * max(found.size)
    rows, columns = np.mgrid[0:height, 0 : 2 * height] / height
    waves = [np.sin(5 * columns + 2 * rows), np.cos(4 * rows - columns), rows - columns / 2]
    image = Image.fromarray((np.stack(waves, -1) * 100 + 128).clip(0, 255).astype(np.uint8))
    theirs = processor(image, return_tensors="np")["pixel_values"][0]
    pixels = found.pixels(image).astype(float) / 255
    ours = ((pixels - np.asarray(found.mean)) / np.asarray(found.std)).transpose(2, 0, 1)
    return ours, np.asarray(theirs, dtype=float)
