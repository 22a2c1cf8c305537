"""Words that are not said here are found, and the same letters in another meaning are not."""

from pathlib import Path

import pytest

from tools import check_words


def found(text: str, tmp_path: Path, name: str = "page.md") -> list[str]:
    """Write a text to a file and return the words that are found in it."""
    (tmp_path / name).write_text(text)
    findings = check_words.Findings()
    findings.read(tmp_path / name)
    return [line.split("'")[1] if "'" in line else line for line in findings.finish()]


@pytest.mark.parametrize(
    "text",
    [
        "The picture is small.",
        "two PICTURES",
        "def whole_picture(): ...",
        "class PictureRow: ...",
        "class BigPicture: ...",
        "a share of the images",
        "the share the class has",
        "larger shares are taken",
        "colour_share = 0.2",
        "what is heard of it",
        "with lent(model):",
        "the i.d. test images",
        "o.o.d.: other centres",
        "images are dealt to splits",
        "drawn by\n    # lot",
        'say("it was put "\n    "down")',
        "on_fault=print",
        "class Fault: ...",
        "Take care: the control",
        "the class that tpr and fpr speak of",
        "what the seeds cannot tell",
        "a division that came with the data",
    ],
)
def test_a_word_is_found_in_prose_in_names_and_over_line_ends(text, tmp_path):
    assert len(found(text, tmp_path)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Files that share a name, and runs that may share images.",
        "a shared folder; sharing a name",
        "--trap-share P, and the column `variance_share`",
        "default, faulthandler",
        "these are i.i.d. draws",
        "ZeroDivisionError: division by zero",
        "silently, talent, parliament",
        "window.addEventListener('load', run)",
        "scrim, primes, trimmed",
        "it ends with what it has to deal with",
        "cells separated by commas",
        "accompany, ideal, ordeal",
        "immaterial",
    ],
)
def test_the_same_letters_in_another_meaning_are_not(text, tmp_path):
    assert found(text, tmp_path) == []


def test_the_line_and_what_to_say_instead_are_told(tmp_path):
    (tmp_path / "page.md").write_text("one\ntwo\nthe rim of it\n")
    findings = check_words.Findings()
    findings.read(tmp_path / "page.md")
    (line,) = findings.finish()
    assert line.endswith("page.md:3: 'rim' -> border")


def test_a_file_is_found_by_its_name(tmp_path):
    assert len(found("", tmp_path, "test_faults.py")) == 1
    assert found("", tmp_path, "faults_of_files.txt.py") == []


def test_a_name_with_two_meanings_is_found_with_both_places(tmp_path, monkeypatch):
    monkeypatch.setattr(check_words, "ROOT", tmp_path)
    (tmp_path / "xattn").mkdir()
    findings = check_words.Findings()
    for name in ("one.py", "other.py"):
        (tmp_path / "xattn" / name).write_text("class Card:\n    pass\n")
        findings.read(tmp_path / "xattn" / name)
    (line,) = findings.finish()
    assert line == "xattn/one.py:1: Card is declared in xattn/other.py:1 too"


def test_the_command_ends_with_1_if_there_is_a_word_and_0_if_there_is_none(tmp_path, capsys):
    (tmp_path / "page.md").write_text("a picture")
    assert check_words.main([str(tmp_path)]) == 1
    assert "1 place" in capsys.readouterr().out
    (tmp_path / "page.md").write_text("an image")
    assert check_words.main([str(tmp_path)]) == 0
