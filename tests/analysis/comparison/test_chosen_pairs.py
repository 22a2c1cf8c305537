"""Which models of a comparison are held against which."""

from __future__ import annotations

from pathlib import Path

import pytest

import xattn
from tests.analysis.trained import fabricate_study
from xattn.analysis.comparison.chosen_pairs import choose_pairs
from xattn.analysis.comparison.sources import Trained
from xattn.errors import UsageError
from xattn.figures.tables import save_tables


def trained(*architectures: str) -> list[Trained]:
    return [
        Trained(
            model=f"my {name}", seed=seed, path=Path(name), classes=("a", "b"), predictions=None,
            architecture=name, options={}, recipe={}, splits_sha256="",
        )
        for name in architectures
        for seed in (0, 1)
    ]  # fmt: skip


FAMILIES = trained(
    "resnet18", "resnet18-ga", "resnet18-conv", "b0-la", "b0", "vit_tiny_patch16_224"
)


def test_each_hybrid_has_its_own_backbone_and_its_control_and_others_the_plain_network():
    assert choose_pairs(FAMILIES, "backbone", False) == [
        ("my resnet18-ga", "my resnet18"),
        ("my resnet18-ga", "my resnet18-conv"),
        ("my resnet18-conv", "my resnet18"),
        ("my b0-la", "my b0"),
        ("my b0", "my resnet18"),
        ("my vit_tiny_patch16_224", "my resnet18"),
    ]


def test_a_model_that_is_called_so_is_the_baseline_of_all():
    (one, other) = trained("resnet18", "b0")[::2]
    found = [Trained(**{**vars(one), "model": "backbone"}), other]
    assert choose_pairs(found, "backbone", False) == [("my b0", "backbone")]


@pytest.mark.parametrize(
    ("architectures", "baseline", "words"),
    [
        (("resnet18", "b0"), "backbone", "Expected models whose backbone is among them"),
        (("resnet18", "b0"), "backbones", "did you mean 'backbone'"),
        (("resnet18",), None, "Expected at least two models"),
    ],
)
def test_what_cannot_be_paired_is_refused(architectures, baseline, words):
    with pytest.raises(UsageError, match=words):
        choose_pairs(trained(*architectures), baseline, False)


def test_tables_and_figures_say_what_each_is_compared_with(tmp_path):
    runs = fabricate_study(
        tmp_path, {"resnet18": 1.0, "resnet18-la": 1.9, "resnet18-conv": 1.0}, per_group=2
    )
    result = xattn.compare(runs, tmp_path / "out", baseline="backbone", split=["test"])
    assert result.folder.settings["baseline"] is None
    pairs = set(result.pairs[["a", "b"]].itertuples(index=False, name=None))
    assert pairs == {
        ("resnet18-la", "resnet18"),
        ("resnet18-la", "resnet18-conv"),
        ("resnet18-conv", "resnet18"),
    }
    written = save_tables(result.folder, formats="md", out=tmp_path / "tables")
    text = next(p for p in written if "performance" in p.name).read_text()
    assert "against the model's backbone" in text
