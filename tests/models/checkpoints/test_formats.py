"""Files that are no checkpoint of PyTorch are named for what they are, with the way out."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from xattn.errors import CheckpointError
from xattn.models.checkpoints.checkpoint import read_checkpoint


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def tarred(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


KINDS = {
    "empty": (b"", "an empty file; download or save it again"),
    "zeros": (bytes(5000), "zeros alone; the copy was cut off"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0a1b\nsize 1234567\n",
        r"a Git LFS pointer to it \(of 1,234,567 bytes\); fetch the file itself with `git lfs",
    ),
    "page": (b"\n<!DOCTYPE html>\n<html><head>", "a web page; the download asked for something"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
    "answer": (b'{"error": "Not Found"}', "JSON that says 'Not Found'"),
    "csv": (b"image,label\na,1\n", "text that begins with 'image,label'"),
    "latin": ("Größe\n".encode("latin-1") * 9, "damaged, cut short or of no known format"),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file, as Keras"),
    "keras 3": (zipped("config.json", "model.weights.h5"), "a Keras model; only PyTorch's"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "a TensorFlow Lite model"),
    "npz": (npz(), r"NumPy arrays \(npz\)"),
    "npy": (b"\x93NUMPY\x01\0", "a NumPy array"),
    "zip": (zipped("runs/best.pth", "log.txt"), "archive of 2 files; unpack it and name 'runs/bes"),
    "tar": (tarred("a.txt", "b.ckpt"), "a tar archive of 2 files; unpack it and name 'b.ckpt' in"),
    "gz": (gzip.compress(b"x"), "a gzip archive; unpack it first"),
    "cut zip": (zipped("m/data.pkl")[:40], "a zip archive that is damaged or cut short"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG image"),
    "pdf": (b"%PDF-1.7", "a PDF document"),
}


@pytest.mark.parametrize("ending", [".pt", ".safetensors", ".pth.tar"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_file_is_named_whatever_its_ending(tmp_path, kind, ending):
    content, words = KINDS[kind]
    path = tmp_path / f"model{ending}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


class TestAFolder:
    def test_stands_for_the_checkpoint_in_it(self, tmp_path):
        safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text("{}")
        assert read_checkpoint(tmp_path).state["a"].tolist() == [1, 1]

    def test_of_one_file_stands_for_it_whatever_its_name(self, tmp_path):
        torch.save({"a": torch.ones(2)}, tmp_path / "epoch=3.ckpt")
        assert read_checkpoint(tmp_path).path.name == "epoch=3.ckpt"

    def test_of_several_asks_for_one(self, tmp_path):
        for name in ("a.pt", "b.pth"):
            torch.save({"a": torch.ones(2)}, tmp_path / name)
        with pytest.raises(CheckpointError, match=r"but got 2: a\.pt, b\.pth; name one"):
            read_checkpoint(tmp_path)

    def test_of_shards_is_read_by_its_index(self, tmp_path):
        for i in (1, 2):
            safetensors.torch.save_file({f"k{i}": torch.ones(i)}, tmp_path / f"s{i}.safetensors")
        names = {"k1": "s1.safetensors", "k2": "../s2.safetensors"}  # leads out: taken from here
        index = tmp_path / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": names}))
        assert set(read_checkpoint(tmp_path).state) == {"k1", "k2"}

    @pytest.mark.parametrize(
        ("name", "words"),
        [(".metadata", "dcp_to_torch"), ("zero_to_fp32.py", "shards of DeepSpeed"),
         ("saved_model.pb", "a model of TensorFlow"), ("data.pkl", "an unpacked file of torch"),
         ("adapter_config.json", "an adapter without its model")],
    )  # fmt: skip
    def test_of_another_kind_is_named(self, tmp_path, name, words):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(tmp_path)


def test_empty_tensors_of_deepspeed_are_told(tmp_path: Path):
    torch.save({"module": {"fc.weight": torch.zeros(0, 2)}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="join them with its zero_to_fp32"):
        read_checkpoint(tmp_path / "model.pt")
