"""The command line as a person meets it: help at once, clear errors, promised exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xattn.cli

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "timm", "captum", "pytorch_grad_cam", "matplotlib", "pandas",
         "numpy", "lightning", "cv2", "scipy", "sklearn", "zarr", "pydantic")  # fmt: skip


def commands() -> list[tuple[str, ...]]:
    """Every command with its words, walked from the root."""
    found = []

    def walk(command: object, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found.append((words, command))
            return
        for name, sub in inner.items():
            walk(sub, (*words, name))

    walk(xattn.cli.app, ())
    return found


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    import torch

    from xattn.images import Preprocessing
    from xattn.models import build, save_checkpoint

    torch.manual_seed(0)
    return save_checkpoint(
        tmp_path / "model.pt",
        build("test_resnet", 2),
        architecture="test_resnet",
        classes=["benign", "malignant"],
        preprocessing=Preprocessing(size=(64, 64)),
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(5):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"img_{i}.png")
    return folder


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, xattn.cli; code = xattn.cli.main(['--help']); "
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout
    assert "feature-usage" in done.stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, xattn; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "command"), commands(), ids=lambda x: " ".join(x) if isinstance(x, tuple) else ""
)
def test_every_command_has_help_for_itself_and_answers_it(words, command, capsys) -> None:
    assert command.help, words
    assert xattn.cli.main([*words, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(set(xattn.__all__) - {"__version__"}))
def test_every_public_name_can_be_fetched_and_is_documented(name) -> None:
    assert getattr(xattn, name).__doc__


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = xattn.explian


def test_explain_writes_a_run_and_says_so(checkpoint, images, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    code = xattn.cli.main(
        ["explain", "--ckpt", str(checkpoint), "-i", str(images), "--out", str(out)]
    )
    assert code == 0
    assert "5 of 5 images explained" in capsys.readouterr().out
    assert (out / "predictions.parquet").is_file()
    assert len(list((out / "overlays" / "gradcam").glob("*.png"))) == 5


def test_json_prints_a_summary_and_nothing_else(checkpoint, images, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    xattn.cli.main(
        ["explain", "--ckpt", str(checkpoint), "-i", str(images), "--out", str(out), "--json"]
    )
    facts = json.loads(capsys.readouterr().out)
    assert (facts["images"], facts["done"], facts["skipped"]) == (5, 5, 0)


def test_a_skipped_image_is_exit_0_and_with_strict_3(checkpoint, images, tmp_path, capsys) -> None:
    (images / "broken.png").write_bytes(b"no image")
    words = ["explain", "--ckpt", str(checkpoint), "-i", str(images), "--out"]
    assert xattn.cli.main([*words, str(tmp_path / "a")]) == 0
    assert "1 skipped" in capsys.readouterr().out
    assert xattn.cli.main([*words, str(tmp_path / "b"), "--strict"]) == 3


MODEL = ["explain", "--ckpt", "{ckpt}"]
RUN = [*MODEL, "-i", "{images}"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["explain", "--ckpt", "nowhere.pt", "-i", "{images}"], 1, "Expected a checkpoint file"),
        (MODEL, 2, "Expected --images or --annotations"),
        ([*MODEL, "-i", "{tmp}/nowhere"], 2, "Expected an image, a directory"),
        ([*MODEL, "-i", "{tmp}/empty"], 1, "but found none"),
        ([*RUN, "-m", "gradcm"], 2, "did you mean 'gradcam'"),
        ([*RUN, "-m", "attention"], 1, "has none"),
        ([*RUN, "--target", "malignan"], 2, "did you mean"),
        ([*RUN, "--classes", "a,b"], 1, "leave --classes out"),
        ([*RUN, "--size", "big"], 2, "Expected a size"),
        (["feature-usage", "--annotations", "{tmp}/none.json"], 1, "none.json"),
        (["report", "{tmp}/empty"], 1, "Expected a run folder"),
        (["inspect", "--ckpt", "{images}/img_0.png"], 1, "Expected a checkpoint"),
        (["annotations", "check", "{tmp}/none.json"], 1, "none.json"),
        (["train", "{tmp}/none.toml", "--annotations", "x", "--out", "y"], 1, "none.toml"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_with_its_exit_code(
    words, code, message, checkpoint, images, tmp_path, capsys
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"{ckpt}": checkpoint, "{images}": images, "{tmp}": tmp_path}
    for key, place in places.items():
        words = [w.replace(key, str(place)) for w in words]
    if words[0] == "explain":
        words += ["--out", str(tmp_path / "run")]
    assert xattn.cli.main(words) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.startswith("Error")]) == 1


def test_debug_shows_the_traceback(tmp_path) -> None:
    with pytest.raises(xattn.errors.XattnError):
        xattn.cli.main(["report", str(tmp_path), "--debug"])


def test_inspect_prints_what_was_found(checkpoint, capsys) -> None:
    assert xattn.cli.main(["inspect", "--ckpt", str(checkpoint)]) == 0
    said = capsys.readouterr().out
    assert "layer4" in said
    assert "test_resnet" in said
    assert "benign, malignant" in said
