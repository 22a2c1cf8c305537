import re
from pathlib import Path

import pytest

from xattn.analysis.settings import BACKBONE, CompareSettings, UsageSettings
from xattn.annotations import read_annotations
from xattn.errors import XattnError
from xattn.figures.registry import FIGURES
from xattn.study.declared import Declared, declared
from xattn.study.execute import execute
from xattn.study.plan import plan_study, trainings_of
from xattn.study.read_recipe import read_study, read_usage_part
from xattn.synthetic.dataset import synthesize
from xattn.synthetic.tissue.dataset import synthesize_tissue

ROOT = Path(__file__).parents[2]
OURS = sorted((ROOT / "analysis").glob("*.toml"))
OF_MODELS = [path for path in OURS if path.stem != "known-answers"]
"""Recipes with data and models; tests/study/test_known.py is about the other one."""
RESNET = (ROOT / "models" / "resnet18.toml").as_posix()


def write(folder, text):
    path = folder / "study.toml"
    path.write_text(text.replace("RESNET", RESNET))
    return path


GOOD = """
[synthesize]
n = 8
[models]
recipes = ["RESNET"]
"""


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_recipe_of_ours_is_planned_with_its_figures_and_models(path, tmp_path):
    recipe = read_study(path)
    steps = plan_study(recipe, tmp_path / "out")
    names = [step.name for step in steps]
    assert len(names) == len(set(names))
    for i, step in enumerate(steps):
        assert set(step.needs) | set(step.gathers) <= set(names[:i]), step.name
    trained = [name for name in names if name.startswith("train/")]
    if recipe.known is None:
        assert len(trained) == len(recipe.models.recipes) * recipe.models.seeds
    else:
        assert len(trained) == len(list(recipe.known.networks()))
    for asked in (recipe.figures.runs, recipe.figures.comparison):
        assert set(asked or ()) <= set(FIGURES)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", OF_MODELS, ids=lambda path: path.stem)
def test_a_baseline_is_one_of_the_models_of_the_recipe_or_the_backbone_of_each(path):
    recipe = read_study(path)
    assert recipe.compare.baseline in [*trainings_of(recipe), BACKBONE]


def test_a_table_that_is_left_out_is_as_the_commands_have_it(tmp_path):
    recipe = read_study(write(tmp_path, GOOD))
    assert recipe.feature_usage == UsageSettings()
    assert recipe.compare == CompareSettings()


WRONG = {
    "[[claims]]\nclaim = 'x'\nsays = 'used'\n": r"features of the claim 'x'.*\[\[claims\]\] 1 in",
    "[[claims]]\nclaim = 'x'\nmodels = ['*-gaa']\nsays = 'no gain'\n": r"'\*-gaa'.*claims\]\] 1",
    "[[claims]]\nclaim = 'x'\nsays = 'maps add nothing'\nfeatures = ['hair']\n"
    "method = 'gradkam'\n": r"gradkam.*gradcam.*\[\[claims\]\] 1 in",
    "[claims]\nclaim = 'x'\n": r"Expected \[\[claims\]\], a table each",
    "[explian]\n": r"tables that are known in .*study\.toml, but got 'explian'.*explain",
    "[explain]\nmethod = 'gradcam'\n": r"keys that are known in \[explain\].*'method'.*methods",
    "[explain]\nmethods = ['gradkam']\n": r"gradkam.*gradcam",
    "[feature_usage]\nalpha = 2\n": r"a number from 0 to 1.* as alpha",
    "[feature_usage]\nalpha = '5 %'\n": r"a number from 0 to 1.* as alpha",
    "[feature_usage]\npermutations = 99.5\n": r"a whole number.* as permutations",
    "[feature_usage]\ncomputed = 'no'\n": r"true or false as computed",
    "[evaluate]\nbootstrap = -1\n": r"a whole number of at least 99 as bootstrap",
    "explain = 3\n": r"a table as \[explain\]",
    "[figures]\nruns = ['usage-heatmp']\n": r"usage-heatmp.*usage-heatmap",
    "[tables]\nruns = ['verdict']\n": r"verdict.*verdicts",
    "[figures]\nformats = ['jpg']\n": r"jpg",
    "[figures]\nvenue = 'natur'\n": r"natur.*nature",
    "[compare]\nbaseline = 'resnet50'\n": r"baseline.*resnet50",
    "[figures]\nruns = ['critical-difference']\n": r"it belongs in comparison",
    "[figures]\ncomparison = ['alignment']\n": r"'alignment'; it belongs in runs",
    "[figures]\nruns = ['block-ga']\n": r"'block-ga'; no study has what it is drawn from",
    "[models.values]\nmodel.architecture = 'resnet19'\n": r"resnet19.*training resnet18 of",
}


