"""The evaluation transform of torchvision or timm that a network was made with, as our record.

It is read, not run: an image must look to the model as it did, and a map must know which part of
the image it lies on. What cannot be said in a `Preprocessing` is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from xattn.errors import UsageError
from xattn.images.preprocessing import Preprocessing

_TO_UNIT = {"ToTensor", "MaybeToTensor"}
_TO_TENSOR = {"PILToTensor", "ToImage"}
_NOTHING = {"RGB", "ToPureTensor", "Identity", "ToPILImage", "Dropout"}
_PIL_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_WAY_OUT = "; give preprocessing=xattn.images.Preprocessing(...) instead"


def to_preprocessing(transform: Any) -> Preprocessing:
    """Read an evaluation transform.

    Args:
        transform: a `Preprocessing`, which is returned; `Compose` of torchvision (v1 or v2) or
            timm, a preset such as `weights.transforms()`, an `nn.Sequential`, or a list of steps:
            resize, centre crop, conversion to a tensor in [0, 1], normalisation.

    Raises:
        UsageError: a step is random, unknown, or cannot be said in a `Preprocessing`.
    """
    if isinstance(transform, Preprocessing):
        return transform
    read = _Read()
    for step in _steps(transform):
        read.take(step)
    return read.result()


def _steps(transform: Any) -> Iterator[Any]:
    """Yield the steps of a transform, nested ones too."""
    name = type(transform).__name__
    if name == "Compose":
        for one in transform.transforms:
            yield from _steps(one)
    elif isinstance(transform, nn.Sequential | list | tuple):
        for one in transform:
            yield from _steps(one)
    else:
        yield transform


@dataclass
class _Read:
    """What was read so far.

    Attributes:
        scaled: (height, width), or the length of the shorter side, after the resize.
        crop: (height, width).
        colours: mean and standard deviation.
        unit: whether values are in [0, 1] by now; None before they are a tensor.
        covers: whether the image keeps its aspect ratio and just covers `scaled`.
    """

    scaled: tuple[int, int] | int | None = None
    crop: tuple[int, int] | None = None
    colours: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    interpolation: str = "bilinear"
    unit: bool | None = None
    covers: bool = False

    def take(self, step: Any) -> None:
        """Read one step.

        Raises:
            UsageError: it cannot be said in a `Preprocessing`.
        """
        name = type(step).__name__
        library = type(step).__module__.partition(".")[0]
        if library not in ("torchvision", "timm", "torch"):
            raise UsageError(
                f"Expected steps of torchvision or timm, but got {_shown(step)}, whose effect "
                f"cannot be read{_WAY_OUT}"
            )
        if name == "ImageClassification":
            self._preset(step)
        elif name in ("Resize", "ResizeKeepRatio"):
            self._resize(step, name)
        elif name in ("CenterCrop", "CenterCropOrPad"):
            self._crop(_pair(step.size))
        elif name in _TO_UNIT:
            self.unit = True
        elif name in _TO_TENSOR:
            self.unit = False
        elif name in ("ToDtype", "ConvertImageDtype"):
            self._convert(step)
        elif name == "Normalize":
            self._normalise(step)
        elif name not in _NOTHING:
            random = name.startswith(
                ("Random", "Auto", "Color", "Trivial", "AugMix", "RandAugment")
            )
            why = "is of a training; give the one of its evaluation" if random else "has no record"
            raise UsageError(
                f"Expected an evaluation transform, but {_shown(step)} {why}{_WAY_OUT}"
            )

    def _preset(self, step: Any) -> None:
        (size,), (resize,) = (_listed(v) for v in (step.crop_size, step.resize_size))
        self.scaled, self.interpolation = int(resize), _filter(step.interpolation)
        self._crop((int(size), int(size)))
        self.colours, self.unit = (tuple(step.mean), tuple(step.std)), True

    def _resize(self, step: Any, name: str) -> None:
        if self.crop is not None or self.scaled is not None:
            raise UsageError(
                f"Expected one resize before the crop, but got {_shown(step)}{_WAY_OUT}"
            )
        if getattr(step, "max_size", None) is not None:
            raise UsageError(
                f"Expected a resize without max_size, but got {_shown(step)}{_WAY_OUT}"
            )
        if self.unit is not None and getattr(step, "antialias", True) is False:
            raise _other("an antialiased resize", step)
        size = _listed(step.size)
        if name == "ResizeKeepRatio":
            still = not (step.random_scale_prob or step.random_aspect_prob)
            if not still or step.longest:
                raise _other("a resize of the shorter side, or of the whole image", step)
            self.covers = size[0] != size[-1]
            size = size if self.covers else size[:1]
        self.scaled = int(size[0]) if len(size) == 1 else (int(size[0]), int(size[1]))
        self.interpolation = _filter(step.interpolation)

    def _crop(self, size: tuple[int, int]) -> None:
        if self.crop not in (None, size):
            raise UsageError(f"Expected one crop, but got {self.crop} and {size}{_WAY_OUT}")
        self.crop = size

    def _convert(self, step: Any) -> None:
        scales = type(step).__name__ == "ConvertImageDtype" or getattr(step, "scale", False)
        self.unit = bool(scales) or self.unit

    def _normalise(self, step: Any) -> None:
        if self.colours is not None:
            raise _other("one normalisation", step)
        if self.unit is False:
            raise UsageError(
                f"Expected {_shown(step)} of values in [0, 1], but they are not scaled before it "
                f"(ToDtype(torch.float32, scale=True)){_WAY_OUT}"
            )
        self.colours = _three(step.mean), _three(step.std)

    def result(self) -> Preprocessing:
        """Put it together.

        Raises:
            UsageError: the size of the input does not follow, or the crop is of no resized image.
        """
        mean, std = self.colours or ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        if self.unit is False:
            raise UsageError(f"Expected inputs in [0, 1], but the transform never scales{_WAY_OUT}")
        scaled, crop = self.scaled, self.crop
        if isinstance(scaled, tuple) and crop in (None, scaled) and not self.covers:
            size, mode, resize = scaled, "squash", None
        elif (isinstance(scaled, int) or self.covers) and crop is not None:
            size, mode, resize = crop, "crop", scaled
        else:
            got = f"a resize to {scaled} and a crop to {crop}" if scaled or crop else "neither"
            raise UsageError(
                "Expected a resize to (height, width), or of the shorter side and a centre crop, "
                f"but got {got}{_WAY_OUT}"
            )
        return Preprocessing(
            size=size,
            mode="squash" if mode == "squash" else "crop",
            resize=resize,
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
            interpolation=self.interpolation,
        )


def _other(expected: str, step: Any) -> UsageError:
    return UsageError(f"Expected {expected}, but got {_shown(step)}{_WAY_OUT}")


def _shown(step: Any) -> str:
    text = " ".join(str(step).split()) if not callable(step) or hasattr(step, "__dict__") else ""
    return text if 0 < len(text) <= 90 else type(step).__name__


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) else [value]


def _pair(value: Any) -> tuple[int, int]:
    sides = _listed(value)
    return int(sides[0]), int(sides[-1])


def _three(values: Any) -> tuple[float, ...]:
    """Read numbers of each channel, of one for all three, or of a tensor."""
    numbers = [
        float(v) for v in (values.tolist() if hasattr(values, "tolist") else _listed(values))
    ]
    if len(numbers) not in (1, 3):
        raise UsageError(f"Expected a mean or deviation of 3 channels, but got {len(numbers)}")
    # A tensor holds float32: 0.485 comes back as 0.4850000143.
    rounded = [round(number, 7) for number in numbers]
    return tuple(rounded * 3 if len(rounded) == 1 else rounded)


def _filter(value: Any) -> str:
    if isinstance(value, int):
        value = _PIL_FILTERS.get(int(value), value)
    return str(getattr(value, "value", value))
