"""A small reader of what matplotlib writes as PDF: the fonts, and whether they are in the file.

Knows the objects of PDF 1.4 (no compressed object streams), which is what the files are.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass

from fontTools.ttLib import TTFont


@dataclass(frozen=True)
class EmbeddedFont:
    """A font that a page uses.

    Attributes:
        name: without the tag of the subset.
        kind: "TrueType", or the subtype that it is instead, such as "Type3".
        glyphs: glyphs in the embedded file; 0 if none is embedded.
    """

    name: str
    kind: str
    glyphs: int


def fonts_of(content: bytes) -> list[EmbeddedFont]:
    """Return every font of a PDF, whether or not it is embedded."""
    objects = {
        int(number): body
        for number, body in re.findall(rb"(?<!\d)(\d+) 0 obj\s(.*?)\sendobj", content, re.DOTALL)
    }
    fonts = [body for body in objects.values() if re.search(rb"/Type\s*/Font\b(?!D)", body)]
    # A composite font only points to its descendants, which have the letters.
    return [_font(body, objects) for body in fonts if b"/DescendantFonts" not in body]


def _font(body: bytes, objects: dict[int, bytes]) -> EmbeddedFont:
    subtype = _name(body, b"Subtype")
    kind = {"CIDFontType2": "TrueType"}.get(subtype, subtype)
    descriptor = _followed(body, b"FontDescriptor", objects)
    file = _followed(descriptor, b"FontFile2", objects)
    return EmbeddedFont(_name(body, b"BaseFont").split("+")[-1], kind, _glyphs(file))


def _name(body: bytes, key: bytes) -> str:
    found = re.search(rb"/" + key + rb"\s*/([^\s/<>\[\]]+)", body)
    return found[1].decode() if found else ""


def _followed(body: bytes, key: bytes, objects: dict[int, bytes]) -> bytes:
    found = re.search(rb"/" + key + rb"\s+(\d+) 0 R", body)
    return objects[int(found[1])] if found else b""


def _glyphs(stream: bytes) -> int:
    found = re.search(rb"stream\r?\n(.*?)\r?\nendstream", stream, re.DOTALL)
    if not found:
        return 0
    data = zlib.decompress(found[1]) if b"/FlateDecode" in stream else found[1]
    return int(TTFont(io.BytesIO(data), lazy=True)["maxp"].numGlyphs)
