import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import xattn
from tests.analysis.painted import DOT, PATCH, SIDE, Sees, painted_run
from xattn.analysis import over_training
from xattn.analysis.feature_usage import feature_usage
from xattn.analysis.over_training import usage_over_training
from xattn.cli import app
from xattn.errors import RunError, UsageError, XattnError
from xattn.images import Preprocessing
from xattn.models import build, save_checkpoint
from xattn.runs import TABLES, RunFolder, TableFolder
from xattn.runs.atomic import read_record

QUICK = {"permutations": 99, "bootstrap": 99}
NOTHING = (0, 0, 255)


def sees(colour, strength=40.0):
    """A model with a layer that could be explained, which a run folder wants to name."""
    same = nn.Conv2d(3, 3, 1, bias=False)
    same.weight.data = torch.eye(3)[:, :, None, None]
    plain = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))
    network = nn.Sequential(same, Sees(colour, strength))
    names = ["benign", "malignant"]
    return xattn.wrap(network, classes=names, preprocessing=plain, target_layer="0")


class Zoo:
    """Checkpoints without files: a name stands for a model; says what was loaded."""

    def __init__(self, models):
        self.models, self.loaded = models, []

    def __call__(self, path):
        self.loaded.append(path.name)
        return self.models[path.name]


def at_epoch(model, epoch):
    model.source = {**model.source, "extra": {"best": {"epoch": epoch}}}
    return model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return painted_run(tmp_path_factory.mktemp("painted"), 60)


@pytest.fixture
def zoo():
    """A training that sees nothing, then the dots, then the patch; not in that order."""
    return Zoo(
        {
            "b.pt": at_epoch(sees(PATCH), 20),
            "a.pt": at_epoch(sees(NOTHING), 5),
            "c.pt": at_epoch(sees(DOT, 200.0), 10),
        }
    )


@pytest.fixture
def course(made, zoo, tmp_path):
    return usage_over_training(list(zoo.models), made.annotations, tmp_path, load=zoo, **QUICK)


def used(table):
    """Step -> annotated features that came out as used; colours follow the dots, of course."""
    found = table[table["used"] & table["kind"].isin(["artifact", "structure"])]
    return {step: set(found.loc[found["step"] == step, "feature"]) for step in (5, 10, 20)}


def test_steps_are_epochs_and_use_follows_what_the_model_sees(course):
    assert course["step"].drop_duplicates().tolist() == [5, 10, 20]
    assert course["checkpoint"].drop_duplicates().tolist() == ["a.pt", "c.pt", "b.pt"]
    assert used(course) == {5: set(), 10: {"dots"}, 20: {"patch"}}
    assert (
        tuple(course.columns[: len(TABLES["usage_over_training"].promised)])
        == TABLES["usage_over_training"].promised
    )
    patch = course[(course["feature"] == "patch") & course["test"].str.contains("presence")]
    bits = patch["effect_bits"].fillna(0)  # nothing can be said of a score that never varies
    assert bits.iloc[2] > 0.2 > bits.iloc[0] + 0.1
    assert (patch["effect_low"].iloc[1:] < patch["effect_high"].iloc[1:]).all()


def test_controls_are_tested_at_every_step(course):
    controls = course[course["kind"] == "control"]
    assert controls.groupby("step")["feature"].nunique().tolist() == [2, 2, 2]
    assert not controls["used"].any()


def test_a_step_is_what_feature_usage_says_of_its_checkpoint_alone(made, zoo, course, tmp_path):
    step = RunFolder.open(tmp_path / "steps" / "0020")
    alone = feature_usage(step, made.annotations, interventions=0, given="none", **QUICK).usage
    mine = course[course["step"] == 20].reset_index(drop=True)
    shared = [c for c in alone.columns if c in mine]
    pd.testing.assert_frame_equal(mine[shared], alone[shared], check_dtype=False)


