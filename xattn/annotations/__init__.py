"""Annotation files: labels, groups, masks and values of images, read, checked, built, written."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xattn.annotations.layouts.registry import Columns
from xattn.annotations.problems import Problem
from xattn.annotations.read import check_annotations, read_annotations
from xattn.annotations.records import AnnotatedImage, Annotations
from xattn.annotations.schema import Feature, Rle
from xattn.annotations.summary import Summary, summarise
from xattn.annotations.write import write_annotations

if TYPE_CHECKING:
    from xattn.annotations.build import LAYOUTS, BuiltAnnotations, build_annotations

_BUILDING = ("LAYOUTS", "BuiltAnnotations", "build_annotations")
"""Fetched when first used: who only reads a file needs no tables."""

__all__ = [
    "LAYOUTS",
    "AnnotatedImage",
    "Annotations",
    "BuiltAnnotations",
    "Columns",
    "Feature",
    "Problem",
    "Rle",
    "Summary",
    "build_annotations",
    "check_annotations",
    "read_annotations",
    "summarise",
    "write_annotations",
]


def __getattr__(name: str) -> Any:
    if name not in _BUILDING:
        raise AttributeError(f"module 'xattn.annotations' has no attribute {name!r}")
    value = getattr(importlib.import_module("xattn.annotations.build"), name)
    globals()[name] = value
    return value
