"""Trainings on lists of findings: independent outputs, of what is known, and kills change none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits

import xattn
import xattn.cli
from tests.training.fitted import run
from tests.training.recipes import resumed_recipe, tiny_recipe
from tests.training.test_resume import Stop, assert_same, stop_after
from xattn.annotations.findings import shows
from xattn.errors import CheckpointError, UsageError, XattnError
from xattn.models import load
from xattn.models.checkpoints.own_format import checked_facts
from xattn.training.module import balanced_answers, masked_bce
from xattn.training.recipe import parse_recipe

NAMES = ["effusion", "mass", "edema"]


@pytest.fixture
def films(tmp_path) -> Path:
    """An annotation file of 48 images whose red, green and blue say what they show."""
    return films_in(tmp_path / "films")


def films_in(root: Path, n: int = 48, names: list[str] = NAMES, unknown: float = 0.15) -> Path:
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    images = []
    for i in range(n):
        shown = rng.random(len(names)) < 0.5
        hidden = (rng.random(len(names)) < unknown) & (i > 2)
        pixels = rng.integers(60, 190, (16, 20, 3), dtype=np.uint8)
        for c, there in enumerate(shown):
            pixels[..., c] = pixels[..., c] // 4 + 120 * there
        Image.fromarray(pixels).save(root / f"images/img{i:03d}.png")
        known = [name for name, s, u in zip(names, shown, hidden, strict=True) if s and not u]
        entry = {"id": f"img{i:03d}", "file": f"images/img{i:03d}.png", "label": known}
        entry["unknown"] = [name for name, u in zip(names, hidden, strict=True) if u]
        entry["group"] = f"p{i // 2}"
        images.append(entry)
    content = {"schema": "xattn-annotations/1", "labels": names, "images": images}
    path = root / "annotations.json"
    path.write_text(json.dumps(content))
    return path


class TestTheLoss:
    def test_is_the_mean_over_what_is_known(self):
        torch.manual_seed(0)
        logits, answers = (
            torch.randn(5, 3),
            torch.tensor(
                [[1, 0, -1], [0, -1, 1], [1, 1, 0], [-1, -1, -1], [0, 0, 0]], dtype=torch.int8
            ),
        )
        known = answers >= 0
        mean = binary_cross_entropy_with_logits(logits[known], answers[known].float())
        assert masked_bce(logits, answers, torch.ones(2, 3)).item() == pytest.approx(mean.item())

    def test_moves_nothing_of_which_nothing_is_known(self):
        logits = torch.randn(3, 2, requires_grad=True)
        answers = torch.tensor([[1, -1], [0, -1], [-1, 1]], dtype=torch.int8)
        masked_bce(logits, answers, torch.ones(2, 2)).backward()
        assert (logits.grad[answers < 0] == 0).all()
        assert (logits.grad[answers >= 0] != 0).all()

    def test_of_a_batch_without_any_answer_is_nothing(self):
        logits = torch.randn(3, 2, requires_grad=True)
        loss = masked_bce(logits, torch.full((3, 2), -1, dtype=torch.int8), torch.ones(2, 2))
        loss.backward()
        assert loss.item() == 0
        assert (logits.grad == 0).all()

    def test_may_weigh_both_answers_of_a_finding_alike(self):
        answers = np.array([[1, 0], [0, 0], [0, 1], [0, -1]], dtype=np.int8)
        weights = balanced_answers(answers)
        np.testing.assert_allclose(weights, [[4 / 6, 3 / 4], [4 / 2, 3 / 2]], rtol=1e-6)


class TestATraining:
    def test_learns_each_finding_and_scores_it_by_itself(self, films, tmp_path):
        result = run(films, tmp_path / "out", recipe=tiny_recipe(epochs=25, lr=0.05))
        assert set(result.test.findings) == set(NAMES)
        assert result.test.auc.value > 0.9
        each = [one.auc.value for one in result.test.findings.values()]
        assert result.test.auc.value == pytest.approx(np.mean(each))
        assert result.best.val_auc == max(epoch.val_auc for epoch in result.history)
        facts = json.loads((tmp_path / "out/train.json").read_text())
        assert facts["outputs"] == "sigmoid"
        assert facts["test"]["auc_mass"] == result.test.findings["mass"].auc.value
        assert any("Not known of some images" in note for note in facts["notes"])

    def test_leaves_a_checkpoint_that_says_that_its_outputs_are_independent(self, films, tmp_path):
        result = run(films, tmp_path / "out")
        model = load(result.checkpoint)
        assert not model.outputs.exclusive
        assert model.classes == NAMES
        made = xattn.explain(
            model, films.parent / "images", annotations=films, out=tmp_path / "run", overlay="none"
        )
        assert made.settings["outputs"] == "sigmoid"
        assert not made.exclusive

    def test_writes_predictions_that_hold_all_that_is_known(self, films, tmp_path):
        result = run(films, tmp_path / "out")
        table = pd.read_parquet(tmp_path / "out/predictions.parquet")
        assert table["predicted"].isna().all()
        logits = table["logit_mass"].to_numpy()
        np.testing.assert_allclose(table["prob_mass"], 1 / (1 + np.exp(-logits)))
        known = xattn.read_annotations(films).by_id
        for name in NAMES:
            told = shows(table["label"], name)
            assert told.tolist() == [known[i].shows(name) for i in table["image_id"]]
        assert (table["split"] == "test").sum() == result.test.n

    @pytest.mark.parametrize("stops", [[1], [2, 3]])
    def test_that_is_killed_goes_on_and_comes_to_the_same_end(self, films, tmp_path, stops):
        recipe = resumed_recipe()
        run(films, tmp_path / "whole", recipe=recipe)
        for epoch in stops:
            with pytest.raises(Stop):
                run(films, tmp_path / "parts", recipe=recipe, on_epoch=stop_after(epoch))
        run(films, tmp_path / "parts", recipe=recipe)
        assert_same(tmp_path / "parts", tmp_path / "whole")

    def test_may_have_one_finding_alone(self, tmp_path):
        films = films_in(tmp_path / "films", names=["mass"])
        result = run(films, tmp_path / "out", recipe=tiny_recipe(epochs=25, lr=0.05))
        model = load(result.checkpoint)
        assert model.classes == ["mass"]
        assert result.test.auc.value > 0.9
        made = xattn.explain(model, annotations=films, methods="gradcam", out=tmp_path / "run")
        table = made.predictions
        assert list(table.filter(like="logit_")) == ["logit_mass"]
        np.testing.assert_allclose(table["prob_mass"], 1 / (1 + np.exp(-table["logit_mass"])))
        found = xattn.evaluate(load(result.checkpoint.parent), films, tmp_path / "e", bootstrap=99)
        assert set(found.performance["split"]) == {"test"}  # the folder's own splits.csv

    def test_is_evaluated_as_it_was_scored(self, films, tmp_path):
        result = run(films, tmp_path / "out")
        found = xattn.evaluate(load(result.checkpoint), films, tmp_path / "evaluated", bootstrap=99)
        rows = found.performance
        for name, one in result.test.findings.items():
            auc = rows[
                (rows["target"] == name) & (rows["metric"] == "auc") & (rows["split"] == "test")
            ]
            assert auc["value"].iloc[0] == pytest.approx(one.auc.value)
            assert auc["n"].iloc[0] == one.n
        facts = json.loads((tmp_path / "evaluated/evaluation.json").read_text())
        (means,) = facts["over_outputs"]
        assert means["auc"] == pytest.approx(result.test.auc.value)
        assert means["outputs"] == 3
        assert any(line.startswith("Means over 3 outputs, test") for line in found.sentences)

    def test_is_compared_one_output_at_a_time(self, films, tmp_path):
        for seed in (1, 2):
            run(films, tmp_path / f"s{seed}", seed=seed)
        runs = [f"a={tmp_path}/s1", f"b={tmp_path}/s2"]
        with pytest.raises(UsageError, match="independent; name one, such as --target effusion"):
            xattn.compare(runs, tmp_path / "compared")
        found = xattn.compare(runs, tmp_path / "compared", target="mass")
        assert len(found.pairs)
        with pytest.raises(UsageError, match="did you mean 'mass'"):
            xattn.compare(runs, tmp_path / "compared", target="mas")

    def test_is_told_finding_by_finding(self, films, tmp_path, capsys):
        (tmp_path / "tiny.toml").write_text(tiny_recipe().to_toml())
        words = ["train", str(tmp_path / "tiny.toml"), "--annotations", str(films)]
        assert xattn.cli.main([*words, "--out", str(tmp_path / "out")]) == 0
        said = capsys.readouterr().out
        assert "labels are lists of findings: 3 independent outputs" in said
        assert "images; means over 3 findings" in said
        assert re.search(
            r"^  mass +AUC [\d.]+ \([\d.]+ to [\d.]+\), in \d+ of \d+ images$", said, re.M
        )

    def test_is_searched_for_by_the_mean_over_its_findings(self, films, tmp_path):
        tables = tiny_recipe(epochs=1).model_dump(exclude={"search"})
        space = {"train.lr": {"choices": [0.01, 0.02]}}
        recipe = parse_recipe({**tables, "search": {"trials": 1, "space": space}}, "the test")
        told: list[str] = []
        found = xattn.search(
            recipe, films, tmp_path / "search", progress=False, on_note=told.append
        )
        assert "The domain of the images is not known" in told[0]
        assert told[1:] == [
            "Labels are lists of findings: val_balanced_accuracy is the mean over 3 of them, and "
            'the best epoch of a trial is that of the largest val_auc; metric = "val_auc" under '
            "[search] ranks the trials by it too"
        ]
        assert found.best.value is not None


class TestWhatIsAskedOfARecipe:
    def test_findings_are_chosen_by_name(self, films, tmp_path):
        recipe = tiny_recipe()
        chosen = recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"findings": ("edema", "mass")})}
        )
        result = run(films, tmp_path / "out", recipe=chosen)
        assert load(result.checkpoint).classes == ["edema", "mass"]
        assert 'findings = ["edema", "mass"]' in (tmp_path / "out/recipe.toml").read_text()

    def test_balanced_sampling_is_refused(self, films, tmp_path):
        recipe = tiny_recipe(sampling="balanced", class_weights="none")
        with pytest.raises(XattnError, match=r'got "balanced".*lists of findings'):
            run(films, tmp_path / "out", recipe=recipe)

    def test_no_weights_are_taken_if_none_are_wanted(self, films, tmp_path):
        run(films, tmp_path / "none", recipe=tiny_recipe(class_weights="none"))
        run(films, tmp_path / "balanced", recipe=tiny_recipe())
        losses = [pd.read_csv(tmp_path / f"{name}/history.csv")["train_loss"]
                  for name in ("none", "balanced")]  # fmt: skip
        assert (losses[0] != losses[1]).all()


def test_an_own_checkpoint_says_outputs_that_there_are(tmp_path):
    facts = {"architecture": "tiny", "classes": ["a"], "options": {}, "outputs": "ordinal"}
    with pytest.raises(CheckpointError, match="outputs that are softmax or sigmoid"):
        checked_facts(facts, tmp_path / "m.pt")
