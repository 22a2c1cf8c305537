"""Numbers of docs/precision.md are those of its table, or there are none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.precision import rank_correlation, top_overlap

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate():
    place = ROOT / "docs" / "generate" / "precision.py"
    spec = importlib.util.spec_from_file_location("precision", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_table_says(generate):
    page = generate.PAGE.read_text(encoding="utf-8")
    assert {found[2] for found in generate.MARKED.finditer(page)} == set(generate.PARTS)
    assert generate.renewed(page) == page, "run `python docs/generate/precision.py`"


def test_without_the_measurement_the_page_has_no_number(generate, monkeypatch, tmp_path):
    monkeypatch.setattr(generate, "SOURCE", tmp_path / "none.csv")
    assert {part() for part in generate.PARTS.values()} == {generate.NOT_YET}


class TestAgreement:
    maps = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)

    def test_of_maps_with_themselves_is_whole_whatever_their_scale(self):
        np.testing.assert_allclose(rank_correlation(3 * self.maps + 1, self.maps), 1)
        np.testing.assert_allclose(top_overlap(3 * self.maps + 1, self.maps), 1)

    def test_of_maps_turned_over_is_none(self):
        np.testing.assert_allclose(rank_correlation(-self.maps, self.maps), -1)
        assert (top_overlap(-self.maps, self.maps) == 0).all()

    def test_counts_common_top_cells_over_all_that_are_in_one_of_them(self):
        ours, theirs = np.zeros((1, 4, 5), np.float32), np.zeros((1, 4, 5), np.float32)
        ours[0, 0, :2], theirs[0, 0, 1:3] = [2, 1], [2, 1]
        np.testing.assert_allclose(top_overlap(ours, theirs), 1 / 3)
