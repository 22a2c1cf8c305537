"""What is in a checkpoint file, told without running it; damage is one line, never a traceback."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from tests.models.nets import Conv
from xattn.errors import CheckpointError
from xattn.images import Preprocessing
from xattn.models.checkpoints.checkpoint import SCHEMA, read_checkpoint, save_checkpoint


@pytest.fixture
def net() -> nn.Module:
    return Conv().eval()


def save(path: Path, net: nn.Module, **changes: object) -> Path:
    facts = {
        "architecture": "conv",
        "options": {"channels": 6},
        "classes": ["benign", "malignant"],
        "preprocessing": Preprocessing(size=(64, 96)),
        "extra": {"epoch": 3},
    }
    return save_checkpoint(path, net, **{**facts, **changes})


def same_weights(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "model.safetensors"])
def test_what_is_saved_is_read_back(tmp_path, net, name):
    read = read_checkpoint(save(tmp_path / name, net))
    assert read.format == "xattn"
    assert same_weights(read.state, net.state_dict())
    assert read.facts["architecture"] == "conv"
    assert read.facts["options"] == {"channels": 6}
    assert read.facts["classes"] == ["benign", "malignant"]
    assert read.facts["preprocessing"] == Preprocessing(size=(64, 96)).to_dict()
    assert read.facts["extra"] == {"epoch": 3}


def test_an_own_checkpoint_needs_no_pickle(tmp_path, net):
    path = save(tmp_path / "model.pt", net)
    assert torch.load(path, weights_only=True)["schema"] == SCHEMA


def test_the_hash_is_of_the_file(tmp_path, net):
    import hashlib

    path = save(tmp_path / "model.pt", net)
    assert read_checkpoint(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_failed_save_leaves_the_old_file_and_no_scraps(tmp_path, net):
    path = save(tmp_path / "model.pt", net)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="JSON"):
        save(path, net, extra={"now": object()})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        (lambda state: state, "state-dict"),
        (lambda state: {"state_dict": state, "epoch": 4}, "lightning"),
        (lambda state: {"model_state_dict": state, "optimizer": {}}, "lightning"),
        (lambda state: {"model": state}, "lightning"),
        (lambda state: {**state, "note": "best"}, "state-dict"),
    ],
    ids=["bare", "state_dict", "model_state_dict", "model", "with a note"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_weights_are_found_where_frameworks_put_them(tmp_path, net, content, format_, zipped):
    path = tmp_path / "model.pt"
    torch.save(content(net.state_dict()), path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert read.format == format_
    assert same_weights(read.state, net.state_dict())


def test_safetensors_of_others_are_bare_weights(tmp_path, net):
    safetensors.torch.save_file(net.state_dict(), tmp_path / "m.safetensors", {"format": "pt"})
    read = read_checkpoint(tmp_path / "m.safetensors")
    assert (read.format, read.facts) == ("state-dict", {})
    assert same_weights(read.state, net.state_dict())


class TestPickle:
    @pytest.mark.parametrize(
        "content", [lambda net: net, lambda net: {"model": net}], ids=["module", "in a dict"]
    )
    def test_is_refused_in_one_line_that_names_the_way_out(self, tmp_path, net, content):
        path = tmp_path / "model.pt"
        torch.save(content(net), path)
        with pytest.raises(CheckpointError, match="pass --unsafe-pickle if you trust it") as error:
            read_checkpoint(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert same_weights(read_checkpoint(path, unsafe_pickle=True).state, net.state_dict())

    def test_runs_nothing_unless_allowed(self, tmp_path):
        class Bomb:
            def __reduce__(self) -> tuple:
                return Path.touch, (tmp_path / "ran",)

        torch.save({"state_dict": Bomb()}, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match="--unsafe-pickle"):
            read_checkpoint(tmp_path / "model.pt")
        assert not (tmp_path / "ran").exists()
        with pytest.raises(CheckpointError, match="only the keys state_dict"):
            read_checkpoint(tmp_path / "model.pt", unsafe_pickle=True)
        assert (tmp_path / "ran").exists()

    def test_of_a_class_that_is_gone_says_which(self, tmp_path, net, monkeypatch):
        import tests.models.nets as home

        torch.save(net, tmp_path / "model.pt")
        monkeypatch.delattr(home, "Conv")
        with pytest.raises(CheckpointError, match=r"Unpickling .* failed: AttributeError.*Conv"):
            read_checkpoint(tmp_path / "model.pt", unsafe_pickle=True)


def _zip_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CONTENTS = {
    "empty": b"",
    "text": b"hello\nworld\n" * 20,
    "json": b'{"a": 1}',
    "png": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "some zip": _zip_of(a=b"hi"),
    "fake TorchScript": _zip_of(**{"m/constants.pkl": b"hi"}),
    "plain pickle": pickle.dumps([1, 2, 3]),
    "pickle header": b"\x80\x02",
}


class TestAFileThatIsNoCheckpoint:
    @pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
    @pytest.mark.parametrize("allowed", [False, True], ids=["", "unsafe"])
    def test_is_named_in_one_line(self, tmp_path, content, allowed):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model.pt") as error:
            read_checkpoint(path, unsafe_pickle=allowed)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300 + len(str(path))

    def test_is_not_said_to_be_pickled(self, tmp_path):
        (tmp_path / "model.pt").write_bytes(CONTENTS["plain pickle"])
        with pytest.raises(CheckpointError, match="damaged, cut short or of no known format"):
            read_checkpoint(tmp_path / "model.pt")

    @pytest.mark.parametrize(
        ("content", "got"),
        [({"a": 1, "b": "c"}, "only the keys a, b"), ([1, 2], "of type list"),
         (torch.zeros(3), "of type Tensor"), ({}, "only the keys")],
        ids=["no tensors", "list", "tensor", "empty dict"],
    )  # fmt: skip
    def test_because_it_holds_something_else_says_what(self, tmp_path, content, got):
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=got):
            read_checkpoint(tmp_path / "model.pt")

    def test_because_nothing_is_there_says_so(self, tmp_path):
        with pytest.raises(CheckpointError, match="but got nothing there"):
            read_checkpoint(tmp_path / "gone.pt")
        with pytest.raises(CheckpointError, match=r"one checkpoint in the folder .* but got none"):
            read_checkpoint(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"hello, this is text", bytes(100)])
    def test_though_it_is_called_safetensors_is_named(self, tmp_path, content):
        (tmp_path / "m.safetensors").write_bytes(content)
        with pytest.raises(
            CheckpointError, match=r"Expected a checkpoint in .*m\.safetensors, but"
        ):
            read_checkpoint(tmp_path / "m.safetensors")


class TestAnOwnCheckpointThatIsNotWhole:
    def test_of_a_later_schema_is_refused(self, tmp_path, net):
        torch.save({"schema": "xattn-checkpoint/9", "state_dict": {}}, tmp_path / "model.pt")
        later = {"xattn": json.dumps({"schema": "xattn-checkpoint/9"})}
        safetensors.torch.save_file(net.state_dict(), tmp_path / "model.safetensors", later)
        for name in ("model.pt", "model.safetensors"):
            with pytest.raises(CheckpointError, match=r"/1 in .*, but got xattn-checkpoint/9"):
                read_checkpoint(tmp_path / name)

    @pytest.mark.parametrize("key", ["architecture", "options", "classes", "state_dict"])
    def test_names_the_key_that_is_missing(self, tmp_path, net, key):
        content = torch.load(save(tmp_path / "model.pt", net), weights_only=True)
        del content[key]
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=f"lacks {key}"):
            read_checkpoint(tmp_path / "model.pt")

    def test_has_facts_that_are_no_json(self, tmp_path, net):
        safetensors.torch.save_file(net.state_dict(), tmp_path / "m.safetensors", {"xattn": "{"})
        with pytest.raises(CheckpointError, match="Expected JSON in the record inside"):
            read_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize("fraction", [0.001, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_file_cut_short_anywhere_is_named(tmp_path, net, kind, fraction):
    path = tmp_path / ("m.safetensors" if kind == "safetensors" else "m.pt")
    if kind == "safetensors":
        save(path, net)
    else:
        torch.save(net.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(CheckpointError, match=path.name):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_flipped_bytes_never_raise_anything_else(tmp_path, zipped):
    rng = np.random.default_rng(0)
    path = tmp_path / "model.pt"
    small = OrderedDict({"conv.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)})
    torch.save(small, path, _use_new_zipfile_serialization=zipped)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    refused = 0
    for _ in range(150):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > 30
