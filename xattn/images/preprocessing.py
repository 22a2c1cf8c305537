"""From an upright image to a model's input, and the record of it that travels with the weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import Image

from xattn.errors import CheckpointError, ImageError, UsageError, near
from xattn.images.decode import MAX_PIXELS
from xattn.images.geometry import View
from xattn.images.levels import Levels, Pixels, Window, in_colours, like

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def before_crop(size: tuple[int, int], margin: float) -> int | tuple[int, int]:
    """Return `resize` for a crop of (height, width) out of an image `margin` times as large.

    As timm: one number for a square crop, both for an oblong one, rounded down.
    """
    height, width = (max(int(side * margin + 1e-6), side) for side in size)
    return height if size[0] == size[1] else (height, width)


_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a tensor: resize, crop, scale to [0, 1], normalise.

    Attributes:
        size: (height, width) of the model's input in pixels.
        mode: "squash" resamples the whole image to `size`, changing its aspect ratio;
            "crop" scales the image, keeping its aspect ratio, and cuts `size` from the centre.
        resize: what the image is scaled to before the crop, in pixels. One number is the length
            of its shorter side, as in torchvision's `Resize`; (height, width) is what it must
            just cover, as in timm's `ResizeKeepRatio` before an oblong crop. Default is the
            longer side of `size`. Of "squash" it is (height, width) that the whole image is
            resampled to before `size` is cut from the centre, as Hugging Face's DeiT does;
            default is no cut.
        mean: of the normalisation, per channel, of values in [0, 1]; its length is the number of
            channels.
        std: standard deviation of the normalisation, likewise.
        interpolation: "bilinear", "bicubic", "lanczos" (all antialiased) or "nearest".
        window: (low, high), the values that become black and white, of images deeper than 8 bits;
            "auto" takes each image's own; None all of 16 bits.
    """

    size: tuple[int, int] = (224, 224)
    mode: Literal["squash", "crop"] = "squash"
    resize: int | tuple[int, int] | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    window: Window = None

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise UsageError(
                f"Unknown interpolation {self.interpolation!r}{near(self.interpolation, _FILTERS)}"
            )
        if self.mode not in ("squash", "crop"):
            raise UsageError(f"Expected mode 'squash' or 'crop', but got {self.mode!r}")
        if self.window is not None and self.window != "auto":
            low, high = self.window if len(self.window) == 2 else (0.0, 0.0)
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise UsageError(
                    f"Expected a window of two values, the lower first, or 'auto', but got "
                    f"{self.window!r}"
                )
        if len(self.mean) != len(self.std) or not self.mean:
            raise UsageError(
                "Expected as many numbers in mean as in std, one for each channel, but got "
                f"{len(self.mean)} and {len(self.std)}"
            )
        if min(self.size) < 1:
            raise UsageError(f"Expected a size of at least 1 x 1, but got {self.size}")
        if self.mode == "squash" and isinstance(self.resize, int):
            raise UsageError(
                f"Expected (height, width) as resize of mode 'squash', or mode 'crop', but got "
                f"{self.resize}: the length of a shorter side squashes nothing"
            )
        if not self._holds_crop():
            raise UsageError(
                "Expected resize >= the crop's longer side, or (height, width) that cover the "
                f"crop, but got {self.resize} for {self.size}"
            )

    def _holds_crop(self) -> bool:
        if isinstance(self.resize, tuple):
            pairs = zip(self.resize, self.size, strict=False)
            return len(self.resize) == 2 and all(scaled >= cut for scaled, cut in pairs)
        return self.resize is None or self.resize >= max(self.size)

    @property
    def channels(self) -> int:
        """Number of channels of an input; grey images have three that are equal."""
        return len(self.mean)

    @property
    def whole(self) -> bool:
        """Whether the model sees the whole image."""
        return self.mode == "squash" and self.resize is None

    @property
    def scaling(self) -> str:
        """What happens to the image's size, in words."""
        if self.whole:
            return "whole image squashed"
        if self.mode == "squash" and isinstance(self.resize, tuple):
            return f"squashed to {self.resize[0]} x {self.resize[1]}, cropped"
        if isinstance(self.resize, tuple):
            return f"scaled to cover {self.resize[0]} x {self.resize[1]}, cropped"
        return f"shorter side to {self.resize or max(self.size)}, cropped"

    def at(
        self, size: tuple[int, int], mode: Literal["squash", "crop"] | None = None
    ) -> Preprocessing:
        """Return the same at another (height, width) or mode; a crop keeps its margin."""
        mode = mode or self.mode
        known = self.resize if self.resize is not None else max(self.size)
        margin = known[0] / self.size[0] if isinstance(known, tuple) else known / max(self.size)
        resize = before_crop(size, margin) if mode == "crop" else None
        if mode == self.mode == "squash" and self.resize is not None:
            height, width = (max(int(side * margin + 1e-6), side) for side in size)
            resize = (height, width)
        return replace(self, size=size, mode=mode, resize=resize)

    def view(self, width: int, height: int) -> View:
        """Return the part of an upright image of (width, height) pixels that the model sees."""
        if self.whole:
            return View((0.0, 0.0, float(width), float(height)), *self.size)
        (new_w, new_h), (left, top) = self._scaled(width, height)
        sx, sy = width / new_w, height / new_h
        box = (left * sx, top * sy, (left + self.size[1]) * sx, (top + self.size[0]) * sy)
        return View((box[0], box[1], min(box[2], width), min(box[3], height)), *self.size)

    def enough(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) from which an image of that size looks the same to the model.

        Twice what it is resampled to: averaging to there and resampling from there is within a
        few grey levels of resampling at once.
        """
        scaled = self._scaled(width, height)[0]
        return 2 * scaled[0], 2 * scaled[1]

    def pixels(self, image: Levels, original: tuple[int, int] | None = None) -> Pixels:
        """Resample an upright image to the model's size: (height, width, channels), 0 to 255.

        8 bits stay so (uint8); a deep image is resampled as float32 and not rounded. What
        bicubic and Lanczos interpolation give beyond 0 and 255 is clipped in both.

        Args:
            image: `levels` of a decoded image, whole, at full or reduced size.
            original: (width, height) of the full size, if the image is reduced.

        Raises:
            ImageError: the image is so thin that scaling its shorter side would fill the memory.
        """
        if self.whole:
            return self._resized(image, self.size[::-1])
        size = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
        # Not `resize(box=...)`: Pillow rounds the box to float32, which moves whole pixels.
        scaled, (left, top) = self._scaled(*(original or size))
        if scaled[0] * scaled[1] > MAX_PIXELS:
            raise ImageError(
                f"Expected an image that can be scaled ({self.scaling}), "
                f"but got {size[0]} x {size[1]} pixels; crop it, or use mode 'squash'"
            )
        return self._resized(image, scaled, (left, top, left + self.size[1], top + self.size[0]))

    def _resized(
        self,
        image: Levels,
        size: tuple[int, int],
        box: tuple[int, int, int, int] | None = None,
    ) -> Pixels:
        """Resample to (width, height), then cut a box.

        Pillow has no colours in float, nor any number of channels.
        """
        resampling = _FILTERS[self.interpolation]
        if isinstance(image, Image.Image):
            scaled = image.resize(size, resampling)
            return np.asarray(scaled if box is None else scaled.crop(box))
        channels = [image] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        resized = [Image.fromarray(channel).resize(size, resampling) for channel in channels]
        parts = [np.asarray(one if box is None else one.crop(box)) for one in resized]
        values = in_colours(parts[0]) if image.ndim == 2 else np.stack(parts, -1)
        return like(values, image.dtype)

    def _scaled(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (width, height) after the resize and the crop's (left, top).

        As torchvision, which rounds the longer side down and the crop's corner to the nearest
        pixel; what is to be covered rounds as timm does.
        """
        if self.mode == "squash":
            squashed = self.resize if isinstance(self.resize, tuple) else self.size
            new_h, new_w = squashed
        elif isinstance(self.resize, tuple):
            ratio = min(height / self.resize[0], width / self.resize[1])
            new_w, new_h = round(width / ratio), round(height / ratio)
        else:
            shorter = self.resize if self.resize is not None else max(self.size)
            long = int(shorter * max(width, height) / min(width, height))
            new_w, new_h = (shorter, long) if width <= height else (long, shorter)
        left, top = round((new_w - self.size[1]) / 2), round((new_h - self.size[0]) / 2)
        return (new_w, new_h), (left, top)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        if self.window is None:  # as in the records of versions that knew none
            del values["window"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """Rebuild from `to_dict`'s values.

        Raises:
            CheckpointError: a key is unknown.
        """
        known = cls.__dataclass_fields__
        for key in values:
            if key not in known:
                raise CheckpointError(f"Unknown preprocessing key {key!r}{near(key, known)}")
        arguments: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**arguments)
