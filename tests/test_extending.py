"""Every example of docs/extending.md, as printed: as a plugin, and as a file that is dropped in."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xattn.cli
from tests.analysis.painted import PATCH, painted_run, sees
from tests.examples import ROOT, examples, registries
from tests.features.computed.shapes import comma, on_skin
from xattn import plugins

EXAMPLES = examples()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Return a function that loads an example by its file's name; what it registered goes again."""
    monkeypatch.setattr(plugins, "_files", [])
    known = {kind: set(registry) for kind, registry in registries().items()}

    def load(name: str) -> None:
        (text,) = (text for path, text in EXAMPLES.items() if Path(path).stem == name)
        file = tmp_path / f"{name}.py"
        file.write_text(text, encoding="utf-8")
        plugins.load_file(file)

    yield load
    for kind, registry in registries().items():
        for name in set(registry) - known[kind]:
            del registry[name]
    for module in [name for name in sys.modules if name.startswith("xattn_plugin_")]:
        del sys.modules[module]


def rows(capsys, *arguments: str) -> list[dict]:
    assert xattn.cli.main([*arguments, "--json"]) == 0
    (found,) = (v for v in json.loads(capsys.readouterr().out).values() if isinstance(v[0], dict))
    return found


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_is_one_file_of_less_than_30_lines(path):
    assert len(EXAMPLES[path].splitlines()) < 30
    assert (ROOT / path).parent.is_dir()


def test_there_is_an_example_of_each_kind():
    assert [Path(path).stem for path in EXAMPLES] == [
        "tiny_cnn", "activation_norm", "redness", "glare", "median", "blur", "reddened",
        "confidence", "label_in_name",
    ]  # fmt: skip


class TestAsAPlugin:
    def test_a_model_is_listed_and_built(self, plugin, capsys):
        plugin("tiny_cnn")
        (row,) = rows(capsys, "models", "tiny-cnn")
        assert row["family"] == "convolutional"
        assert "gradcam" in row["maps"]
        assert row["what"].startswith("Four convolutions")

    def test_a_method_is_listed_with_the_others(self, plugin, capsys):
        plugin("activation_norm")
        listed = rows(capsys, "models", "--methods")
        assert listed[-1]["name"] == "activation-norm"
        assert "gradcam" in {row["name"] for row in listed}

    def test_a_computed_feature_is_measured(self, plugin):
        from xattn.features.computed import measure_all

        plugin("redness")
        values, _ = measure_all(on_skin(comma(), colour=(150, 60, 50)))
        assert values["redness"] > 10

    def test_a_detector_looks(self, plugin):
        from xattn.features.detected import FramedImage, detect

        plugin("glare")
        pixels = np.full((64, 64, 3), 150, np.uint8)
        before = detect(FramedImage(pixels), ["glare"])["glare"].score
        pixels[:20] = 255
        assert detect(FramedImage(pixels.copy()), ["glare"])["glare"].score > before

    def test_a_statistic_finds_what_goes_with_the_score_and_can_decide_alone(self, plugin):
        plugin("median")
        rng = np.random.default_rng(0)
        label, feature = np.repeat([0, 1], 60), rng.normal(size=120)
        scores = feature + rng.normal(size=120)
        alone = xattn.usage_test(feature, scores, label, decision="median", permutations=199)
        both = xattn.usage_test(feature, scores, label, tests=("rank", "median"), permutations=199)
        assert alone.test.startswith("median")
        assert alone.p_value == both.p_by_test["median"] < 0.05

    def test_an_intervention_is_done_to_every_feature_of_its_kinds(self, plugin, tmp_path):
        from xattn.analysis.interventions.table import measure_interventions
        from xattn.analysis.positive import Positive
        from xattn.analysis.question import Question

        plugin("blur")
        made = painted_run(tmp_path / "root", 24)
        asked = [Question(made.run, Positive.of(["benign", "malignant"]))]
        (found,) = measure_interventions(
            asked, made.features, sees(PATCH), permutations=99, bootstrap=99, images=6
        )
        table = found.table
        assert set(table.loc[table["intervention"] == "blur", "feature"]) == {"patch", "dots"}

    def test_a_graded_edit_is_done_to_the_feature_it_names(self, plugin, tmp_path):
        from xattn.analysis.interventions.doses.jobs import dose_jobs

        plugin("redness")
        plugin("reddened")
        features = painted_run(tmp_path / "root", 8).features
        jobs = [job for job in dose_jobs(features, 0) if job.edit.name == "reddened"]
        assert [(job.feature, len(job.rows)) for job in jobs] == [("redness", 8)]

    def test_a_figure_is_drawn(self, plugin, tmp_path):
        from tests.figures.populated import explained_run
        from xattn.figures.registry import save_figures

        plugin("confidence")
        run = explained_run(tmp_path, n=6)
        assert [p.name for p in save_figures(run, only="confidence")] == ["confidence.png"]

    def test_a_layout_is_read(self, plugin, tmp_path):
        plugin("label_in_name")
        found = built(tmp_path)
        assert [(image.id, image.label) for image in found] == [
            ("melanoma_1", "melanoma"), ("nevus_1", "nevus"), ("nevus_2", "nevus"),
        ]  # fmt: skip


