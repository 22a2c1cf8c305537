"""Images in a zip, a tar or an HDF5 file are found, decoded and hashed in place."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.images.archives import encoded, pixels, tarred, zipped
from xattn.annotations.headers import read_header
from xattn.errors import ImageError, UsageError
from xattn.images import find_images, read_image
from xattn.images.containers import _Zip, has_file, members, read_content, split_member
from xattn.runs.inputs import Stamp

KINDS = ("zip", "tar", "hdf5", "void", "stack", "bytes")


def write(folder: Path, kind: str, n: int = 3) -> list[Path]:
    """Write an archive of n images and return their paths."""
    images = {f"a__{i}": encoded(i) for i in range(n)}
    if kind == "zip":
        path = zipped(folder / "x.zip", **images)
    elif kind == "tar":
        path = tarred(folder / "x.tar", **images)
    else:
        path = folder / "x.hdf5"
        with h5py.File(path, "w") as file:
            file["y"] = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
            file["target"] = np.zeros(4, np.uint8)
            for i in range(n):
                if kind == "hdf5":
                    file[f"ISIC_{i}"] = np.frombuffer(encoded(i), np.uint8)
                elif kind == "void":
                    file[f"ISIC_{i}"] = np.void(encoded(i))
            if kind == "stack":
                file["x"] = np.stack([pixels(i) for i in range(n)])
            if kind == "bytes":
                stack = file.create_dataset("images", (n,), dtype=h5py.vlen_dtype(np.uint8))
                for i in range(n):
                    stack[i] = np.frombuffer(encoded(i), np.uint8)
    return [path / name for name in members(path)]


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_found_and_decoded_and_have_a_header_and_a_hash(tmp_path, kind):
    paths = write(tmp_path, kind)
    assert len(paths) == 3
    for i, path in enumerate(paths):
        assert has_file(path)
        assert np.array_equal(np.asarray(read_image(path).image), pixels(i))
        assert read_header(path).size == (16, 12)
    assert [one.path for one in find_images(paths[0].parents[1 if kind != "hdf5" else 0])]
    assert len({Stamp.of(path).sha256 for path in paths}) == 3
    assert Stamp.of(paths[0]).fits(paths[0])


@pytest.mark.parametrize("kind", ["zip", "tar", "hdf5"])
def test_an_archive_is_named_like_a_folder_or_lies_in_one(tmp_path, kind):
    paths = write(tmp_path, kind)
    archive = Path(split_member(paths[0])[0])
    assert [one.path for one in find_images(archive)] == paths
    notes: list[str] = []
    assert [one.path for one in find_images(tmp_path, notes.append)] == paths
    assert notes == [f"images are read in place from 1 file: {archive.name}"]


def test_beside_images_of_their_own_archives_are_passed_over(tmp_path):
    write(tmp_path, "zip")
    Image.fromarray(pixels(9)).save(tmp_path / "own.png")
    notes: list[str] = []
    assert [one.id for one in find_images(tmp_path, notes.append)] == ["own"]
    assert notes == ["passed over 1 file beside the images: 1 .zip"]


def test_members_are_read_from_several_threads(tmp_path):
    for kind in ("zip", "tar", "void"):
        paths = write(tmp_path, kind, 8) * 4
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda path: np.asarray(read_image(path).image), paths))
        assert all(np.array_equal(one, pixels(i % 8)) for i, one in enumerate(found))


def test_an_archive_that_was_replaced_is_read_anew(tmp_path):
    path = zipped(tmp_path / "x.zip", a=encoded(0))
    stamp = Stamp.of(path / "a.png")
    zipped(path, a=encoded(5), b=encoded(6))
    assert np.array_equal(np.asarray(read_image(path / "a.png").image), pixels(5))
    assert not stamp.fits(path / "a.png")
    stamp = Stamp.of(path / "a.png")
    zipped(path, a=encoded(5), c=encoded(7))
    assert stamp.fits(path / "a.png")


def test_what_is_not_there_or_damaged_is_one_line(tmp_path):
    path = zipped(tmp_path / "x.zip", a=encoded(0))
    with pytest.raises(ImageError, match=r"Expected b\.png in .*x\.zip, but it holds no such"):
        read_image(path / "b.png")
    assert not has_file(path / "b.png")
    (tmp_path / "torn.zip").write_bytes(path.read_bytes()[:40])
    with pytest.raises(UsageError, match=r"torn\.zip, but opening it failed"):
        find_images(tmp_path / "torn.zip")
    packed = tarred(tmp_path / "x.tar.gz", a=encoded(0))
    with pytest.raises(UsageError, match="packed as a whole; unpack it, or make it a"):
        find_images(packed)


def test_a_table_of_numbers_in_an_hdf5_file_is_no_image(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["features"] = np.zeros((100, 512), np.float32)
        file["labels"] = np.zeros((500, 14), np.uint8)
        file["images"] = np.stack([pixels(i) for i in range(11)])
        file["grey"] = np.zeros((2, 12, 16), np.uint8)
    assert members(tmp_path / "x.h5") == [
        "grey/0", "grey/1", *(f"images/{i:02}" for i in range(11)),
    ]  # fmt: skip
    assert [one.id for one in find_images(tmp_path / "x.h5")][:3] == ["0", "1", "00"]


def test_a_member_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("xattn.images.containers._MOST_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1001))
        archive.writestr("b.png", bytes(999))
    with pytest.raises(ImageError, match=r"a\.png has 1,001 bytes once it is unpacked"):
        read_content(tmp_path / "bomb.zip" / "a.png")
    assert len(read_content(tmp_path / "bomb.zip" / "b.png")) == 999


def test_a_member_without_a_name_is_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"")
        archive.writestr("b.png", b"")
    path = tmp_path / "a.zip"
    path.write_bytes(path.read_bytes().replace(b"x", b"/"))
    assert members(path) == ["b.png"]
    infos = [zipfile.ZipInfo("b.png"), zipfile.ZipInfo("b.png")]
    infos[0].filename = ""  # as of a damaged directory; zipfile writes none
    nameless = SimpleNamespace(_file=SimpleNamespace(infolist=lambda: infos))
    assert _Zip.names(nameless) == ["b.png"]


def test_an_array_that_says_more_rows_than_it_has_bytes_is_no_stack_of_images(tmp_path):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 24, 32, 3)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("liar.npy", out.getvalue() + bytes(100))
        good = io.BytesIO()
        np.save(good, np.zeros((2, 24, 32, 3), np.uint8))
        archive.writestr("good.npy", good.getvalue())
    assert members(tmp_path / "a.npz") == ["good/0", "good/1"]
