"""Files of text, JSON and TOML: read in any usual encoding, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xattn.documents import decode_text, read_json, read_toml
from xattn.errors import RunError, XattnError, one_line

CONTENT = {"größe": [1, "ü"], "b": None}

MALFORMED = {
    "nothing": b"",
    "a bracket that is open": b"{",
    "brackets nested too deep": b"[" * 100_000,
    "closed brackets nested too deep": b"[" * 50_000 + b"]" * 50_000,
    "a number of 5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "a key that is there twice": b'{"a": 1, "a": 2}',
    "a text in one byte a letter": '{"größe": 1}'.encode("cp1252"),
    "half a mark of UTF-16": b"\xff\xfe{",
    "zeros": b"\0\0\0\0",
    "an image": b"\x89PNG\r\n\x1a\n\0\0",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_every_encoding_that_says_which_it_is(tmp_path, encoding):
    (tmp_path / "x.json").write_text(json.dumps(CONTENT, ensure_ascii=False), encoding=encoding)
    assert read_json(tmp_path / "x.json") == CONTENT


@pytest.mark.parametrize("kind", MALFORMED)
def test_json_that_is_none_is_one_line_with_the_files_name(tmp_path, kind):
    (tmp_path / "x.json").write_bytes(MALFORMED[kind])
    with pytest.raises(RunError, match=r"x\.json, but got: .") as caught:
        read_json(tmp_path / "x.json", error=RunError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 5000,
        b"a = " + b"[" * 5000 + b"]" * 5000,
        b"a = " + b"{x=" * 5000 + b"1" + b"}" * 5000,
        b"a = 1\na = 2",
        b"a = \xff",
        b"a = " + b"1" * 5000,
        b"[a.b]\n[a.b]",
    ],
)
def test_toml_that_is_none_is_one_line_with_the_files_name(tmp_path, content):
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(XattnError, match=r"x\.toml, but got: .") as caught:
        read_toml(tmp_path / "x.toml")
    assert "\n" not in str(caught.value)


def test_toml_of_windows_has_other_line_ends_and_a_mark(tmp_path):
    (tmp_path / "x.toml").write_bytes("[a]\r\nb = 'ü'\r\n".encode("utf-8-sig"))
    assert read_toml(tmp_path / "x.toml") == {"a": {"b": "ü"}}


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path, read):
    for place in (tmp_path / "gone", tmp_path):
        with pytest.raises(XattnError, match=r"Expected a recipe at .*, but got: "):
            read(place, "a recipe")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=30))
def test_a_guess_finds_the_encoding_of_a_table(encoding, text):
    text = "image;größe\n" + text
    assert decode_text(text.encode(encoding), guess=True)[0] == text


def test_a_guess_takes_what_is_no_utf8_as_one_byte_a_letter():
    assert decode_text("à 4 €".encode("cp1252"), guess=True) == ("à 4 €", "cp1252")
    assert decode_text(b"a\x81", guess=True) == ("a\x81", "latin-1")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_no_bytes_raise_anything_else(tmp_path: Path, data):
    (tmp_path / "x").write_bytes(data)
    for read in (read_json, read_toml):
        try:
            read(tmp_path / "x")
        except XattnError as err:
            assert "\n" not in str(err)  # noqa: PT017 -- or no error at all


def test_what_an_exception_says_is_one_line():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(IndexError()) == "IndexError"
    assert one_line(OSError(2, "No such file", "x")) == "No such file"
