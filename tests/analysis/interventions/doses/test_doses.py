"""doses.csv of painted images, and of models whose weights are set by hand."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import xattn
from tests.analysis.painted import PATCH, SIDE, painted_run, sees
from tests.fabricate import fabricate_run
from xattn.analysis.interventions.doses import table as tables
from xattn.analysis.interventions.doses.jobs import dose_jobs
from xattn.analysis.interventions.doses.table import measure_doses
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.annotations import read_annotations, write_annotations
from xattn.features.computed import COMPUTED_FEATURES
from xattn.features.feature_set import collect_features
from xattn.images.preprocessing import Preprocessing
from xattn.runs import TABLES
from xattn.synthetic.tissue.dataset import synthesize_tissue


class Brightness(nn.Module):
    """Logits (0, the mean of all values)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight * x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(mean), mean], 1)


class Haematoxylin(nn.Module):
    """Logits (0, the mean optical density of red, which eosin hardly has)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight * -torch.log10(x[:, 0].clamp(min=1 / 255)).mean((1, 2))
        return torch.stack([torch.zeros_like(mean), mean], 1)


@pytest.fixture(scope="module")
def stained(tmp_path_factory):
    """Twelve patches of tissue, of which no normal one has an outline, and a run on them."""
    root = tmp_path_factory.mktemp("stained") / "root"
    known = read_annotations(synthesize_tissue(root / "data", 12, seed=2))
    rng = np.random.default_rng(0)
    run = fabricate_run(root, rng.normal(size=(12, 2)), {"gradcam": rng.random((12, 4, 4))},
                        classes=("normal", "tumor"), image_size=(96, 96),
                        input_size=(96, 96))  # fmt: skip
    ids = dict(zip(run.predictions["image_id"], known.images, strict=True))
    for name, image in ids.items():
        shutil.copy(image.file, root / "images" / f"{name}.png")
    images = [replace(image, id=name) for name, image in ids.items()]
    path = write_annotations(root / "known.json", images, labels=known.labels,
                             features={n: f.kind for n, f in known.features.items()},
                             domain="tissue")  # fmt: skip
    return run, collect_features(run, read_annotations(path))


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


def test_tissue_is_edited_in_every_image_and_what_else_changes_is_measured(stained, monkeypatch):
    run, features = stained
    plain = Preprocessing(size=(96, 96), mean=(0, 0, 0), std=(1, 1, 1))
    model = xattn.wrap(Haematoxylin(), classes=["normal", "tumor"], preprocessing=plain)

    def chosen(*given):
        return [job for job in dose_jobs(*given) if job.edit.name in {"stain", "nuclear-density"}]

    monkeypatch.setattr(tables, "dose_jobs", chosen)
    asked = [Question(run, Positive.of(["normal", "tumor"]))]
    (found,) = measure_doses(
        asked, features, model, [1.0], images=12, permutations=199, bootstrap=99
    )
    stain = found[found["intervention"] == "stain"].sort_values("dose")
    assert set(stain["feature"]) == {"haematoxylin"}
    assert set(stain["n"]) == {12}
    assert set(stain["masks"]) == {"none"}
    assert stain["slope_low"].iloc[0] > 0.5
    assert stain["p_value"].iloc[0] < 0.05
    assert (np.diff(stain["value_after"]) > 0).all()
    assert (stain["control_value_change"].abs() < 0.02 * stain["value_before"]).all()
    density = found[found["intervention"] == "nuclear-density"].sort_values("dose")
    assert density["n"].min() >= 6
    assert density["value_after"].iloc[-1] > 1.1 * density["value_after"].iloc[0]
    others = density["others"].dropna()
    assert len(others) == 2
    assert not {name for name in COMPUTED_FEATURES if COMPUTED_FEATURES[name].needs_lesion} & set(
        " ".join(others).split()
    )


def test_an_edit_that_needs_a_lesion_is_done_where_there_is_one(stained, made):
    _, features = stained
    jobs = {job.edit.name: job for job in dose_jobs(features, 0)}
    assert not {"diameter", "skin-tone"} & set(jobs)
    assert len(jobs["stain"].rows) == 12
    area = made.features.table["lesion.area"]
    (one,) = [job for job in dose_jobs(made.features, 0) if job.edit.name == "diameter"]
    assert sorted(one.rows) == list(np.flatnonzero(area > 0))


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
