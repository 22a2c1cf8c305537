"""The whole chain on images in archives and in DICOM: as on the same images as files."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cli.miniatures import ids, image
from tests.images.test_dicom import write as write_dicom
from xattn.cli import main
from xattn.runs import RunFolder

RECIPE = """[model]
architecture = "resnet10t"
[data]
size = 32
val = 0.2
test = 0.3
[train]
epochs = 1
batch_size = 16
lr = 0.01
"""
PARTS = ("masks", "images")
KINDS = ["zip", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("tar", "hdf5", "dicom"))]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write grey images with masks and a table; train a model on them and explain them."""
    root = tmp_path_factory.mktemp("plain")
    rows = []
    for i, one in enumerate(ids(24)):
        path = root / "images" / "p1" / f"{one}.png"
        lesion = image(path, i, i % 2 * 3)
        Image.open(path).convert("L").save(path)
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(lesion).save(root / "masks" / f"{one}_seg.png")
        rows.append((one, "ab"[i % 2], i % 3))
    pd.DataFrame(rows, columns=["id", "dx", "ward"]).to_csv(root / "t.csv", index=False)
    (root / "tiny.toml").write_text(RECIPE)
    run_chain(root, root / "images", root, ["train", str(root / "tiny.toml")])
    return root


def run_chain(out: Path, images: Path, plain: Path, train: list[str] | None = None) -> None:
    known = ["--annotations", str(out / "a.json")]
    table = ["--csv", str(plain / "t.csv"), "--id", "id", "--label", "dx"]
    build = ["annotations", "build", *table, "--image-root", str(images)]
    masks = ["--lesion-masks", str(plain / "masks"), "--out", str(out / "a.json")]
    assert main([*build, *masks]) == 0
    assert main(["annotations", "check", str(out / "a.json")]) == 0
    if train:
        assert main([*train, *known, "--out", str(out / "model"), "--device", "cpu"]) == 0
    run = ["--out", str(out / "run")]
    explain = ["explain", "--ckpt", str(plain / "model" / "model.pt"), *known, *run]
    assert main([*explain, "--method", "gradcam"]) == 0
    assert main([*explain, "--method", "gradcam"]) == 0  # finds all of it done
    usage = ["feature-usage", "--run", str(out / "run"), *known, "--permutations", "99"]
    assert main([*usage, "--bootstrap", "99", "--interventions", "3"]) == 0
    assert main(["report", str(out / "run"), "--gallery", "4"]) == 0


def pack(plain: Path, out: Path, kind: str) -> Path:
    files = sorted((plain / "images").rglob("*.png"))
    if kind == "zip":
        with zipfile.ZipFile(out / "images.zip", "w") as archive:
            for path in files:
                archive.write(path, path.relative_to(plain))
        return out / "images.zip"
    if kind == "tar":
        with tarfile.open(out / "images.tar", "w") as archive:
            archive.add(plain / "images", "images")
        return out / "images.tar"
    if kind == "hdf5":
        with h5py.File(out / "images.hdf5", "w") as file:
            for path in files:
                file[path.stem] = np.frombuffer(path.read_bytes(), np.uint8)
        return out / "images.hdf5"
    (out / "films").mkdir()
    for path in files:
        write_dicom(out / "films" / f"{path.stem}.dcm", np.asarray(Image.open(path)), 8)
    return out / "films"


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_reads_members_as_it_reads_files(plain, tmp_path, kind, capsys):
    run_chain(tmp_path, pack(plain, tmp_path, kind), plain)
    assert "Traceback" not in capsys.readouterr().err
    here, there = RunFolder.open(tmp_path / "run"), RunFolder.open(plain / "run")
    columns = ["image_id", "label", "predicted"]
    pd.testing.assert_frame_equal(here.predictions[columns], there.predictions[columns])
    for name in ("alignment", "feature_usage", "interventions"):
        assert len(there.table(name)) > 0
        pd.testing.assert_frame_equal(here.table(name), there.table(name), rtol=1e-4, atol=1e-6)


def test_an_archive_that_is_gone_is_named(plain, tmp_path, capsys):
    shutil.copy(plain / "t.csv", tmp_path / "t.csv")
    archive = pack(plain, tmp_path, "zip")
    build = [
        "annotations",
        "build",
        "--csv",
        str(tmp_path / "t.csv"),
        "--id",
        "id",
        "--label",
        "dx",
    ]
    out = tmp_path / "a.json"
    assert main([*build, "--root", str(archive), "--out", str(out)]) == 0
    archive.unlink()
    assert main(["annotations", "check", str(out)]) == 1
    said = capsys.readouterr()
    assert "images.zip/images/p1/ISIC_0000000.png, but got nothing there" in said.out + said.err