def test_features_are_collected_once_and_no_map_is_made(made, zoo, tmp_path, monkeypatch):
    calls = []
    real = over_training.collect_features
    monkeypatch.setattr(
        over_training, "collect_features", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    usage_over_training(list(zoo.models), made.annotations, tmp_path, load=zoo, **QUICK)
    assert len(calls) == 1
    runs = sorted((tmp_path / "steps").iterdir())
    assert [RunFolder.open(run).methods for run in runs] == [[], [], []]
    assert not (tmp_path / "steps" / "0010" / "masks.zarr").exists()


def test_maps_can_be_asked_for(made, zoo, tmp_path):
    names = ["a.pt", "c.pt"]
    usage_over_training(names, made.annotations, tmp_path, load=zoo, methods=["saliency"], **QUICK)
    assert RunFolder.open(tmp_path / "steps" / "0005").methods == ["saliency"]


def test_settings_and_checkpoints_are_recorded_and_a_second_call_gives_the_same(
    made, zoo, course, tmp_path
):
    facts = read_record(tmp_path / "usage_over_training.json")
    assert [s["step"] for s in facts["steps"]] == [5, 10, 20]
    assert (facts["permutations"], facts["alpha"], facts["decision"]) == (99, 0.05, "min-p")
    path = tmp_path / "usage_over_training.csv"
    before = path.read_bytes()
    usage_over_training(list(zoo.models), made.annotations, tmp_path, load=zoo, **QUICK)
    assert path.read_bytes() == before
    assert len(TableFolder(tmp_path).table("usage_over_training")) == len(course)


def test_without_epochs_the_order_given_counts(made, tmp_path):
    zoo = Zoo({"z.pt": sees(NOTHING), "a.pt": at_epoch(sees(PATCH), 7)})
    found = usage_over_training(["z.pt", "a.pt"], made.annotations, tmp_path, load=zoo, **QUICK)
    assert found[["step", "checkpoint"]].drop_duplicates().to_numpy().tolist() == [
        [1, "z.pt"], [2, "a.pt"],
    ]  # fmt: skip


def test_progress_counts_up_over_all_steps(made, zoo, tmp_path):
    seen = []
    usage_over_training(
        list(zoo.models), made.annotations, tmp_path, load=zoo,
        progress=lambda *s: seen.append(s), **QUICK,
    )  # fmt: skip
    assert seen == sorted(seen)
    assert seen[-1] == (180, 180)


def test_checkpoints_that_cannot_be_compared_are_refused(made, zoo, tmp_path):
    def call(models, **options):
        zoo = Zoo(models)
        names = list(models)
        usage_over_training(names, made.annotations, tmp_path, load=zoo, **{**QUICK, **options})

    with pytest.raises(UsageError, match="two checkpoints or more, but got 1"):
        call({"a.pt": sees(PATCH)})
    with pytest.raises(UsageError, match=r"a\.pt and b\.pt are both of epoch 3"):
        call({n: at_epoch(sees(PATCH), 3) for n in ("a.pt", "b.pt")})
    other = sees(PATCH)
    other.classes = ["naevus", "melanoma"]
    with pytest.raises(XattnError, match=r"a\.pt and b\.pt differ in classes"):
        call({"a.pt": sees(PATCH), "b.pt": other})
    with pytest.raises(UsageError, match="alpha between 0 and 1"):
        call({"a.pt": sees(PATCH), "b.pt": sees(DOT)}, alpha=2)
    with pytest.raises(UsageError, match=r"holds no \.pt file"):
        usage_over_training([tmp_path], made.annotations, tmp_path, **QUICK)


@pytest.fixture
def checkpoints(tmp_path):
    """A folder of two checkpoints as `keep_every` leaves them."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        save_checkpoint(
            folder / f"epoch_{epoch:04d}.pt",
            build("test_resnet", 2),
            architecture="test_resnet",
            classes=["benign", "malignant"],
            preprocessing=Preprocessing(size=(48, 48)),
            extra={"best": {"epoch": epoch}},
        )
    return folder


def test_the_command_takes_several_checkpoints_or_their_folder(made, checkpoints, tmp_path):
    files = sorted(checkpoints.iterdir())
    words = ["feature-usage", "--annotations", str(made.annotations.path), "--permutations", "19"]
    words += ["--bootstrap", "99", "--run"]
    outs = []
    for name, given in (("a", files), ("b", [checkpoints])):
        more = [word for path in given for word in ("--ckpt", str(path))]
        done = CliRunner().invoke(app, [*words, str(tmp_path / name), *more])
        assert done.exit_code == 0, done.output
        assert "At which steps" in done.output
        outs.append((tmp_path / name / "usage_over_training.csv").read_bytes())
    assert outs[0] == outs[1]
    course = TableFolder(tmp_path / "a").table("usage_over_training")
    assert course["step"].drop_duplicates().tolist() == [1, 2]
    # One checkpoint is still what it was: a run with all tables.
    done = CliRunner().invoke(
        app, [*words, str(tmp_path / "one"), "--ckpt", str(files[0]), "--interventions", "0"]
    )
    assert done.exit_code == 0, done.output
    assert RunFolder.open(tmp_path / "one").methods == ["gradcam"]
    with pytest.raises(RunError):
        RunFolder.open(tmp_path / "a")
