"""What a disk refuses is one line, whichever library met it."""

from __future__ import annotations

import errno

import pytest

from xattn.disk import disk_error, replacing, writing_into, writing_to
from xattn.errors import DiskError, XattnError


class SafetensorError(Exception):
    """As safetensors raises it: no OSError, the number in words."""


def of_pytorch() -> RuntimeError:
    """Return what PyTorch raises while it trips over what the file raised."""
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704")
    except RuntimeError as err:
        return err


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space"),  # pyarrow
    SafetensorError("Error while serializing: I/O error: No space left (os error 28)"),
    of_pytorch(),
]


@pytest.mark.parametrize("raised", FULL, ids=lambda err: type(err).__name__)
def test_a_full_disk_is_named_with_its_file_and_the_way_out(tmp_path, raised):
    with pytest.raises(DiskError) as caught, writing_to("run/a.parquet"):
        raise raised
    assert str(caught.value) == (
        "Expected to write run/a.parquet, but got: No space left on device; make room there and "
        "repeat the command, what was written is kept"
    )
    with pytest.raises(DiskError, match="write into run, but"), writing_into("run"):
        raise raised


@pytest.mark.parametrize(
    "raised",
    [ValueError("no"), KeyError("a"), XattnError("told"), RuntimeError("shapes differ")],
    ids=repr,
)
def test_what_is_no_problem_of_the_disk_stays_what_it_is(tmp_path, raised):
    assert disk_error(raised) is None
    for place in (writing_to(tmp_path), writing_into(tmp_path)):
        with pytest.raises(type(raised)) as caught, place:
            raise raised
        assert caught.value is raised


def test_a_bug_after_a_file_that_was_looked_for_keeps_its_traceback():
    bug = KeyError("a")
    bug.__context__ = FileNotFoundError(errno.ENOENT, "No such file", "a.json")
    assert disk_error(bug) is None


def test_the_file_that_is_named_first_stays_named():
    with (
        pytest.raises(DiskError, match=r"write a\.csv, but"),
        writing_to("folder"),
        writing_to("a.csv"),
    ):
        raise OSError(errno.EROFS, "Read-only file system", ".a.csv.part")


def test_a_folder_is_not_blamed_for_an_input_that_cannot_be_read():
    with pytest.raises(PermissionError), writing_into("run"):
        raise PermissionError(errno.EACCES, "Permission denied", "images/1.png")
    with pytest.raises(IsADirectoryError), writing_into("run"):
        raise IsADirectoryError(errno.EISDIR, "Is a directory")


def test_a_long_name_is_shown_short():
    said = str(disk_error(OSError(errno.ENAMETOOLONG, "File name too long", f"out/{'n' * 300}")))
    assert "out/nnn" in said
    assert len(said) < 250


def test_any_other_refusal_is_said_in_the_words_it_came_with():
    assert str(disk_error(TimeoutError("timed\nout"))) == "Expected to write, but got: timed out"


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_that_replaces_another_is_written_down_if_it_is_to_last(
    tmp_path, monkeypatch, durable
):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(descriptor))
    with replacing(tmp_path / "a", durable=durable) as scratch:
        scratch.write_text("a")
    assert len(synced) == 2 * durable  # the file, and its folder
