"""Whenever a run is killed, the second call ends with the bytes of one that was not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xattn.attribution.run.settings import ExplainSettings
from xattn.errors import DiskError, RunError
from xattn.images import Preprocessing
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record
from xattn.runs.identity import IDENTITY
from xattn.runs.writer import RunWriter

OF_EXPLAIN = ExplainSettings.identity()
SETTINGS: dict[str, Any] = {
    "checkpoint_sha256": "0" * 64,
    "classes": ["benign", "malignant"],
    "preprocessing": Preprocessing(size=(32, 48)).to_dict(),
    "methods": ["gradcam", "attention"],
    "target": "predicted",
    "target_layer": "layer4",
    "base": "..",
    "versions": {"xattn": "1"},
}
FILES = [f"images/{i}.png" for i in range(7)]
BAD = {"images/2.png", "images/6.png"}


def row(file: str) -> dict[str, Any]:
    i = int(Path(file).stem)
    return {"image_id": Path(file).stem, "file": file, "width": 3, "height": 2,
            "label": None if i % 2 else "benign", "predicted": "benign", "logit_benign": i / 3,
            "logit_malignant": 0.0, "converted": "" if i else "grey"}  # fmt: skip


def maps(files: list[str]) -> dict[str, np.ndarray]:
    numbers = np.array([int(Path(f).stem) for f in files], np.float32)[:, None, None]
    return {"gradcam": numbers + np.ones((2, 3)), "attention": numbers / 7 + np.zeros((4, 4))}


def do(
    path: Path,
    files: list[str] = FILES,
    bad: set[str] = BAD,
    settings: dict[str, Any] = SETTINGS,
    **facts: Any,
) -> RunFolder:
    """What `explain` does, in batches of two files."""
    writer = RunWriter.start(path, settings, OF_EXPLAIN)
    todo = [file for file in files if file not in writer.files_done]
    for start in range(0, len(todo), 2):
        batch = todo[start : start + 2]
        good = [file for file in batch if file not in bad]
        errors = [{"file": f, "stage": "decode", "error": "broken"} for f in batch if f in bad]
        writer.commit([row(f) for f in good], maps(good) if good else {}, errors)
    return writer.finish(timings={"images": len(todo)}, **facts)


def content(path: Path) -> dict[str, bytes]:
    """Every file of a run folder but run.json's timings."""
    found = {}
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        data = file.read_bytes()
        if file.name == "run.json":
            data = json.dumps({**read_record(file), "timings": None}).encode()
        found[str(file.relative_to(path))] = data
    return found


def test_what_was_committed_is_gathered_in_order(tmp_path):
    run = do(tmp_path / "run")
    good = [file for file in FILES if file not in BAD]
    assert list(run.predictions["file"]) == good
    for name, expected in maps(good).items():
        np.testing.assert_array_equal(run.maps(name), expected.astype(np.float32))
    errors = run.table("errors")
    assert list(errors.columns) == ["file", "stage", "error"]
    assert set(errors["file"]) == BAD
    assert run.settings["counts"] == {"images": 7, "done": 5, "skipped": 2}
    assert run.settings["timings"] == {"images": 7}
    assert not (run.path / ".progress").exists()


def test_a_batch_must_have_a_map_of_each_method_per_row(tmp_path):
    writer = RunWriter.start(tmp_path / "run", SETTINGS)
    with pytest.raises(ValueError, match=r"Expected 1 maps of each method, but got .*'gradcam': 2"):
        writer.commit([row(FILES[0])], maps(FILES[:2]))


def test_labels_may_be_missing_from_a_batch_or_from_all(tmp_path):
    run = do(tmp_path / "run", ["images/1.png", "images/3.png", "images/4.png"])
    assert run.predictions["label"].isna().tolist() == [True, True, False]
    run = do(tmp_path / "none", ["images/1.png", "images/3.png"])
    run = do(tmp_path / "none", ["images/1.png", "images/3.png", "images/4.png"])
    assert run.predictions["label"].isna().tolist() == [True, True, False]


class Killed(BaseException):
    """A kill, as far as one can be played within a process."""


