"""A bright cell is drawn where it looks, in figures and gallery; older runs say that they guess."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.fabricate import fabricate_run
from tests.figures.artists import drawn, overhang, words
from tests.figures.populated import populated_run
from xattn.cli import main
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.page.gallery import make_gallery
from xattn.figures.page.report import report
from xattn.figures.paper.agreement_maps import draw_agreement_maps
from xattn.figures.paper.attribution_grid import draw_attribution_grid
from xattn.figures.paper.attribution_models import draw_attribution_models
from xattn.images import Cells
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

SIZE = (64, 96)
AT = {
    "spread evenly": Cells.spread((4, 6), SIZE),
    "to the corner": Cells(tuple(np.arange(4) * 16.0), tuple(np.arange(6) * 16.0), SIZE),
    "shifted": Cells(tuple(np.arange(4) * 16 - 5.0), tuple(np.arange(6) * 16 - 7.0), SIZE),
    "uneven": Cells((4.0, 20.0, 25.0, 60.0), (3.0, 9.0, 40.0, 60.0, 70.0, 90.0), SIZE),
}
CELL = (1, 2)
FIGURES = {
    "grid": draw_attribution_grid,
    "models": lambda run: draw_attribution_models([run]),
    "agreement": draw_agreement_maps,
}


def planted_run(root, cells, mode="squash"):
    """Grey images whose maps have one bright cell; the second method's map hardly differs."""
    maps = np.zeros((4, 4, 6), np.float32)
    maps[:, CELL[0], CELL[1]] = 1
    faint = np.linspace(0, 0.05, 96).reshape(4, 4, 6).astype(np.float32)
    placed = None if cells is None else {"gradcam": cells, "attention": cells}
    run = fabricate_run(
        root, np.tile([1.0, -1.0], (4, 1)), {"gradcam": maps, "attention": maps + faint},
        ["benign", "malignant"] * 2, image_size=(240, 120), input_size=SIZE,
        cells={} if cells is None else placed,
    )  # fmt: skip
    for path in (root / "images").iterdir():
        Image.new("RGB", (240, 120), (90, 90, 90)).save(path)
    if mode == "crop":
        settings = read_record(run.path / "run.json")
        settings["preprocessing"] |= {"mode": "crop", "resize": 96}
        (run.path / "run.json").write_text(json.dumps(settings))
    return RunFolder.open(run.path)


def middle(light):
    """Centre (row, column) of the brightest pixels."""
    rows, columns = np.nonzero(light > 0.97 * light.max())
    return rows.mean(), columns.mean()


def panels(fig):
    """The images with a map over them."""
    shown = [np.asarray(ax.images[-1].get_array(), float) for ax in fig.axes if ax.images]
    return [p.sum(2) for p in shown if p.ndim == 3 and np.ptp(p) > 30]


@pytest.mark.parametrize("mode", ["squash", "crop"])
@pytest.mark.parametrize("way", AT)
@pytest.mark.parametrize("name", FIGURES)
def test_a_bright_cell_is_drawn_where_it_looks(tmp_path, way, name, mode):
    cells = AT[way]
    run = planted_run(tmp_path, cells, mode)
    found = panels(drawn(FIGURES[name], run))
    assert found
    for light in found:
        assert light.shape == SIZE
        row, column = middle(light)
        assert row == pytest.approx(cells.y[CELL[0]], abs=1)
        assert column == pytest.approx(cells.x[CELL[1]], abs=1)


@pytest.mark.parametrize("way", AT)
def test_a_native_map_shows_each_cell_about_its_centre(tmp_path, way):
    cells = AT[way]
    fig = drawn(draw_attribution_grid, planted_run(tmp_path, cells))
    native = [
        np.asarray(ax.images[-1].get_array(), float)
        for ax in fig.axes
        if ax.images and np.ndim(ax.images[-1].get_array()) == 2
    ]
    assert native
    for values in native:
        rows, columns = np.nonzero(values > 0.9)
        assert rows.min() <= cells.y[CELL[0]] <= rows.max()
        assert columns.min() <= cells.x[CELL[1]] <= columns.max()
        assert len(rows) == len(np.unique(rows)) * len(np.unique(columns))  # one block


@pytest.mark.parametrize("mode", ["squash", "crop"])
@pytest.mark.parametrize("way", AT)
def test_the_gallery_has_it_there_too(tmp_path, way, mode):
    cells = AT[way]
    run = planted_run(tmp_path, cells, mode)
    for tile in make_gallery(AlignedRuns.of([run]), 4).tiles:
        data = tile.stages[0].layers[0].uri.partition(",")[2]
        light = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), float)
        row, column = middle(light)
        assert row == pytest.approx(cells.y[CELL[0]], abs=2)
        assert column == pytest.approx(cells.x[CELL[1]], abs=2)


class TestARunThatDoesNotSayWhereItsCellsLie:
    @pytest.mark.parametrize("name", FIGURES)
    def test_is_drawn_spread_evenly_and_the_figure_says_so(self, tmp_path, name):
        old = planted_run(tmp_path / "old", None)
        known = planted_run(tmp_path / "known", AT["spread evenly"])
        figures = [drawn(FIGURES[name], run) for run in (old, known)]
        for a, b in zip(*(panels(fig) for fig in figures), strict=True):
            np.testing.assert_array_equal(a, b)
        said = "drawn evenly spread: not recorded where they lie"
        assert said in words(figures[0])
        assert said not in words(figures[1])
        assert overhang(figures[0]) < 0.2

    def test_has_a_sentence_in_the_report(self, tmp_path):
        sentence = "does not record where the cells of its maps lie (gradcam, attention)"
        old = report(planted_run(tmp_path / "old", None).path).read_text()
        assert old.count(sentence) == 1
        known = report(planted_run(tmp_path / "known", AT["shifted"]).path).read_text()
        assert sentence not in known
        assert "(-5.0, -7.0) to (43.0, 73.0)" in known  # the model's card

    def test_is_named_on_the_command_line(self, tmp_path, capsys):
        run = planted_run(tmp_path, None)
        assert main(["figures", str(run.path), "--only", "attribution-grid"]) == 0
        said = capsys.readouterr().out
        assert said.count("Note: ") == 1
        assert "spread evenly" in said


def test_scores_made_before_the_places_were_known_are_named(tmp_path):
    run = populated_run(tmp_path, n=6)
    settings = read_record(run.path / "run.json")
    moved = Cells((0.0, 8.0, 16.0, 24.0), (0.0, 8.0, 16.0, 24.0), (32, 32))
    settings["cells"]["layer of gradcam"] = moved.to_dict()
    (run.path / "run.json").write_text(json.dumps(settings))
    said = "The scores of gradcam are of an earlier version"
    assert said in report(run.path).read_text()
    facts = read_record(run.path / "analysis.json")
    (run.path / "analysis.json").write_text(json.dumps({**facts, "cells_spread_evenly": []}))
    assert said not in report(run.path).read_text()
