"""A network of five channels, from the command line to the page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import tifffile
import torch
from PIL import Image

from tests.models.matching.test_channels import network
from xattn.cli import main

OPTIONS = ["--ckpt", "five.pt", "--arch", "test_resnet", "--classes", "a,b", "--size", "32",
           "--input-mode", "squash"]  # fmt: skip


def call(*words: object) -> int:
    return main([str(word) for word in words])


def study(folder, n=16):
    rng, images = np.random.default_rng(0), []
    for i in range(n):
        mark = np.zeros((32, 32), bool)
        mark[4:9, 6 : 18 + i % 3] = i % 2
        pixels = rng.integers(60, 90, (32, 32, 5), dtype=np.uint8)
        pixels[mark] = 220
        tifffile.imwrite(folder / f"x{i}.tif", pixels, photometric="minisblack",
                         planarconfig="contig")  # fmt: skip
        Image.fromarray(mark).save(folder / f"x{i}_mark.png")
        images.append({"id": f"x{i}", "file": f"x{i}.tif", "label": "ab"[i // 2 % 2],
                       "masks": {"mark": f"x{i}_mark.png"}})  # fmt: skip
    content = {"schema": "xattn-annotations/1", "labels": ["a", "b"],
               "features": {"mark": {"kind": "artifact"}}, "images": images}  # fmt: skip
    (folder / "a.json").write_text(json.dumps(content))
    torch.save(network(5).state_dict(), folder / "five.pt")


def test_maps_edits_and_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study(tmp_path)
    words = ["--annotations", "a.json", "--run", "r", "--permutations", 19, "--bootstrap", 99]
    assert call("annotations", "check", "a.json") == 0
    assert call("feature-usage", *OPTIONS, *words) == 0
    told = capsys.readouterr().out
    assert "A network of 5 channels: not done, since made for colours, are the edits" in told
    edits = pd.read_csv("r/interventions.csv").set_index(["feature", "intervention"])
    assert edits.loc[("mark", "inpaint"), "n"] == 8
    assert edits.loc[("mark", "inpaint"), "abs_delta_logit"] > 0
    assert set(pd.read_csv("r/doses.csv")["intervention"]) == {"light", "opacity", "size"}
    assert call("report", "r") == 0
    record = json.loads((tmp_path / "r/run.json").read_text())
    assert record["preprocessing"]["mean"] == [0.0] * 5
    # What the run says leads back to the same network, without the checkpoint's options.
    assert call("feature-usage", *words) == 0


def test_images_of_other_channels_are_told_and_an_error_with_strict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study(tmp_path, 2)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "colours.png")
    given = ["explain", *OPTIONS, "--images", "x0.tif", "--images", "colours.png", "--mean", "0.3",
             "--std", "0.1,0.2,0.3,0.4,0.5", "--overlay", "none"]  # fmt: skip
    assert call(*given) == 0
    errors = (tmp_path / "xattn-run/errors.csv").read_text()
    assert "Expected 5 channels in colours.png, as the network takes them, but got 3" in errors
    assert call(*given, "--strict") == 3
    capsys.readouterr()
    assert call("explain", *OPTIONS, "--channels", "4", "--images", "x0.tif") == 1
    assert "of 4 channels, as --channels says, but its first layer takes 5" in (
        capsys.readouterr().err
    )
