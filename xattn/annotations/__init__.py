"""Annotation files: labels, groups, masks and values of images, read, checked, built, written."""

from xattn.annotations.build import BuiltAnnotations, build_annotations
from xattn.annotations.faults import Fault
from xattn.annotations.layouts import LAYOUTS
from xattn.annotations.read import check_annotations, read_annotations
from xattn.annotations.records import AnnotatedImage, Annotations
from xattn.annotations.schema import Feature, Rle
from xattn.annotations.summary import Summary, summarise
from xattn.annotations.write import write_annotations

__all__ = [
    "LAYOUTS",
    "AnnotatedImage",
    "Annotations",
    "BuiltAnnotations",
    "Fault",
    "Feature",
    "Rle",
    "Summary",
    "build_annotations",
    "check_annotations",
    "read_annotations",
    "summarise",
    "write_annotations",
]
