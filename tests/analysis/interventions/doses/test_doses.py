"""doses.csv of painted images, and of models whose weights are set by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import xattn
from tests.analysis.painted import PATCH, SIDE, painted_run, sees
from xattn.analysis.interventions.doses import table as tables
from xattn.analysis.interventions.doses.table import measure_doses
from xattn.analysis.interventions.doses.trials import dose_jobs
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.images.preprocessing import Preprocessing
from xattn.runs import TABLES


class Brightness(nn.Module):
    """Logits (0, the mean of all values)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight * x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(mean), mean], 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return painted_run(tmp_path_factory.mktemp("images") / "root", n=30)


def doses_of(made, model, monkeypatch, only):
    def chosen(*given):
        return [job for job in dose_jobs(*given) if job.edit.name in only]

    monkeypatch.setattr(tables, "dose_jobs", chosen)
    asked = [Question(made.run, Positive.of(["benign", "malignant"]))]
    (found,) = measure_doses(
        asked, made.features, model, [1.0], images=8, permutations=199, bootstrap=99
    )
    return found


def test_the_score_of_a_model_of_patches_follows_their_opacity_and_no_other(made, monkeypatch):
    found = doses_of(made, sees(PATCH), monkeypatch, {"opacity"})
    assert set(TABLES["doses"].promised) <= set(found)
    first = found.drop_duplicates("feature").set_index("feature")
    assert first.loc["patch", "slope_low"] > 0.5
    assert first.loc["patch", "p_value"] < 0.02
    assert abs(first.loc["dots", "slope"]) < 0.01
    own = found[found["feature"] == "patch"].sort_values("dose")
    assert (np.diff(own["excess_logit"]) > -1e-6).all()
    assert (own["masks"] == "annotated").all()


def test_the_score_of_a_model_of_brightness_follows_the_light(made, monkeypatch):
    plain = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))
    model = xattn.wrap(Brightness(), classes=["benign", "malignant"], preprocessing=plain)
    found = doses_of(made, model, monkeypatch, {"light"})
    row = found.iloc[0]
    assert row["masks"] == "none"
    assert row["slope_low"] > 1
    assert row["value_after"] < row["value_before"]
    assert row["p_value"] < 0.02


def test_an_artifact_without_masks_is_edited_under_its_detectors_mask_and_said_so(made):
    flagged = made.features.table.assign(hair=1.0)
    kinds = {**made.features.kinds, "hair": "artifact"}

    class Told:
        table, masked, domain = flagged, made.features.masked, None

    Told.kinds = kinds
    jobs = {(job.feature, job.edit.name): job for job in dose_jobs(Told, 0)}
    assert jobs["hair", "opacity"].detector == "hair"
    assert jobs["patch", "opacity"].detector == ""
    assert len(jobs["hair", "opacity"].rows) == len(flagged)
