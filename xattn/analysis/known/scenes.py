"""The images of a world on disk: to learn from, to measure on, and the same scenes changed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.analysis.known.world import World, changed, contrasts
from xattn.annotations import AnnotatedImage, write_annotations
from xattn.annotations.rle import encode
from xattn.annotations.schema import Rle
from xattn.disk import replacing
from xattn.errors import XattnError
from xattn.synthetic import FEATURES, LABELS, TRAITS, ImageSpec, Rendered, render
from xattn.synthetic.dataset import jpeg
from xattn.synthetic.plan import kinds

SCENES = "scenes.zip"
_IMAGES = "images.zip"
_ANNOTATIONS = "annotations.json"
_ALWAYS = (1980, 1, 1, 0, 0, 0)
"""Time of all members of an archive, so that the same images are the same bytes."""

Size = tuple[int, int]


def draw_images(
    specs: Iterable[ImageSpec], folder: Path, size: Size, on_image: Callable[[], None]
) -> Path:
    """Render images into one archive, and write their annotation file with exact masks.

    Args:
        specs: of the images.
        folder: for both files.
        size: (height, width) in pixels.
        on_image: called after each.

    Returns:
        The annotation file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive, images = folder / _IMAGES, []
    with replacing(archive) as scratch, zipfile.ZipFile(scratch, "w") as packed:
        for spec in specs:
            rendered = render(spec, size)
            _add(packed, f"{spec.id}.jpg", jpeg(rendered.image))
            images.append(_annotated(spec, rendered, archive))
            on_image()
    return write_annotations(
        folder / _ANNOTATIONS, images, labels=LABELS, features=kinds(), domain="dermoscopy"
    )


def annotations_in(folder: Path) -> Path:
    """Return the annotation file that `draw_images` writes in a folder."""
    return folder / _ANNOTATIONS


def draw_scenes(
    world: World, scenes: int, file: Path, size: Size, on_image: Callable[[], None]
) -> Path:
    """Render the first scenes that are measured, each with one thing changed at a time.

    Args:
        world: whose.
        scenes: how many.
        file: archive to write.
        size: (height, width) in pixels.
        on_image: called after each image; there are `images_of_scenes` of them.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as scratch, zipfile.ZipFile(scratch, "w") as packed:
        for index in range(scenes):
            spec = world.to_measure(index)
            as_is = jpeg(render(spec, size).image)
            on_image()
            for feature, ways in contrasts().items():
                for way in ways:
                    # One of both is the scene as it is, of what is there or not.
                    same = feature in FEATURES and (feature in spec.present) == (way == "with")
                    if not same:
                        on_image()
                    other = as_is if same else jpeg(altered(spec, feature, way, size))
                    _add(packed, _member(feature, way, index), other)
    return file


def altered(spec: ImageSpec, feature: str, way: str, size: Size) -> NDArray[np.uint8]:
    """Render a scene with one thing changed; artifacts stay where they are as a lesion changes."""
    artifacts = [name for name in spec.present if FEATURES[name].kind == "artifact"]
    stay = {} if feature in FEATURES else dict.fromkeys(artifacts, spec)
    return render(changed(spec, feature, way), size, stay).image


def images_of_scenes(scenes: int) -> int:
    """Return how many images `draw_scenes` renders."""
    return scenes * (1 + sum(1 if name in FEATURES else 2 for name in contrasts()))


def read_scenes(file: Path, feature: str, way: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the scenes with one thing changed, RGB (height, width, 3), in their order.

    Args:
        file: of `draw_scenes`.
        feature, way: what was changed, see `contrasts`.
    """
    with zipfile.ZipFile(file) as packed:
        known, index = packed.NameToInfo, 0
        if _member(feature, way, 0) not in known:
            raise XattnError(f"Expected scenes {way} {feature} in {file}, but got none")
        while _member(feature, way, index) in known:
            data = np.frombuffer(packed.read(_member(feature, way, index)), np.uint8)
            yield np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
            index += 1


def _member(feature: str, way: str, index: int) -> str:
    return f"{feature}/{way}/{index:04d}.jpg"


def _add(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    packed.writestr(zipfile.ZipInfo(name, _ALWAYS), content)


def _annotated(spec: ImageSpec, rendered: Rendered, archive: Path) -> AnnotatedImage:
    values: dict[str, int | float | str] = {name: int(name in spec.present) for name in FEATURES}
    values |= {name: round(spec.level(name), 4) for name in TRAITS if name != "age"}
    return AnnotatedImage(
        id=spec.id,
        file=archive / f"{spec.id}.jpg",
        label=spec.label,
        group=spec.group,
        lesion=_run_lengths(rendered.lesion),
        masks={name: _run_lengths(mask) for name, mask in rendered.masks.items()},
        values=values | {"age": spec.age, "sex": spec.sex},
    )


def _run_lengths(mask: NDArray[np.bool_]) -> Rle:
    return Rle(**encode(mask))
