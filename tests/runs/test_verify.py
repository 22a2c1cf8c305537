"""`xattn verify` names what is not as it was written, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import zarr

from tests.runs.whole_run import write_whole
from xattn.cli import main
from xattn.errors import RunError
from xattn.runs.atomic import write_json
from xattn.runs.parquet import read_parquet, write_parquet
from xattn.runs.record import file_sha256
from xattn.runs.verify import verify


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return write_whole(tmp_path_factory.mktemp("kept")).parent


@pytest.fixture
def run(kept, tmp_path) -> Path:
    shutil.copytree(kept, tmp_path / "here")
    return tmp_path / "here" / "run"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def chunk(run: Path, store: str) -> Path:
    return next(path for path in (run / store / "c").rglob("*") if path.is_file())


def test_a_whole_run_is_as_it_was(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    found = verify(run)
    assert (found.kind, found.differs, found.unknown) == ("run", [], [])
    assert found.whole
    told = "\n".join(found.checked)
    for part in ("maps of gradcam", "features", "alignment.csv", "annotations", "24 images"):
        assert part in told
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def shorter(run: Path) -> None:
    """Write an array that is whole, and has a row too few."""
    from xattn.runs.arrays import create_array

    shutil.rmtree(run / "masks.zarr" / "ruler")
    create_array(run / "masks.zarr" / "ruler", (23, 32, 32), (10, 32, 32), "bool")[:] = True


def twice(run: Path) -> None:
    table = read_parquet(run / "predictions.parquet", "")
    table.loc[1, "image_id"] = table.loc[0, "image_id"]
    write_parquet(table, run / "predictions.parquet")


def other_logits(run: Path) -> None:
    table = read_parquet(run / "predictions.parquet", "")
    write_parquet(table.assign(logit_benign=0.5), run / "predictions.parquet")


CHANGES = {
    "a map": (lambda run: flip(chunk(run, "maps.zarr/gradcam")), "maps of gradcam: "),
    "no map": (lambda run: chunk(run, "maps.zarr/attention").unlink(), "maps of attention: "),
    "a mask": (lambda run: flip(chunk(run, "masks.zarr/ruler")), "masks of ruler: "),
    "a row of masks": (shorter, "Expected 24 masks of 'ruler', but got 23"),
    "a table": (lambda run: flip(run / "alignment.csv"), "alignment.csv"),
    "no table": (lambda run: (run / "bias.csv").unlink(), "bias.csv: it is not there; repeat"),
    "an image": (lambda run: flip(run.parent / "images/img_0003.png"), "(images/img_0003.png)"),
    "predictions": (lambda run: cut(run / "predictions.parquet"), "predictions.parquet: "),
    "an image twice": (twice, "Expected each image_id once, but 'img_0000' stands twice"),
    "other predictions": (other_logits, "analysis.json: the analysis in "),
    "the annotations": (lambda run: flip(run.parent / "annotations.json"), "annotations of"),
    "run.json": (lambda run: flip(run / "run.json"), "run.json"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_is_named_and_nothing_else(run, name):
    change, told = CHANGES[name]
    change(run)
    found = verify(run)
    assert len(found.differs) == 1
    assert told in found.differs[0]
    assert "\n" not in found.differs[0]
    assert ";" in found.differs[0]  # the way out


def test_what_was_compared_is_told_by_kind(run):
    found = verify(run)
    assert found.counts == {
        "record": 3, "table": 3, "file": 3, "maps": 2, "masks": 2, "image": 24, "annotations": 1,
    }  # fmt: skip
    assert found.summary == (
        "as written: 3 records, 3 tables, 3 other files, maps of 2 methods, masks of 2 features, "
        "24 images, 1 annotation file; 0 differ, 0 could not be compared"
    )
    flip(chunk(run, "maps.zarr/gradcam"))
    (run.parent / "annotations.json").unlink()
    summary = verify(run).summary
    assert "maps of 1 method," in summary
    assert summary.endswith("24 images; 1 differ, 1 could not be compared")


def unsealed(path: Path) -> None:
    """Take the checksum of a record away."""
    facts = json.loads(path.read_text())
    del facts["checksum"]
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize("name", ["run.json", "analysis.json", "features.json"])
def test_a_record_without_a_checksum_is_unknown(run, name):
    unsealed(run / name)
    found = verify(run)
    assert found.differs == []
    assert found.unknown == [f"{name}: it holds no checksum, so that a change is not noticed"]
    assert found.counts["record"] == 2
    assert name not in found.checked


def test_what_stands_beside_damaged_predictions_is_compared_and_the_rest_named(run):
    cut(run / "predictions.parquet")
    flip(chunk(run, "maps.zarr/gradcam"))
    found = verify(run)
    assert [line.partition(":")[0] for line in found.differs] == [
        "predictions.parquet", "maps of gradcam",
    ]  # fmt: skip
    assert "maps of attention" in found.checked
    (rest,) = found.unknown
    for part in ("overlays", "features and their masks", "images", "analysis", "how many maps"):
        assert part in rest
    assert rest.endswith("not compared, for predictions.parquet differs")


def test_what_is_not_compared_for_a_damaged_record_of_the_run_is_named(run):
    flip(run / "run.json")
    found = verify(run)
    (rest,) = found.unknown
    assert rest.startswith("maps, overlays, features")
    assert rest.endswith("not compared, for run.json cannot be read")
    assert found.counts == {"record": 1, "table": 3, "annotations": 1}


def test_an_image_of_the_same_size_and_time_is_only_found_if_all_are_read(run):
    import os

    path = run.parent / "images" / "img_0003.png"
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verify(run).whole
    assert len(verify(run, images="all").differs) == 1


def test_inputs_that_are_gone_are_unknown(run):
    shutil.rmtree(run.parent / "images")
    (run.parent / "annotations.json").unlink()
    found = verify(run)
    assert found.whole
    assert "images: 24 cannot be read (images/img_0000.png, " in found.unknown[-2]
    assert "annotations.json is not there" in found.unknown[-1]


def test_maps_without_checksums_are_unknown_and_read(run):
    values = zarr.open_array(run / "maps.zarr" / "gradcam", mode="r")[:]
    zarr.create_array(run / "maps.zarr" / "gradcam", data=values, overwrite=True)
    found = verify(run)
    assert found.whole
    assert found.unknown == ["maps of gradcam: written before there were checksums"]


@pytest.fixture
def training(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pt").write_bytes(b"weights")
    (folder / "splits.csv").write_text("image_id,split\na,train\n")
    (tmp_path / "a.json").write_text("{}")
    write_parquet(pd.DataFrame({"image_id": ["a"]}), folder / "predictions.parquet")
    facts = {"checkpoint": "model.pt", "annotations": "a.json"}
    hashed = {"checkpoint": folder / "model.pt", "splits": folder / "splits.csv"}
    hashed["annotations"] = tmp_path / "a.json"
    hashes = {f"{name}_sha256": file_sha256(path) for name, path in hashed.items()}
    write_json(folder / "train.json", {"schema": "xattn-training/1", **facts, **hashes})
    return folder


@pytest.mark.parametrize(
    ("name", "damage"),
    [("model.pt", flip), ("splits.csv", flip), ("predictions.parquet", cut), ("../a.json", flip)],
)
def test_a_training_is_compared_with_its_record(training, name, damage):
    assert verify(training).differs == []
    damage(training / name)
    found = verify(training)
    assert found.kind == "training"
    assert len(found.differs) == 1
    assert Path(name).name in found.differs[0]


def test_trials_of_a_search_are_trainings_of_which_most_keep_no_weights(training, tmp_path):
    trials = tmp_path / "search" / "trials"
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search.json").write_text("{}")
    for number in ("0000", "0001"):
        shutil.copytree(training, trials / number)
    shutil.copy(tmp_path / "a.json", trials / "a.json")
    (trials / "0001" / "model.pt").unlink()
    found = verify(tmp_path / "search")
    assert found.differs == []
    assert found.unknown == ["search.json: it holds no checksum, so that a change is not noticed"]
    assert found.counts == {"record": 2, "file": 2, "checkpoint": 1, "annotations": 1}
    flip(trials / "0000" / "model.pt")
    assert [line[:14] for line in verify(tmp_path / "search").differs] == ["0000: model.pt"]


def test_a_study_is_compared_with_what_its_steps_wrote(tmp_path):
    study = tmp_path / "study"
    (study / "steps").mkdir(parents=True)
    write_json(study / "study.json", {"schema": "xattn-study/1", "steps": ["train/a/0", "report"]})
    (study / "a.csv").write_text("a\n")
    record = {"done": True, "files": {"a.csv": file_sha256(study / "a.csv")}}
    write_json(study / "steps" / "train--a--0.json", record)
    write_json(study / "steps" / "report.json", {"done": False})
    found = verify(study)
    assert (found.kind, found.differs) == ("study", [])
    assert found.unknown == ["report: it is not done"]
    assert found.counts == {"record": 3, "table": 1}
    flip(study / "a.csv")
    assert "train/a/0: " in verify(study).differs[0]


def test_the_command_ends_with_1_if_anything_differs_and_with_3_if_it_is_strict(run, capsys):
    assert main(["verify", str(run), "--strict"]) == 0
    assert f"{run}: run, " in capsys.readouterr().out
    (run.parent / "annotations.json").unlink()
    assert main(["verify", str(run)]) == 0
    assert main(["verify", str(run), "--strict"]) == 3
    flip(chunk(run, "maps.zarr/gradcam"))
    capsys.readouterr()
    assert main(["verify", str(run), "--json"]) == 1
    said = capsys.readouterr()
    assert "differs: maps of gradcam: " in said.err
    assert len(json.loads(said.out)["folders"][0]["differs"]) == 1


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"Expected a folder of a run, training, .*holds none of"):
        verify(tmp_path)


def test_a_folder_that_is_none_does_not_keep_the_others_from_being_looked_at(run, tmp_path, capsys):
    nothing = tmp_path / "nothing"
    assert main(["verify", str(nothing), str(run)]) == 1
    said = capsys.readouterr()
    assert f"{nothing}: differs: Expected a folder of a run" in said.err
    assert f"{run}: run, " in said.out
    assert f"{nothing}: none" not in said.out
