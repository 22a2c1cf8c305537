"""What a training says while it runs, where there is no terminal to draw a bar on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import xattn
import xattn.cli
from tests.published import needs_lite
from tests.training.recipes import tiny_recipe
from xattn.models import build
from xattn.splits.splits import write_splits
from xattn.training.lightning_quiet import quiet_library

B, M = "benign", "malignant"
LINE = re.compile(
    r"epoch \d/3: train loss \d\.\d{4}, val loss \d\.\d{4}, val balanced accuracy \d\.\d{3}, "
    r"val AUC \d\.\d{3}, lr \d\.\d\de-\d\d, \d+\.\d s"
)


def trained(notes: Path, tmp_path: Path, *options: str) -> int:
    (tmp_path / "recipe.toml").write_text(tiny_recipe(epochs=2).to_toml())
    words = ["train", str(tmp_path / "recipe.toml"), "--annotations", str(notes)]
    return xattn.cli.main([*words, "--out", str(tmp_path / "out"), "--epochs", "3", *options])


def test_an_epoch_is_one_line_of_plain_text(study, tmp_path, capsys):
    assert trained(study([B, M] * 20), tmp_path) == 0
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines)
    assert not re.search(r"^epoch", captured.out, re.MULTILINE)
    assert "train, val and test are alike in 1 column (chance 1.00)" in captured.out


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_nothing_is_said_of_epochs_to_those_who_want_none(study, tmp_path, capsys, option):
    assert trained(study([B, M] * 20), tmp_path, option) == 0
    assert capsys.readouterr().err == ""


def with_sites(path: Path, site) -> Path:
    content = json.loads(path.read_text())
    for i, image in enumerate(content["images"]):
        image["values"] = {"site": site(i)}
    path.write_text(json.dumps(content))
    return path


def test_splits_that_are_not_alike_are_told_before_the_first_epoch(
    study, tmp_path, capsys, monkeypatch
):
    notes = with_sites(study([B, M] * 20), lambda i: "arm" if i < 20 else "leg")
    splits = {f"img{i:03d}": "train" if i < 20 else ("val", "test")[i // 2 % 2] for i in range(40)}
    (tmp_path / "s.csv").write_text(write_splits(splits))

    def stop(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xattn.training.fit.fit_module", stop)
        assert trained(notes, tmp_path, "--splits", str(tmp_path / "s.csv")) == 130
    said = capsys.readouterr().out
    assert "note: train, val and test are not alike in site (chance 0.00" in said
    assert "'leg': 0.0 % of train, 100.0 % of val, 100.0 % of test" in said

    assert trained(notes, tmp_path, "--splits", str(tmp_path / "s.csv"), "--json") == 0
    assert "not alike in site" in json.loads(capsys.readouterr().out)["notes"][0]
    table = (tmp_path / "out" / "splits_alike.csv").read_text()
    assert "site,arm,1.000000,0.000000,0.000000,,20,0,0,0," in table


def test_hints_of_the_library_are_kept_from_the_user():
    code = "import warnings; warnings.warn('{}', {})"
    with warnings.catch_warnings(record=True, action="always") as told, quiet_library():
        for kind in ("UserWarning", "FutureWarning", "DeprecationWarning"):
            exec(code.format("a hint", kind), {"__name__": "lightning.pytorch.trainer"})
            exec(code.format("ours", kind), {"__name__": "xattn.training"})
    assert {str(one.message) for one in told} == {"ours"}


@pytest.mark.parametrize(("options", "told"), [([], False), (["--debug"], True)])
def test_warnings_and_logs_of_libraries_do_not_reach_the_user(options, told):
    script = (
        "import logging, sys, warnings\n"
        "import xattn.cli\n"
        "def main(*_, **__):\n"
        "    warnings.warn('a hint', UserWarning)\n"
        "    logging.getLogger('library').warning('a log')\n"
        "xattn.cli.app.main = main\n"
        f"sys.argv = ['xattn', *{options}]\n"
        "sys.exit(xattn.cli.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert ("a hint" in done.stderr) == ("a log" in done.stderr) == told


def test_weights_that_it_starts_from_are_told_with_what_is_new(study, tmp_path, capsys):
    torch.save(build("tiny", 7).state_dict(), tmp_path / "w.pt")
    recipe = tiny_recipe(init=str(tmp_path / "w.pt"))
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    words = ["train", str(tmp_path / "recipe.toml"), "--annotations", str(study([B, M] * 20))]
    assert xattn.cli.main([*words, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "starts from w.pt: 7 tensors; 2 are new (6.weight, 6.bias)" in said


@pytest.mark.slow
@needs_lite
@pytest.mark.parametrize("colours", ["", "mean = [0.485, 0.456, 0.406]"])
def test_published_weights_bring_their_colours_or_are_told_apart(study, tmp_path, capsys, colours):
    (tmp_path / "recipe.toml").write_text(
        '[model]\narchitecture = "tf_efficientnet_lite0"\n'
        f"[data]\nsize = 32\n{colours}\n"
        '[train]\nepochs = 1\nlr = 1e-3\nbatch_size = 8\ninit = "pretrained"\n'
    )
    words = ["train", str(tmp_path / "recipe.toml"), "--annotations", str(study([B, M] * 20))]
    assert xattn.cli.main([*words, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "starts from timm/tf_efficientnet_lite0.in1k (efficientnet-lite0-" in said
    assert "2 are new (classifier.weight, classifier.bias)" in said
    told = "was trained with mean [0.5, 0.5, 0.5], and this recipe has [0.485, 0.456, 0.406]"
    assert (told in said) == bool(colours)
    used = xattn.load(tmp_path / "out/model.pt").preprocessing
    assert used.std == (0.5, 0.5, 0.5)
    assert used.mean == ((0.485, 0.456, 0.406) if colours else (0.5, 0.5, 0.5))
