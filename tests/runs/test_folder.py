"""Reading a run folder, and the promise its tables keep."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fabricate import fabricate_run
from xattn.errors import DiskError, RunError
from xattn.images import View
from xattn.runs import TABLES, RunFolder, last_run

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 2))
MAPS = {"gradcam": RNG.random((5, 2, 3)), "attention": RNG.random((5, 4, 4))}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return fabricate_run(tmp_path, LOGITS, MAPS, image_size=(48, 32))


class TestOpening:
    def test_a_path_may_be_a_text(self, run):
        assert len(RunFolder(str(run.path)).predictions) == len(run.predictions)

    def test_what_is_no_run_says_how_to_make_one(self, tmp_path):
        with pytest.raises(RunError, match=r"no run.json there; make one with `xattn explain"):
            RunFolder.open(tmp_path / "gone")

    def test_a_run_that_never_finished_says_how_to_go_on(self, run):
        (run.path / "predictions.parquet").unlink()
        with pytest.raises(RunError, match=r"repeat `xattn explain .*` to go on"):
            RunFolder.open(run.path)

    @pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\x00"])
    def test_a_damaged_run_json_is_named(self, run, content):
        (run.path / "run.json").write_text(content)
        with pytest.raises(RunError, match=r"JSON.*run\.json"):
            _ = RunFolder.open(run.path).settings


class TestReading:
    def test_rows_of_tables_and_maps_are_of_the_same_image(self, run):
        assert run.classes == ["benign", "malignant"]
        assert run.methods == ["gradcam", "attention"]
        assert list(run.predictions["image_id"]) == [f"img_{i:04d}" for i in range(5)]
        np.testing.assert_allclose(run.predictions["logit_benign"], LOGITS[:, 0])
        for name, maps in MAPS.items():
            assert run.maps(name).dtype == np.float32
            np.testing.assert_allclose(run.maps(name), maps, rtol=1e-6)

    def test_an_unknown_method_is_refused_with_near_ones(self, run):
        with pytest.raises(RunError, match="holds no 'gradcm' maps; did you mean 'gradcam'"):
            run.maps("gradcm")

    def test_a_view_is_of_the_rows_own_image(self, run):
        assert run.view(2) == View((0, 0, 48, 32), 32, 32)

    def test_image_paths_lead_to_the_files_wherever_the_two_are_moved(self, run, tmp_path):
        assert run.image_path(3).resolve() == (tmp_path / "images/img_0003.png").resolve()
        moved = tmp_path.parent / (tmp_path.name + "-moved")
        tmp_path.rename(moved)
        assert RunFolder.open(moved / "run").image_path(3).is_file()

    def test_maps_that_are_ahead_of_the_table_are_cut_to_it(self, run):
        """As a kill leaves them while images are added."""
        rows = run.predictions.iloc[:3]
        rows.to_parquet(run.path / "predictions.parquet", index=False)
        assert len(RunFolder.open(run.path).maps("gradcam")) == 3


class TestTables:
    @pytest.mark.parametrize("name", TABLES)
    def test_that_lack_a_promised_column_are_not_written(self, run, name):
        whole = pd.DataFrame({column: [1] for column in TABLES[name].promised})
        for column in TABLES[name].promised:
            with pytest.raises(ValueError, match=f"'{column}'.* are missing"):
                run.write_table(name, whole.drop(columns=column))
        assert not run.has_table(name) or name == "errors"

    @pytest.mark.parametrize("name", [n for n in TABLES if n != "errors"])
    def test_have_the_promised_columns_first_then_others(self, run, name):
        columns = ["more", *reversed(TABLES[name].promised)]
        run.write_table(name, pd.DataFrame({column: [1.5, 2.5] for column in columns}))
        read = run.table(name)
        assert tuple(read.columns) == (*TABLES[name].promised, "more")
        assert list(read["more"]) == [1.5, 2.5]

    def test_keep_none_and_na_as_words_and_emptiness_as_missing(self, run):
        table = pd.DataFrame({c: ["None", "NA", None] for c in TABLES["bias"].promised})
        run.write_table("bias", table)
        read = run.table("bias")["feature"]
        assert list(read[:2]) == ["None", "NA"]
        assert read.isna().tolist() == [False, False, True]

    @pytest.mark.parametrize("name", TABLES)
    def test_have_whole_numbers_for_counts_also_where_some_are_missing(self, run, name):
        table = pd.DataFrame({c: [3.0, None] for c in TABLES[name].always})
        lines = run.write_table(name, table).read_text().splitlines()
        for column, three, missing in zip(*(line.split(",") for line in lines), strict=True):
            assert three == ("3" if column in TABLES[name].counts else "3.0")
            assert missing == ""

    def test_are_the_same_bytes_each_time(self, run):
        table = pd.DataFrame({c: [0.1, 1 / 3] for c in TABLES["bias"].promised})
        first = run.write_table("bias", table).read_bytes()
        assert run.write_table("bias", table).read_bytes() == first
        assert b"\r" not in first

    def test_that_fail_half_way_leave_the_old_one(self, run, monkeypatch):
        table = pd.DataFrame({c: [1.0] for c in TABLES["bias"].promised})
        path = run.write_table("bias", table)
        before = path.read_bytes()

        def half(_table: pd.DataFrame, scratch: Path, **_options: object) -> None:
            scratch.write_text("feature,met")
            raise OSError("disk full")

        monkeypatch.setattr(pd.DataFrame, "to_csv", half)
        with pytest.raises(DiskError, match="disk full"):
            run.write_table("bias", table * 2)
        assert path.read_bytes() == before
        assert not list(run.path.glob("*.part")) + list(run.path.glob(".*.part"))

    def test_that_were_not_written_yet_say_how(self, run):
        assert not run.has_table("alignment")
        with pytest.raises(RunError, match=r"alignment\.csv.*write it with `xattn feature-usage"):
            run.table("alignment")


class TestTheLastRun:
    def make(self, path: Path, age: float) -> None:
        path.mkdir(parents=True)
        (path / "run.json").write_text("{}")
        (path / "predictions.parquet").write_bytes(b"")
        os.utime(path / "run.json", (1e9 - age, 1e9 - age))

    def test_is_xattn_run_if_that_is_there(self, tmp_path):
        self.make(tmp_path / "newer", age=1)
        self.make(tmp_path / "xattn-run", age=100)
        assert last_run(tmp_path).path == tmp_path / "xattn-run"

    def test_is_else_the_newest(self, tmp_path):
        self.make(tmp_path / "a", age=50)
        self.make(tmp_path / "b", age=1)
        self.make(tmp_path / "c", age=99)
        assert last_run(tmp_path).path == tmp_path / "b"

    def test_must_be_there(self, tmp_path):
        with pytest.raises(RunError, match=r"found none; make one with `xattn explain.*--run"):
            last_run(tmp_path)


class TestNotebook:
    def test_shows_what_is_in_the_run(self, run):
        run.write_table("errors", pd.DataFrame([], columns=list(TABLES["errors"].promised)))
        shown = run._repr_html_()
        for fact in ("Run run", "<td>5</td>", "benign, malignant", "gradcam, attention", "errors"):
            assert fact in shown
        assert "bias" not in shown

    def test_is_escaped(self, tmp_path):
        made = fabricate_run(tmp_path, LOGITS, MAPS, classes=("a", "<script>"))
        assert "&lt;script&gt;" in made._repr_html_()
        assert "<script>" not in made._repr_html_()
