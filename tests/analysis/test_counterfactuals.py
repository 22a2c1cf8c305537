"""Edits are held against the truth: what the harness says where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.analysis.counterfactuals import NO_TRUTH
from tests.analysis.counterfactuals.__main__ import measured
from tests.analysis.counterfactuals.figures import table
from tests.analysis.counterfactuals.images import exam, lessons
from tests.analysis.counterfactuals.kinds import KINDS, Kind, register
from tests.analysis.counterfactuals.networks import Answers
from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.errors import UsageError


def some(kind: str, *names: str) -> Kind:
    """Return a kind of scene with a few of its tasks."""
    few = replace(KINDS[kind], tasks={name: KINDS[kind].tasks[name] for name in names})
    for name, task in few.tasks.items():
        few.tasks[name] = replace(task, kind=few)
    return few


def test_every_edit_is_held_against_a_truth_or_said_to_have_none():
    held = {one.edit for kind in KINDS.values() for t in kind.tasks.values() for one in t.held}
    assert held | set(NO_TRUTH) == {*GRADED_EDITS, *INTERVENTIONS}
    assert not held & set(NO_TRUTH)


def test_a_task_of_a_name_stands_once():
    with pytest.raises(UsageError, match="'light' twice"):
        register(KINDS["dermoscopy"].tasks["light"])


@pytest.fixture(scope="module")
def kind():
    return some("dermoscopy", "patches", "light", "lesion", "skin_tone")


@pytest.fixture(scope="module")
def asked(kind, tmp_path_factory):
    return exam(kind, 5, tmp_path_factory.mktemp("truth"))


def answered(asked, value, spread: float = 1.0) -> Answers:
    """Return what a network says whose every output is a value of an image."""
    scores = np.array([value(image.astype(float)) for image in asked.images])
    return Answers("by hand", np.ones(4), np.full(4, spread), np.repeat(scores[:, None], 4, axis=1))


def rows(kind, asked, said) -> pd.DataFrame:
    return table(kind, asked, said).set_index(["edit", "feature"])


def test_a_score_that_is_the_mean_value_sees_the_edit_of_light_as_the_truth(kind, asked):
    row = rows(kind, asked, [answered(asked, np.mean)]).loc["light", "light"]
    assert row["slope"] == pytest.approx(1, abs=0.02)
    assert row["correlation"] > 0.99
    assert row["sign_agreement"] == 1
    assert row["slope_low"] <= row["slope"] <= row["slope_high"]
    assert row["pairs"] == 20


def test_an_edit_that_does_half_is_seen_to_do_half(kind, asked):
    light = asked.pairs["edit"] == "light"
    halved = asked.images.astype(float)
    for _, pair in asked.pairs[light].iterrows():
        before, edited = halved[int(pair["before"])], halved[int(pair["edited"])]
        halved[int(pair["edited"])] = before + (edited - before) / 2
    half = replace(asked, images=halved)
    row = rows(kind, half, [answered(half, np.mean)]).loc["light", "light"]
    assert row["slope"] == pytest.approx(0.5, abs=0.02)
    assert row["error_sd"] == pytest.approx(row["true_sd"] / 2, rel=0.1)


def test_a_control_beside_what_the_score_looks_at_does_nothing_and_the_edit_does(kind, asked):
    """Patches are coloured: the largest saturation of a pixel."""
    seen = rows(kind, asked, [answered(asked, lambda image: np.quantile(np.ptp(image, 2), 0.97))])
    row = seen.loc["inpaint", "patches"]
    assert row["true_sd"] > 3 * row["control_sd"]


def test_networks_that_did_not_learn_a_feature_are_counted_and_left_out(kind, asked):
    knows = answered(asked, np.mean)
    blind = replace(knows, auc=np.full(4, 0.5), scores=np.zeros_like(knows.scores))
    row = rows(kind, asked, [knows, blind]).loc["light", "light"]
    assert (row["networks"], row["learnt"]) == (2, 1)
    assert row["slope"] == pytest.approx(1, abs=0.02)
    nobody = rows(kind, asked, [blind]).loc["light", "light"]
    assert nobody["learnt"] == 0
    assert np.isnan(nobody["slope"])


def test_the_interval_over_networks_holds_their_mean_and_is_wider_where_they_differ(kind, asked):
    def of(*factors):
        said = [answered(asked, lambda image, k=k: k * image.mean()) for k in factors]
        for one, factor in zip(said, factors, strict=True):
            at = asked.pairs.loc[asked.pairs["edit"] == "light", "edited"].to_numpy()
            one.scores[at] += (factor - 1) * one.scores[at]
        return rows(kind, asked, said).loc["light", "light"]

    alike, apart = of(1, 1, 1), of(1, 1.02, 1.05)
    assert apart["slope_low"] <= apart["slope"] <= apart["slope_high"]
    width = [row["slope_high"] - row["slope_low"] for row in (alike, apart)]
    assert width[1] > width[0]


def test_lessons_have_each_feature_in_about_half_and_nothing_of_a_lesion_that_is_not_there(
    tmp_path,
):
    few = some("dermoscopy", "hair", "streaks", "lesion")
    taught = lessons(few, 60, tmp_path)
    assert taught.images.shape == (60, *few.size, 3)
    hair, streaks, lesion = taught.labels.T
    assert 15 <= hair.sum() <= 45
    assert (np.isnan(streaks) == (lesion == 0)).all()
    assert (lesion == 0).any()


@pytest.mark.parametrize(
    ("of", "names"), [("lesions", ("colour_asymmetry",)), ("tissue", ("pen",))]
)
def test_networks_are_trained_asked_and_not_trained_again(of, names, tmp_path, capsys):
    few = some(of, *names)
    first = measured(few, tmp_path, networks=2, images=80, scenes=2, effort=0.05)
    assert list(first["networks"].unique()) == [2]
    assert set(first["feature"]) == set(names)
    assert first["auc"].between(0, 1).all()
    times = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    again = measured(few, tmp_path, networks=2, images=80, scenes=2, effort=0.05)
    pd.testing.assert_frame_equal(first, again)
    assert times == {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert "0 plain" in capsys.readouterr().out
