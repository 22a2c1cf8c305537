"""Chest films with lists of findings, from the data set as it lies to a report of each finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from tests.annotations.downloads import table
from tests.annotations.layouts.findings_miniatures import CHEXPERT_HEADER, NIH_HEADER, cells
from xattn.annotations.layouts.chest_films import FINDINGS, FINDINGS_NIH
from xattn.cli import main
from xattn.runs import RunFolder

N = 48
TWO = ("Effusion", "Mass")


def film(path: Path, i: int, bright: bool, bits: int) -> None:
    """Write a grey film of 8 or 16 bits, with a brighter half where a finding is."""
    values = np.random.default_rng(i).normal(0.3, 0.05, (40, 36))
    values[20:] += 0.3 * bright
    top = 2**bits - 1
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.clip(values * top, 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(levels).save(path)


def chestxray14(root: Path) -> tuple[str, ...]:
    rows = []
    for i in range(N):
        name = f"{i // 2 + 1:08d}_{i % 2:03d}.png"
        shown = [one for one, there in zip(TWO, (i % 2, i // 2 % 2), strict=True) if there]
        film(root / "images_001" / "images" / name, i, bool(i % 2), 16)
        said = "|".join(shown) or "No Finding"
        rows.append(
            f"{name},{said},{i % 2},{i // 2},{30 + i * 7 % 40:03d},{'MF'[i // 2 % 2]},PA,1,1,1,1,"
        )
    table(root / "Data_Entry_2017_v2020.csv", NIH_HEADER, *rows)
    return FINDINGS_NIH


def chexpert(root: Path) -> tuple[str, ...]:
    rows = []
    for i in range(N):
        inside = f"train/patient{i // 2:05d}/study1/view{i % 2 + 1}_frontal.png"
        film(root / inside, i, bool(i % 2), 8)
        named = cells(Pleural_Effusion=i % 2, Edema=(-1, 0, 1, None)[i % 4], Lung_Lesion=i // 2 % 2)
        sex = ("Male", "Female")[i // 2 % 2]
        rows.append(f"{root.name}/{inside},{sex},{30 + i * 7 % 40},Frontal,AP,{named}")
    table(root / "train.csv", CHEXPERT_HEADER, *rows)
    return FINDINGS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "targets"),
    [(chestxray14, TWO), (chexpert, ("Pleural Effusion", "Edema"))],
    ids=["chestxray14", "chexpert"],
)
def test_the_whole_chain_goes_through_for_findings(write, targets, tmp_path, capsys):
    findings = write(tmp_path / "data")
    known, run = ["--annotations", str(tmp_path / "a.json")], str(tmp_path / "run")
    assert main(["annotations", "build", str(tmp_path / "data"), "--out", known[1]]) == 0
    assert main(["annotations", "check", known[1]]) == 0
    torch.manual_seed(0)
    net = timm.create_model("resnet10t", num_classes=len(findings), in_chans=1)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    explain = ["explain", "--ckpt", str(tmp_path / "net.pt"), "--arch", "resnet10t", *known]
    explain += ["--classes", ",".join(findings), "--outputs", "sigmoid", "--size", "32"]
    explain += ["--method", "gradcam", *(x for t in targets for x in ("--method", f"gradcam@{t}"))]
    assert main([*explain, "--out", run]) == 0
    usage = ["feature-usage", "--run", run, *known, "--permutations", "99", "--bootstrap", "99"]
    named = [part for one in targets for part in ("--target", one)]
    assert main([*usage, "--interventions", "3", *named]) == 0
    assert main(["report", run, "--gallery", "4"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    usage_table = RunFolder.open(run).table("feature_usage")
    assert set(usage_table["target"]) == set(targets)
    assert {"age", "sex"} <= set(usage_table["feature"])
