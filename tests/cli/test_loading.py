"""What a command says of a checkpoint that leaves something open; --strict takes no guess."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.files import make
from xattn.attribution.run.resume import stored_settings
from xattn.cli import main
from xattn.cli.loading import as_explained
from xattn.settings.load import LoadSettings

SAID = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--weights", "teacher"]


@pytest.fixture
def call(tmp_path: Path) -> list[str]:
    """The arguments that explain one image by a file of two networks."""
    sets = {name: make("test_resnet", seed).state_dict() for seed, name in enumerate("ab")}
    torch.save({"student": sets["a"], "teacher": sets["b"]}, tmp_path / "model.pt")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(noise).save(tmp_path / "images" / "one.png")
    return ["explain", "--ckpt", str(tmp_path / "model.pt"), "--arch", "test_resnet",
            "--classes", "benign,malignant", "--images", str(tmp_path / "images"),
            "--overlay", "none", "--out", str(tmp_path / "run")]  # fmt: skip


def test_a_guess_is_told_and_the_command_goes_on(call, capsys):
    assert main(call) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Note: model.pt: holds 2 sets of weights that fit equally well" in told
    assert "--weights teacher takes the other" in told


def test_strict_names_every_guess_and_how_to_say_it(call, capsys):
    assert main([*call, "--strict"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "Expected nothing to guess for" in told
    assert "sets of weights that fit equally well" in told
    assert "mean and std: timm's record of test_resnet" in told
    assert "--mean, --std or --weights" in told


def test_strict_takes_what_is_said(call):
    assert main([*call, "--strict", *SAID]) == 0


class TestFeatureUsageOnTheFileOfTheRun:
    @pytest.fixture
    def stored(self, call, tmp_path):
        assert main([*call, *SAID, "--unsafe-pickle", "--device", "cpu"]) == 0
        return stored_settings(tmp_path / "run")

    def test_takes_what_is_not_said_from_the_run(self, stored, tmp_path):
        settings, filled = as_explained(LoadSettings(), [tmp_path / "model.pt"], stored)
        assert filled == ["arch", "classes", "mean", "std", "weights"]
        assert settings.weights == "teacher"
        assert list(settings.classes) == ["benign", "malignant"]

    def test_takes_what_is_said_as_it_is_said(self, stored, tmp_path):
        said = LoadSettings(weights="student", classes=["a", "b"])
        settings, filled = as_explained(said, [tmp_path / "model.pt"], stored)
        assert filled == ["arch", "mean", "std"]
        assert (settings.weights, list(settings.classes)) == ("student", ["a", "b"])

    def test_takes_no_leave_to_run_code(self, stored, tmp_path):
        settings, _ = as_explained(LoadSettings(), [tmp_path / "model.pt"], stored)
        assert not settings.unsafe_pickle
        assert settings.device == "auto"

    def test_takes_nothing_for_another_file_or_several(self, stored, tmp_path):
        same = tmp_path / "model.pt"
        other = tmp_path / "other.pt"
        torch.save(make("test_resnet", 5).state_dict(), other)
        for files in ([other], [same, other], [tmp_path / "gone.pt"]):
            assert as_explained(LoadSettings(), files, stored) == (LoadSettings(), [])
        assert as_explained(LoadSettings(), [same], {}) == (LoadSettings(), [])