def named_images(root: Path) -> Path:
    root.mkdir()
    for name in ("nevus_1", "nevus_2", "melanoma_1"):
        Image.new("RGB", (8, 8)).save(root / f"{name}.png")
    return root


def built(tmp_path: Path) -> tuple[xattn.annotations.AnnotatedImage, ...]:
    folder = named_images(tmp_path / "named")
    out = tmp_path / "annotations.json"
    return xattn.annotations.build_annotations("label-in-name", folder, out).images


RUN = """
import sys
import torch
from xattn.cli import main
from xattn.images import Preprocessing
from xattn.models import build, save_checkpoint

torch.manual_seed(0)
save_checkpoint("model.pt", build("tiny-cnn", 2), architecture="tiny-cnn",
                classes=["benign", "malignant"], preprocessing=Preprocessing(size=(64, 64)))
known = "data/isic_attributes.json"
for command in (
    "synthesize --out data --n 32 --size 96x128",
    "explain --ckpt model.pt --images data/images --method activation-norm --out run",
    f"feature-usage --run run --annotations {known} --detect --interventions 6 "
    "--permutations 99 --bootstrap 99 --decision median",
    "report run",
    "figures run --only confidence",
    "annotations build named --layout label-in-name --out named.json",
):
    code = main([*command.split(), "--quiet"])
    if code:
        sys.exit(f"{command}: {code}")
"""

WALKING = (
    "tests/test_registries.py",
    "tests/analysis/dependence/test_statistics.py",
    "tests/analysis/interventions/test_table.py",
    "tests/attribution/test_registry.py",
    "tests/features/computed/test_registry.py",
    "tests/features/detected/test_detectors.py",
    "tests/figures/test_registry.py",
    "tests/models/architectures/test_registry.py",
)
"""Tests that take what is registered for granted."""

OF_THEM = "test_registries or passed_over or suits_a_feature or " + " or ".join(
    ("tiny-cnn", "activation-norm", "redness", "glare", "median", "blur", "confidence")
)
"""Those that walk all entries at once, and those of the new ones."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests, with every example dropped in."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("xattn", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "docs/extending.md"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for path, text in EXAMPLES.items():
        assert not (root / path).exists()
        (root / path).write_text(text, encoding="utf-8")
    return root


def python(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
class TestDroppedIn:
    def test_the_model_and_the_method_are_listed(self, tree):
        both = "from xattn.cli import main; main(['models', '--json']); print('---'); "
        both += "main(['models', '--methods', '--json'])"
        models, methods = map(json.loads, python(tree, "-c", both).split("---"))
        models = models["architectures"]
        assert [row["name"] for row in models][-1] == "tiny-cnn"
        assert [row["name"] for row in methods["methods"]][-1] == "activation-norm"

    def test_features_edits_and_figures_are_in_tables_report_and_folder(self, tree):
        named_images(tree / "named")
        python(tree, "-c", RUN)
        report = (tree / "run" / "report.html").read_text(encoding="utf-8")
        for table, column, names in (
            ("feature_usage", "feature", ("redness", "glare.detected")),
            ("interventions", "intervention", ("blur",)),
            ("feature_usage", "test", ("median(value)",)),
            ("alignment", "method", ("activation-norm",)),
        ):
            with (tree / "run" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
                found = {row[column] for row in csv.DictReader(file)}
            assert set(names) <= found
            assert all(name in report for name in names)
        assert (tree / "run" / "figures" / "confidence.png").is_file()
        assert json.loads((tree / "named.json").read_text())["labels"] == ["melanoma", "nevus"]

    def test_the_tests_that_walk_the_registries_pass(self, tree):
        python(
            tree, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "not slow", "-k", OF_THEM, *WALKING
        )