@pytest.mark.parametrize(
    "text", WRONG, ids=lambda text: " ".join(text.split("\n")[1:]).strip() or text.strip()
)
def test_what_is_wrong_in_a_recipe_is_named_before_anything_is_done(text, tmp_path):
    place = GOOD + text if text.startswith("[") else text + GOOD
    with pytest.raises(XattnError, match=WRONG[text]) as found:
        plan_study(read_study(write(tmp_path, place)), tmp_path / "out")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models]\nrecipes = ['RESNET']\n", r"--data names data of yours"),
        ("[data]\nfolder = 'a'\nannotations = 'b'\n" + GOOD, r"but got 3 of them"),
        ("[synthesize]\nn = 8\n", r"models\.recipes in .*study\.toml, but got none"),
        ("[synthesize]\nn = 8\n[models]\nrecipes = ['nowhere.toml']\n", r"nowhere\.toml"),
        (GOOD.replace('"RESNET"', '"RESNET", "RESNET"'), r"'resnet18' 2 times"),
        (GOOD + "values = 3\n", r"a table as models\.values"),
        (GOOD + "[models.values]\ntrain.epoch = 3\n", r"\[models\.values\] of .*train\.epoch"),
        (GOOD + "seeds = 0\n", r"at least 1 as seeds"),
        (GOOD + "overrides = 3\n", r"\[\[models\.overrides\]\], a table each, .*but got 3"),
        (GOOD + "[models.overrides]\nmodels = ['*']\n", r"\[\[models\.overrides\]\], a table each"),
        (
            GOOD + "[[models.overrides]]\ntrain.epochs = 3\n",
            r"models, names of recipes, .* got none",
        ),
        (GOOD + "[[models.overrides]]\nmodels = ['*']\n", r"values beside models .* got none"),
        (
            GOOD + "[[models.overrides]]\nmodels = ['resnet1']\ntrain.epochs = 3\n",
            r"models of .*study\.toml .* got 'resnet1'.*resnet18",
        ),
        (
            GOOD + "[[models.overrides]]\nmodels = ['*']\ntrain.epoch = 3\n",
            r"\[\[models\.overrides\]\] of .*train\.epoch",
        ),
    ],
)
def test_data_and_models_are_named_once_and_are_there(text, message, tmp_path):
    with pytest.raises(XattnError, match=message):
        plan_study(read_study(write(tmp_path, text)), tmp_path / "out")


def test_paths_are_relative_to_the_recipe_and_data_may_be_another(tmp_path):
    text = "[data]\nfolder = 'mine'\nlayout = 'imagefolder'\n[models]\nrecipes = ['RESNET']\n"
    recipe = read_study(write(tmp_path, text))
    assert Path(recipe.data.folder) == tmp_path / "mine"
    other = tmp_path / "known.json"
    changed = read_study(write(tmp_path, text), other)
    assert (changed.data.annotations, changed.data.folder) == (str(other), None)


def test_values_of_the_study_hold_in_every_recipe(tmp_path):
    text = GOOD + "[models.values]\ntrain.epochs = 3\ndata.size = [32, 48]\n"
    (one,) = trainings_of(read_study(write(tmp_path, text))).values()
    assert (one.train.epochs, one.data.size) == (3, (32, 48))


def test_values_of_some_models_go_before_those_of_all_and_the_last_holds(tmp_path):
    other = (ROOT / "models" / "resnet18-ga.toml").as_posix()
    text = (
        GOOD.replace('"RESNET"', f'"RESNET", "{other}"')
        + """
[models.values]
train.epochs = 3
train.lr = 0.5
[[models.overrides]]
models = ["resnet18*"]
train.epochs = 4
[[models.overrides]]
models = "*-ga"
train.epochs = 5
data.size = 96
"""
    )
    plain, hybrid = trainings_of(read_study(write(tmp_path, text))).values()
    assert (plain.train.epochs, hybrid.train.epochs) == (4, 5)
    assert plain.train.lr == hybrid.train.lr == 0.5
    assert (plain.data.size, hybrid.data.size) == ((128, 128), (96, 96))


def test_one_model_is_compared_with_none(tmp_path):
    names = [step.name for step in plan_study(read_study(write(tmp_path, GOOD)), tmp_path / "out")]
    assert "compare" not in names
    assert names[-3:] == ["figures", "tables", "report"]


def test_a_search_comes_before_the_trainings_that_take_what_it_found(tmp_path):
    recipe = read_study(write(tmp_path, GOOD + "search_trials = 2\nseeds = 2\n"))
    steps = {step.name: step for step in plan_study(recipe, tmp_path / "out")}
    assert "search/resnet18" in steps
    assert all("search/resnet18" in steps[f"train/resnet18/{seed}"].needs for seed in (0, 1))


def test_the_part_on_feature_usage_is_read_of_a_recipe_without_data(tmp_path):
    path = write(tmp_path, "[feature_usage]\nalpha = 0.01\ngiven = ['none']\n")
    assert set(read_usage_part(path).changed()) == {"alpha", "given"}


