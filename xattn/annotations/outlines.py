"""Outlines of COCO as masks: of a data set in that form, or given beside another.

Lin et al. 2014, arXiv:1405.0312.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xattn.annotations import rle
from xattn.annotations.schema import Rle
from xattn.documents import read_json
from xattn.errors import AnnotationError, near, one_line

KEYS = ("images", "annotations", "categories")
_BOX = 4


def read_coco(path: Path) -> Mapping[str, Any]:
    """Return the content of a JSON file of COCO.

    Raises:
        AnnotationError: it is damaged, or lacks one of its three keys.
    """
    content = read_json(path, "annotations of COCO", AnnotationError)
    lacking = [key for key in KEYS if key not in content]
    if lacking:
        raise AnnotationError(
            f"Expected the keys images, annotations and categories in {path}, but {lacking[0]} is "
            "not there"
        )
    found: Mapping[str, Any] = content
    return found


def masks_by_file(path: Path, category: str) -> dict[str, Rle]:
    """Return the masks of one category by the names of the images, as the file has them.

    Of a file of one category, that one is meant whatever it is called.

    Raises:
        AnnotationError: the file is damaged, or has several categories and not this one.
    """
    content = read_coco(path)
    called = {str(one["name"]): one["id"] for one in content["categories"]}
    wanted = called.get(category, next(iter(called.values())) if len(called) == 1 else None)
    if wanted is None:
        raise AnnotationError(
            f"Expected the category {category!r} in {path}, but got no such{near(category, called)}"
        )
    parts: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for one in content["annotations"]:
        if one["category_id"] == wanted:
            parts[one["image_id"]].append(one)
    return {
        str(image["file_name"]): union(
            parts[image["id"]], (int(image["height"]), int(image["width"])), path
        )
        for image in content["images"]
    }


def union(outlines: Sequence[Mapping[str, Any]], size: tuple[int, int], path: Path) -> Rle:
    """Return one mask of all outlines: polygons, run lengths, or boxes.

    Args:
        outlines: annotations of COCO, of one image; without any the mask is empty.
        size: (height, width) of it in pixels.
        path: of the file, for the message.

    Raises:
        AnnotationError: an outline cannot be read.
    """
    from pycocotools import mask as api

    if not outlines:
        return Rle(**rle.encode(np.zeros(size, dtype=np.bool_)))
    try:
        encoded = []
        for one in outlines:
            shape = one.get("segmentation") or [_corners(one["bbox"])]
            if isinstance(shape, list):
                encoded += api.frPyObjects(shape, *size)
            elif isinstance(shape["counts"], list):
                encoded.append(api.frPyObjects(shape, *size))
            else:
                encoded.append({"size": shape["size"], "counts": shape["counts"].encode()})
        merged = api.merge(encoded)
    except Exception as err:  # pycocotools raises that very class
        raise AnnotationError(
            f"Expected outlines of COCO in {path}, but annotation {outlines[0].get('id')} has none "
            f"that can be read: {one_line(err)}"
        ) from None
    return Rle(size=size, counts=merged["counts"].decode("ascii"))


def _corners(box: Sequence[float]) -> list[float]:
    if len(box) != _BOX:
        raise ValueError(f"Expected x, y, width and height, but got {box}")
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]