class Sword:
    """Kills at the n-th change of the file system that a run makes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        for owner, name in ((os, "replace"), (Path, "rename"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self.guarded(getattr(owner, name), name))

    def guarded(self, change: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if name == "rmtree" and not Path(arguments[0]).exists():
                return None
            self.left -= 1
            if self.left == 0 and name == "rmtree":  # killed in the middle of it
                for file in sorted(Path(arguments[0]).rglob("*"))[::2]:
                    if file.is_file():
                        file.unlink()
            if self.left == 0:
                raise Killed
            result = change(*arguments, **options)
            if self.left == -1:
                raise Killed
            return result

        return wrapper


def killed_at(n: int, job: Callable[[], Any]) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        Sword(patch, n)
        try:
            job()
        except Killed:
            return True
    return False


class TestAKill:
    """Of runs with two batches and one method, so that all moments can be tried."""

    SETTINGS = {**SETTINGS, "methods": ["gradcam"]}  # noqa: RUF012 -- never changed

    def job(self, path: Path, files: list[str] = FILES[:4]) -> Callable[[], RunFolder]:
        return lambda: do(path, files, settings=self.SETTINGS)

    def test_at_any_moment_of_a_first_run_leaves_the_same_bytes(self, tmp_path):
        expected = content(self.job(tmp_path / "expected" / "run")().path)
        moments = 0
        for n in range(1, 60):
            job = self.job(tmp_path / str(n) / "run")
            if not killed_at(n, job):
                break
            moments += 1
            assert content(job().path) == expected, f"killed at change {n}"
        assert 12 <= moments < 59

    def test_at_any_moment_of_a_second_call_that_adds_images_leaves_the_same_bytes(self, tmp_path):
        self.job(tmp_path / "expected" / "run", FILES[:1])()
        expected = content(self.job(tmp_path / "expected" / "run")().path)
        moments = 0
        for n in range(1, 60):
            path = tmp_path / str(n) / "run"
            self.job(path, FILES[:1])()
            if not killed_at(n, self.job(path)):
                break
            moments += 1
            assert len(RunFolder.open(path).predictions) >= 1  # what was there is not lost
            assert content(self.job(path)().path) == expected, f"killed at change {n}"
        assert 12 <= moments < 59

    def test_twice_is_no_worse(self, tmp_path):
        expected = content(self.job(tmp_path / "expected" / "run")().path)
        for n in range(1, 16, 4):
            job = self.job(tmp_path / str(n) / "run")
            killed_at(n, job)
            killed_at(n, job)
            assert content(job().path) == expected

    def test_loses_only_the_batch_in_flight(self, tmp_path):
        writer = RunWriter.start(tmp_path / "run", SETTINGS)
        writer.commit([row(FILES[0])], maps(FILES[:1]))
        killed_at(1, lambda: writer.commit([row(FILES[1])], maps(FILES[1:2])))
        again = RunWriter.start(tmp_path / "run", SETTINGS)
        assert again.files_done == {FILES[0]}

    def test_before_a_commit_leaves_nothing_that_a_failing_batch_would_take_over(self, tmp_path):
        """Rows without a commit lie there; then the same batch fails altogether."""
        first = RunWriter.start(tmp_path / "run", SETTINGS)
        assert killed_at(3, lambda: first.commit([row(FILES[0])], maps(FILES[:1])))
        again = RunWriter.start(tmp_path / "run", SETTINGS)
        again.commit([], {}, [{"file": FILES[0], "stage": "decode", "error": "broken"}])
        again.commit([row(FILES[1])], maps(FILES[1:2]))
        assert list(again.finish().predictions["file"]) == [FILES[1]]


class TestASecondCall:
    def test_on_a_finished_run_changes_not_a_byte(self, tmp_path):
        path = do(tmp_path / "run").path
        before = {
            p: (p.read_bytes(), p.stat().st_ino) for p in path.rglob("*.zarr/**/*") if p.is_file()
        }
        whole = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
        do(path)
        assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == whole
        assert all(p.stat().st_ino == inode for p, (_, inode) in before.items())

    def test_appends_what_is_new(self, tmp_path):
        do(tmp_path / "run", FILES[3:])
        run = do(tmp_path / "run", FILES)
        assert list(run.predictions["image_id"]) == ["3", "4", "5", "0", "1"]
        np.testing.assert_array_equal(run.maps("gradcam")[:, 0, 0], [4, 5, 6, 1, 2])
        assert run.settings["counts"] == {"images": 7, "done": 5, "skipped": 2}

    def test_tries_files_again_that_failed(self, tmp_path):
        do(tmp_path / "run")
        run = do(tmp_path / "run", bad={"images/6.png"})
        assert list(run.predictions["image_id"])[-1] == "2"
        assert list(run.table("errors")["file"]) == ["images/6.png"]
        assert run.settings["counts"] == {"images": 7, "done": 6, "skipped": 1}

    def test_keeps_one_line_for_a_file_that_fails_differently(self, tmp_path):
        do(tmp_path / "run")
        writer = RunWriter.start(tmp_path / "run", SETTINGS)
        writer.commit([], {}, [{"file": "images/2.png", "stage": "decode", "error": "other, NA"}])
        run = writer.finish()
        errors = run.table("errors").set_index("file")["error"]
        assert dict(errors) == {"images/6.png": "broken", "images/2.png": "other, NA"}
        assert run.settings["counts"]["skipped"] == 2

    def test_does_not_retry_what_failed_within_a_run_that_goes_on(self, tmp_path):
        writer = RunWriter.start(tmp_path / "run", SETTINGS)
        writer.commit([], {}, [{"file": "images/2.png", "stage": "decode", "error": "broken"}])
        assert RunWriter.start(tmp_path / "run", SETTINGS).files_done == {"images/2.png"}

    def test_knows_the_ids_that_are_taken(self, tmp_path):
        writer = RunWriter.start(do(tmp_path / "run", FILES[:2]).path, SETTINGS)
        writer.commit([row(FILES[3])], maps(FILES[3:4]))
        again = RunWriter.start(tmp_path / "run", SETTINGS)
        assert again.ids_done == {"0": FILES[0], "1": FILES[1], "3": FILES[3]}

    @pytest.mark.parametrize("key", [*IDENTITY, *OF_EXPLAIN])
    def test_with_other_settings_is_refused_with_the_way_out(self, tmp_path, key):
        mine = {**dict.fromkeys([*IDENTITY, *OF_EXPLAIN], "mine"), **SETTINGS}
        before = content(do(tmp_path / "run", settings=mine).path)
        named = f"Expected {key} .*; name another folder with --out"
        with pytest.raises(RunError, match=named):
            RunWriter.start(tmp_path / "run", {**mine, key: "other"}, OF_EXPLAIN)
        assert content(tmp_path / "run") == before

    def test_names_all_that_differs_down_to_the_key(self, tmp_path):
        do(tmp_path / "run")
        size = Preprocessing(size=(48, 48)).to_dict()
        with pytest.raises(
            RunError,
            match=r"Expected preprocessing.size \[32, 48\] and target \"predicted\" as in .*, "
            r"but got \[48, 48\] and \"label\"",
        ):
            RunWriter.start(
                tmp_path / "run", {**SETTINGS, "preprocessing": size, "target": "label"}
            )

    def test_names_it_in_the_letters_that_it_was_given_in(self, tmp_path):
        do(tmp_path / "run", settings={**SETTINGS, "target": "größe"})
        with pytest.raises(RunError, match=r'Expected target "größe" as in .*, but got "маска"'):
            RunWriter.start(tmp_path / "run", {**SETTINGS, "target": "маска"})

    def test_on_a_folder_of_a_version_without_a_setting_does_not_compare_it(self, tmp_path):
        do(tmp_path / "run")
        do(tmp_path / "run", settings={**SETTINGS, "exact": True, "overlay": "png"})

    def test_with_another_version_is_not(self, tmp_path):
        do(tmp_path / "run")
        run = do(tmp_path / "run", settings={**SETTINGS, "versions": {"xattn": "2"}})
        assert run.settings["versions"] == {"xattn": "1"}  # nothing new was done by the other


class TestARunWithoutOneGoodImage:
    def test_says_why_and_leaves_the_list(self, tmp_path):
        with pytest.raises(
            RunError, match=r"Not one image could be done, see .*errors\.csv: broken"
        ):
            do(tmp_path / "run", bad=set(FILES))
        errors = pd.read_csv(tmp_path / "run" / "errors.csv")
        assert list(errors["file"]) == FILES

    def test_can_be_repeated_once_they_are_mended(self, tmp_path):
        with pytest.raises(RunError, match="Not one image"):
            do(tmp_path / "run", bad=set(FILES))
        assert content(do(tmp_path / "run").path) == content(do(tmp_path / "other").path)


class TestAFolderThatCannotBeUsed:
    def test_because_it_is_a_file(self, tmp_path):
        (tmp_path / "run").write_text("notes")
        with pytest.raises(RunError, match="Expected a folder to write into, but got the file"):
            RunWriter.start(tmp_path / "run", SETTINGS)

    def test_because_it_is_below_a_file(self, tmp_path):
        (tmp_path / "notes").write_text("notes")
        with pytest.raises(DiskError, match=r"Expected to write into .*Not a directory"):
            RunWriter.start(tmp_path / "notes" / "run", SETTINGS)

    def test_because_its_run_json_is_damaged(self, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "run.json").write_text("{")
        with pytest.raises(RunError, match=r"Expected JSON in .*run.json"):
            RunWriter.start(tmp_path / "run", SETTINGS)