UNKNOWN = {
    "[feature_usage]\ngiven = ['rulerr']\n": "ruler",
    "[feature_usage]\nlabel_column = 'diagnosi'\n": "diagnosi",
    "[feature_usage]\npositive = ['malign']\n": "malignant",
    "[evaluate]\ntrap = ['hairs']\n": "hair",
    "[evaluate]\ndomain = 'centre'\n": "centre",
    "[splits]\ntrap = ['hairs']\n": "hair",
    "[[claims]]\nclaim = 'x'\nfeatures = ['rulerr']\n": "ruler",
    "[[claims]]\nclaim = 'x'\nfeatures = ['compactness', '*_nail']\n": "nail",
}
"""What a recipe may name that data lack, and a word of the message."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return synthesize(tmp_path_factory.mktemp("drawn"), 4, size=(64, 64))


def of_data(key: str, place: Path) -> str:
    """Return a recipe on an annotation file or a folder."""
    return f"[data]\n{key} = '{place.as_posix()}'\n[models]\nrecipes = ['RESNET']\n"


@pytest.mark.parametrize("text", UNKNOWN, ids=lambda text: " ".join(text.split()))
@pytest.mark.parametrize("kind", ["generated", "annotated"])
def test_names_that_the_data_lack_are_refused_before_anything_is_done(kind, text, drawn, tmp_path):
    data = GOOD if kind == "generated" else of_data("annotations", drawn)
    recipe = read_study(write(tmp_path, data + text))
    place = "the generated images" if kind == "generated" else str(drawn)
    with pytest.raises(XattnError, match=rf"of {re.escape(place)} in \[.*{UNKNOWN[text]}"):
        plan_study(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", UNKNOWN, ids=lambda text: " ".join(text.split()))
def test_those_that_a_folder_lacks_stop_the_study_at_its_first_step(text, tmp_path):
    synthesize_tissue(tmp_path / "wilds", 4, size=(48, 48))
    (tmp_path / "wilds" / "annotations.json").unlink()
    recipe = read_study(write(tmp_path, of_data("folder", tmp_path / "wilds") + text))
    outcomes = execute(plan_study(recipe, tmp_path / "out")[:1], tmp_path / "out")
    assert outcomes["data"].state == "failed"
    wrong = re.findall("'[^']+'", text)[-1]
    assert f"but got {wrong}" in outcomes["data"].remark
    assert "study.toml" in outcomes["data"].remark


@pytest.mark.parametrize("tissue", [False, True], ids=["lesions", "tissue"])
def test_generated_images_declare_what_is_known_of_them_before(tissue, tmp_path):
    draw = synthesize_tissue if tissue else synthesize
    text = GOOD.replace("n = 8", f"n = 8\ntissue = {str(tissue).lower()}")
    before = declared(read_study(write(tmp_path, text)))
    after = Declared.of(read_annotations(draw(tmp_path / "drawn", 8, size=(64, 64))))
    assert list(before.features) == list(after.features)
    assert (tuple(before.labels), before.images) == (tuple(after.labels), after.images)


@pytest.mark.parametrize(
    ("tissue", "effect", "told"),
    [("false", "patchs = -2", "patches"), ("true", "patches = -2", "pen"),
     ("false", "patches = 'much'", "a number")],
)  # fmt: skip
def test_effects_that_nothing_has_are_refused_before_anything_is_done(
    tissue, effect, told, tmp_path
):
    own = f"n = 8\ntissue = {tissue}\n[synthesize.effects]\n{effect}\n"
    recipe = read_study(write(tmp_path, GOOD.replace("n = 8\n", own)))
    with pytest.raises(XattnError, match=rf"{told}.*in \[synthesize\.effects\]"):
        plan_study(recipe, tmp_path / "out")


def test_the_images_are_split_once_for_all_trainings(tmp_path):
    text = (
        GOOD.replace("n = 8", "n = 60")
        + "seeds = 2\n[splits]\nval = 0.2\ntest = 0.3\ntrap = ['ruler']\n"
    )
    steps = plan_study(read_study(write(tmp_path, text)), tmp_path / "out")
    assert [step.name for step in steps[:2]] == ["data", "splits"]
    assert all("splits" in step.needs for step in steps if step.name.startswith("train/"))
    outcomes = execute(steps[:2], tmp_path / "out")
    assert outcomes["splits"].state == "done", outcomes["splits"].remark
    rows = (tmp_path / "out" / "splits" / "splits.csv").read_text().splitlines()
    assert len(rows) == 61


def test_splits_are_given_or_made_but_not_both(tmp_path):
    text = "[data]\nannotations = 'a.json'\nsplits = 's.csv'\n[splits]\n" + GOOD
    with pytest.raises(XattnError, match=r"data\.splits or the table \[splits\]"):
        read_study(write(tmp_path, text.replace("[synthesize]\nn = 8\n", "")))
