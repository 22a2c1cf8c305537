"""Studies of known answers: what is planned of a recipe, and four tiny networks end to end."""

from pathlib import Path

import pandas as pd
import pytest

import xattn.cli
from xattn.errors import XattnError
from xattn.figures.folders import KnownFolder, opened
from xattn.study.plan import plan_study
from xattn.study.read_recipe import read_study

OURS = Path(__file__).parents[2] / "analysis" / "known-answers.toml"

TINY = """
[known]
seeds_without = 1
train_images = 60
scenes = 3

[known.architectures]
test_efficientnet = { output_stride = 16 }
test_resnet = {}

[known.recipe.data]
val = 0.2
test = 0.3

[known.recipe.train]
epochs = 1
lr = 1e-3
augment = "none"

[[known.worlds]]
name = "a"
seed = 1
images = 80
shortcuts = { patches = 4.0 }
medicine = { globules = 3.0 }
correlates = { hair = "patches" }
shapes = ["coarse-globules"]

[explain]
methods = ["gradcam"]
overlay = "none"

[feature_usage]
permutations = 99
bootstrap = 99
interventions = 4
learner = "ridge"
computed = false
concepts = false
"""


def write(folder, text=TINY):
    path = folder / "known.toml"
    path.write_text(text)
    return path


def test_ours_has_a_hundred_networks_and_more_and_as_many_worlds_held_back():
    table = read_study(OURS).known
    assert len(list(table.networks())) >= 100
    halves = [world.half for world in table.worlds]
    assert halves.count("first") == halves.count("held-back") == len(halves) / 2
    seeds = [world.seed for world in table.worlds]
    assert len(set(seeds)) == len(seeds)


def test_the_halves_share_no_artifact_s_shape_and_the_same_strengths():
    worlds = read_study(OURS).known.worlds
    strengths = {half: sorted((*w.shortcuts.values(), w.images, w.agreement) for w in worlds
                              if w.half == half) for half in ("first", "held-back")}  # fmt: skip
    assert strengths["first"] == strengths["held-back"]
    for world in worlds:
        own = {name for name in world.shapes if name != "coarse-globules"}
        assert ("square-patches" in own) == (world.half == "held-back")
        if world.half == "held-back":
            continue
        assert "ruler" not in world.shortcuts  # thinner than a pixel


def test_steps_come_world_by_world_and_each_after_what_it_needs(tmp_path):
    steps = plan_study(read_study(write(tmp_path)), tmp_path / "out")
    names = [step.name for step in steps]
    assert names[:3] == ["images/a", "train/a-test_efficientnet-0", "explain/a-test_efficientnet-0"]
    assert [name for name in names if name.startswith("truth/")] == [
        f"truth/a-test_{name}-0{part}" for part in ("", "-without")
        for name in ("efficientnet", "resnet")
    ]  # fmt: skip
    assert names[-2:] == ["known", "figures"]
    for i, step in enumerate(steps):
        assert set(step.needs) | set(step.gathers) <= set(names[:i])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TINY.replace("scenes = 3", "scene = 3"), r"scene: unknown key; .*scenes"),
        (TINY.replace("images = 80", "image = 80"), r"worlds\.0\.image: unknown key; .*images"),
        (TINY.replace("patches = 4.0", "patch = 4.0"), r"unknown feature 'patch'"),
        (TINY.replace("test_resnet = {}", "resnet19 = {}"), r"resnet19"),
        (TINY.replace("epochs = 1", "epochs = 0"), r"\[known\.recipe\] of .*train\.epochs"),
        (TINY + "[models]\nseeds = 2\n", r"beside \[known\] in .*but got \[models\]"),
        (TINY + "[figures]\nruns = ['known-answers']\n", r"recipe with \[known\] has it drawn"),
        (TINY.replace("seed = 1\n", ""), r"worlds\.0\.seed: missing"),
    ],
)
def test_what_is_wrong_in_the_table_is_named_before_anything_is_done(text, said, tmp_path):
    with pytest.raises(XattnError, match=said) as found:
        plan_study(read_study(write(tmp_path, text)), tmp_path / "out")
    assert "\n" not in str(found.value)


def test_a_world_has_a_name_of_its_own(tmp_path):
    world = TINY.partition("[[known")[2].partition("[explain]")[0]
    twice = TINY.replace("[explain]", f"[[known{world}\n[explain]")
    with pytest.raises(XattnError, match="'a' twice"):
        read_study(write(tmp_path, twice))


def test_generated_images_are_not_exchanged_for_others(tmp_path):
    with pytest.raises(XattnError, match="leave --data away"):
        read_study(write(tmp_path), tmp_path)


@pytest.mark.slow
def test_four_tiny_networks_go_all_the_way_and_are_done_once(tmp_path, capsys):
    out = tmp_path / "out"
    call = ["study", str(write(tmp_path)), "--out", str(out)]
    assert xattn.cli.main(call) == 0, capsys.readouterr().err
    known = opened(out / "known")
    assert isinstance(known, KnownFolder)
    rows = known.table("known")
    assert rows["network"].nunique() == 4
    assert set(rows["role"]) == {
        "shortcut", "medicine", "correlate", "other", "nowhere", "control"
    }  # fmt: skip
    assert set(rows["evidence"]) == {
        "dependence", "given the others", "map: gradcam", "edit", "edit, 0.2 sd or more", "dose",
        "verdict: used", "verdict: changes decisions",
    }  # fmt: skip
    truth = pd.read_csv(out / "runs" / "a-test_resnet-0" / "true_effects.csv")
    assert (truth["size"] >= truth["effect"].abs() - 1e-9).all()
    # One epoch teaches nothing: networks are counted, and no rate is made of them.
    answers = known.table("known_answers")
    assert answers.loc[answers["question"] == "learned", "n"].max() == 2
    capsys.readouterr()
    assert xattn.cli.main(call) == 0
    assert "running" not in capsys.readouterr().err
