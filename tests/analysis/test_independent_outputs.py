"""Outputs of which several can be true of one image: each is tested as a question of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn

import xattn
from tests.models.nets import Conv, plain, with_statistics
from xattn.analysis.one_output import OneOutput, file_name
from xattn.errors import AnnotationError, UsageError
from xattn.models import Model, wrap
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record, write_text
from xattn.splits.splits import write_splits
from xattn.synthetic.dataset import synthesize

OUTPUTS = ["mass", "effusion", "edema"]
QUICK = {"permutations": 39, "bootstrap": 99, "interventions": 4, "computed": False}


def net(seed: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    made = with_statistics(Conv())
    made.fc = nn.Linear(6, 3)
    nn.init.normal_(made.fc.weight, std=2.0)
    return made.eval()


def findings_of(seed: int = 2) -> Model:
    return wrap(net(seed), classes=OUTPUTS, preprocessing=plain(), outputs="sigmoid")


def one_of(name: str, seed: int = 2) -> Model:
    """The same network, with one of its outputs as the only one."""
    return wrap(
        net(seed),
        classes=[f"no {name}", name],
        preprocessing=plain(),
        output=OUTPUTS.index(name),
    )


def listed(file: Path, seed: int = 0) -> Path:
    """Give every image a list of findings; of some it is not known whether they show an edema."""
    draw = np.random.default_rng(seed)
    known = json.loads(file.read_text(encoding="utf-8"))
    known["labels"] = [*OUTPUTS, "fracture"]
    for i, image in enumerate(known["images"]):
        there = [name for name in (*OUTPUTS, "fracture") if draw.random() < 0.5]
        image["label"] = there
        if i % 5 == 0:
            image["label"] = [name for name in there if name != "edema"]
            image["unknown"] = ["edema"]
    path = file.with_name(f"findings{seed}.json")
    path.write_text(json.dumps(known), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Path:
    return listed(synthesize(tmp_path_factory.mktemp("data"), 30, size=(64, 80), seed=7))


@pytest.fixture(scope="module")
def found(tmp_path_factory, known):
    model = findings_of()
    out = tmp_path_factory.mktemp("run") / "run"
    run = xattn.explain(model, methods="gradcam", annotations=known, out=out, overlay="none")
    return xattn.feature_usage(run, known, model=model, **QUICK)


class TestUsage:
    def test_says_in_a_column_which_output_a_row_is_of(self, found):
        assert found.targets == OUTPUTS
        for name in ("feature_usage", "interventions", "verdicts", "alignment"):
            assert found[name].columns[-1] == "target"
            assert set(found[name]["target"]) == set(OUTPUTS)
        stored = pd.read_csv(found.run.path / "verdicts.csv")
        assert list(stored.columns) == list(found.verdicts.columns)

    def test_has_p_values_that_hold_over_all_outputs(self, found):
        for name in ("feature_usage", "interventions", "verdicts", "alignment", "bias"):
            table = found[name]
            adjusted = pd.to_numeric(table["p_adjusted"]).to_numpy()
            np.testing.assert_allclose(table["p_over_outputs"], np.minimum(3 * adjusted, 1))
        (note,) = [note for note in found.notes if "p_over_outputs" in note]
        assert note.startswith("3 outputs were tested, each at level 0.05 by itself; ")
        assert "Bonferroni" in note

    def test_gives_the_rows_of_one_output(self, found):
        own = found.of("mass")
        assert "target" not in own.usage
        assert len(own.usage) == (found.usage["target"] == "mass").sum()
        assert own.positive == "mass"
        with pytest.raises(UsageError, match=r"Unknown output 'mas'; did you mean 'mass'"):
            found.of("mas")

    def test_counts_images_of_which_an_output_is_not_known_and_leaves_them_out(self, found):
        assert "edema: Of 6 images it is not known whether they show edema: left out" in found.notes
        facts = read_record(found.run.path / "analysis.json")
        counts = {name: own["counts"]["labelled"] for name, own in facts["by_target"].items()}
        assert counts == {"mass": 30, "effusion": 30, "edema": 24}
        assert facts["by_target"]["mass"]["positive"] == "mass"
        told = {name: own["label_auc"]["told"] for name, own in facts["by_target"].items()}
        assert told == {name: f"{name} from no {name}" for name in OUTPUTS}

    def test_is_measured_for_the_outputs_that_are_named(self, tmp_path, known):
        model = findings_of()
        run = xattn.explain(model, methods="none", annotations=known, out=tmp_path / "run")
        quick = {**QUICK, "interventions": 0}
        only = xattn.feature_usage(run, known, target="edema", **quick)
        assert only.targets == ["edema"]
        assert not any("no more in the tables" in note for note in only.notes)
        other = xattn.feature_usage(run, known, target="mass", **quick)
        assert any("and no more in the tables: edema; a call" in note for note in other.notes)
        with pytest.raises(UsageError, match=r"Unknown output 'oedema'; did you mean 'edema'"):
            xattn.feature_usage(run, known, target="oedema", **quick)
        with pytest.raises(UsageError, match=r"Expected no positive class.*independent.*--target"):
            xattn.feature_usage(run, known, positive="mass", **quick)

    def test_of_classes_that_exclude_each_other_has_no_target(self, tmp_path, known):
        run = xattn.explain(one_of("mass"), methods="none", annotations=known, out=tmp_path / "run")
        with pytest.raises(UsageError, match="exclude each other; --positive"):
            xattn.feature_usage(run, known, target="mass", **QUICK)

    def test_needs_findings_that_are_outputs(self, tmp_path, known, found):
        other = json.loads(known.read_text())
        other["labels"] = ["benign"]
        for image in other["images"]:
            image["label"] = ["benign"]
            image.pop("unknown", None)
        file = known.with_name("other.json")
        file.write_text(json.dumps(other))
        with pytest.raises(AnnotationError, match="Expected findings among the outputs of the run"):
            xattn.feature_usage(found.run, file, **QUICK)


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 1000), name=st.sampled_from(OUTPUTS))
def test_an_output_among_others_is_what_it_is_alone(seed, name, known, tmp_path_factory):
    root, file = tmp_path_factory.mktemp("twins"), listed(known, seed % 7)
    tables = []
    for part, model, target in (("all", findings_of(seed), name), ("one", one_of(name, seed), ())):
        out = root / part
        run = xattn.explain(
            model, methods="gradcam", annotations=file, out=out, target=name, overlay="none"
        )
        usage = xattn.feature_usage(run, file, model=model, target=target, **QUICK)
        evaluated = xattn.evaluate(model, file, root / f"{part}-evaluated", bootstrap=99)
        performance = evaluated.performance
        if target:
            usage = usage.of(name)
            mine = performance["target"] == name
            performance = performance[mine].drop(columns="target").reset_index(drop=True)
        tables.append({**usage, "performance": performance})
    ours, theirs = tables
    assert list(ours) == list(theirs)
    for table in ours:
        mine = ours[table]
        if "p_over_outputs" in mine:  # of one output
            together = mine.pop("p_over_outputs")
            np.testing.assert_allclose(together, pd.to_numeric(mine["p_adjusted"]))
        pd.testing.assert_frame_equal(
            mine, theirs[table], rtol=1e-4, atol=1e-6, check_dtype=False, obj=table
        )


class TestEvaluation:
    @pytest.fixture(scope="class")
    def evaluated(self, tmp_path_factory, known):
        out = tmp_path_factory.mktemp("evaluated") / "run"
        return xattn.evaluate(findings_of(), known, out, bootstrap=99)

    def test_has_auc_and_average_precision_of_each_output_with_intervals(self, evaluated):
        table = evaluated.performance.set_index(["target", "metric", "class"])
        labels = evaluated.run.predictions["label"]
        for name in OUTPUTS:
            auc = table.loc[(name, "auc", "all")]
            assert auc["low"] <= auc["value"] <= auc["high"]
            assert auc["chance"] == 0.5
            precision = table.loc[(name, "average_precision", name)]
            there = labels.str.split("; ").map(lambda parts, n=name: n in parts)
            assert precision["chance"] == pytest.approx(there.sum() / precision["n"])
        assert table.loc[("edema", "auc", "all"), "n"] == 24

    def test_says_which_output_a_sentence_is_about(self, evaluated):
        *each, together = evaluated.sentences
        assert [line.partition(":")[0] for line in each] == OUTPUTS
        assert together.startswith("Means over 3 outputs, all (30 images of ")
        assert any(
            note.startswith("edema: Of 6 images it is not known") for note in evaluated.notes
        )


def test_models_are_compared_by_one_output(tmp_path, known):
    ids = [image.id for image in xattn.read_annotations(known).images]
    splits = tmp_path / "splits.csv"
    write_text(splits, write_splits(dict.fromkeys(ids, "test"), {}))
    named = []
    for seed in (1, 2):
        out = tmp_path / f"run{seed}"
        xattn.evaluate(findings_of(seed), known, out, splits=splits, bootstrap=99)
        named.append(f"m{seed}={out}")
    found = xattn.compare(named, tmp_path / "compared", target="edema")
    assert set(found.pairs["split"]) == {"test"}
    with pytest.raises(UsageError, match="such as --target edema"):
        xattn.compare(named, tmp_path / "compared")


class TestOneOutputOfARun:
    def test_looks_like_a_run_of_two_classes(self, found):
        seen = OneOutput(found.run.path, "effusion")
        assert seen.classes == ["no effusion", "effusion"]
        assert seen.exclusive
        assert seen.methods == ["gradcam"]
        stored = found.run.map_array("gradcam@effusion")[:]
        np.testing.assert_array_equal(seen.maps("gradcam"), stored)
        whole, table = found.run.predictions, seen.predictions
        np.testing.assert_array_equal(table["logit_effusion"], whole["logit_effusion"])
        assert (table["logit_no effusion"] == 0).all()
        assert set(table["label"]) == {"effusion", "no effusion"}
        assert ((table["predicted"] == "effusion") == (table["prob_effusion"] > 0.5)).all()
        assert len(seen.table("verdicts")) == (found.verdicts["target"] == "effusion").sum()

    def test_files_are_called_after_the_output_where_they_can_be(self):
        names = ["lung opacity", "a/b", "a:b", "???"]
        assert [file_name(name, names) for name in names] == ["lung_opacity", "1", "2", "3"]


class TestPagesAndFigures:
    def test_each_output_has_a_page_and_the_first_page_leads_there(self, found):
        page = xattn.report(found.run, gallery=2)
        text = page.read_text(encoding="utf-8")
        for name in OUTPUTS:
            own = page.with_name(f"report-{name}.html").read_text(encoding="utf-8")
            assert f'href="report-{name}.html"' in text
            assert f"for <em>{name}</em>" in own
            assert f"no {name}" in own
            assert 'href="report.html"' in own

    def test_each_output_has_figures_and_tables(self, found):
        drawn = xattn.save_figures(found.run, only="feature-usage")
        assert [path.parent.name for path in drawn] == OUTPUTS
        written = xattn.save_tables(found.run, only="verdicts", formats="csv")
        assert [path.parent.name for path in written] == OUTPUTS


def test_a_run_says_which_of_its_findings_an_image_shows(found):
    labels = RunFolder.open(found.run.path).predictions["label"]
    assert labels.iloc[0].endswith("edema?")
