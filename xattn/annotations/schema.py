"""The annotation file `xattn-annotations/1` as data models: what may stand where.

Unknown keys are errors everywhere, since a mistyped one would otherwise be lost without a word.
`null` means "not known", as if the key were absent.
"""

from __future__ import annotations

import math
import reprlib
import sys
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StrictInt,
    StrictStr,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from xattn.annotations import rle
from xattn.errors import near
from xattn.images.decode import MAX_PIXELS
from xattn.images.domains import checked_domain

SCHEMA = "xattn-annotations/1"

Kind: TypeAlias = Literal["structure", "artifact", "metadata"]
Value: TypeAlias = int | float | str | bool


def _value(value: Any) -> Value | None:
    if value is None or isinstance(value, bool) or (isinstance(value, str) and _writable(value)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and abs(value) <= sys.float_info.max:
        return value
    raise PydanticCustomError("value", "Expected a finite number, a text, true or false")


def _label(value: Any) -> str | tuple[str, ...] | None:
    """Read a class, or a list of findings."""
    if value is None or (isinstance(value, str) and value and _writable(value)):
        return value
    if isinstance(value, list) and all(isinstance(v, str) and v and _writable(v) for v in value):
        if len(set(value)) == len(value):
            return tuple(value)
        raise PydanticCustomError("findings", "Expected every finding once")
    raise PydanticCustomError("label", "Expected a class, or a list of findings [...]")


def _writable(text: str) -> bool:
    """Say whether a text can be written to a file: half of a pair of surrogates cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _key_text(key: str) -> str:
    if not _writable(key):
        raise PydanticCustomError("key", "Expected a text that can be written")
    return key


def _domain(name: str) -> str:
    try:
        return checked_domain(name)
    except ValueError as err:
        raise PydanticCustomError("domain", "{text}", {"text": str(err)}) from None


def _counts(value: Any) -> str | list[int]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(type(n) is int for n in value):
        return value
    raise PydanticCustomError("counts", "Expected a list of whole numbers, or COCO's text of them")


def _mask_form(value: Any) -> str | None:
    if isinstance(value, Rle | dict):
        return "run lengths"
    return "path" if isinstance(value, str) else None


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Name: TypeAlias = Annotated[StrictStr, StringConstraints(min_length=1)]
Key: TypeAlias = Annotated[StrictStr, AfterValidator(_key_text)]
Side: TypeAlias = Annotated[StrictInt, Field(ge=1)]


class Feature(_Model):
    """A feature of the file.

    Attributes:
        kind: "structure" (medically relevant, with pixels), "artifact" (with pixels, and nothing
            to do with the disease) or "metadata" (of the patient or the image, without pixels).
    """

    kind: Kind


class Rle(_Model):
    """A mask as COCO run lengths, of the whole image.

    Attributes:
        size: (height, width) in pixels; any resolution of the image's aspect ratio.
        counts: runs of 0 and 1 in turn down the columns, as numbers or as COCO's compressed text.
    """

    size: tuple[Side, Side]
    counts: Annotated[str | list[int], PlainValidator(_counts)]

    @model_validator(mode="after")
    def _fills_its_size(self) -> Rle:
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise PydanticCustomError(
                "size",
                f"Expected at most {MAX_PIXELS:,} pixels, but got {self.size[0]} x {self.size[1]}",
            )
        try:
            rle.run_lengths(self.size, self.counts)
        except (ValueError, OverflowError) as err:
            raise PydanticCustomError("runs", str(err)) from None
        return self


Mask: TypeAlias = Annotated[
    Annotated[Name, Tag("path")] | Annotated[Rle, Tag("run lengths")],
    Discriminator(
        _mask_form,
        custom_error_type="mask",
        custom_error_message="Expected the path of a file, or run lengths (size, counts)",
    ),
]


class ImageEntry(_Model):
    """One image of the file; everything but `id` and `file` may be left out.

    Attributes:
        label: its class; or a list of the findings that it shows, of those it does not name none
            is there, but for those in `unknown`.
        unknown: findings of which it is not known whether the image shows them.
    """

    id: Name
    file: Name
    label: Annotated[str | tuple[str, ...] | None, PlainValidator(_label)] = None
    unknown: list[Name] = []
    group: Name | None = None
    lesion: Mask | None = None
    masks: dict[Key, Mask | None] = {}
    values: dict[Key, Annotated[Value | None, PlainValidator(_value)]] = {}


class AnnotationFile(_Model):
    """The file as a whole; its images are checked one by one, so that good ones can go on."""

    schema_: Literal["xattn-annotations/1"] = Field("xattn-annotations/1", alias="schema")
    domain: Annotated[Name, AfterValidator(_domain)] | None = None
    labels: list[Name] = []
    features: dict[Name, Feature] = {}
    images: list[Any]


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 61

_WANTED = {
    "string_type": "a text",
    "string_unicode": "a text that can be written",
    "string_too_short": "a text that is not empty",
    "int_type": "a whole number",
    "dict_type": "an object {...}",
    "model_type": "an object {...}",
    "list_type": "a list [...]",
    "tuple_type": "a list [...]",
}
"""Pydantic's kinds of error in words of a JSON file."""


def describe_error(err: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Return (dotted key, one-line message) for each thing that pydantic found."""
    return [(_key(e["loc"]), _message(e, model)) for e in err.errors(include_url=False)]


def _key(location: tuple[int | str, ...]) -> str:
    # Pydantic puts the tag of a mask's form into its location: masks.ruler.<tag>.size
    depth = {"masks": 2, "lesion": 1}.get(str(location[0]) if location else "", 0)
    if depth and len(location) > depth:
        location = (*location[:depth], *location[depth + 1 :])
    parts = [f"[{p}]" if isinstance(p, int) else f".{p}" for p in location if p != "[key]"]
    return "".join(parts).removeprefix(".")


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    location, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        known = _keys_at(location[:-1], model)
        return f"Unknown key {location[-1]!r}{near(str(location[-1]), known)}"
    if kind == "missing":
        return "Expected this key, but it is missing"
    wanted = _WANTED.get(kind) or error["msg"].removeprefix("Input should be ")
    wanted = wanted.removeprefix("Expected ")
    if " but got " in wanted:
        return f"Expected {wanted}"
    shown = _SHORT.repr(error["input"])  # which goes no deeper than six brackets
    return f"Expected {wanted}, but got {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _keys_at(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    if not location:
        return [field.alias or name for name, field in model.model_fields.items()]
    return list((Feature if location[0] == "features" else Rle).model_fields)
