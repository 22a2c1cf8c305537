from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.figures.artists import drawn, overhang
from tests.figures.searched import write_search
from xattn.figures.folders import SearchFolder, opened
from xattn.figures.paper.search_history import draw_search_history, save_search_figures
from xattn.figures.registry import NothingToDrawError, save_figures


def test_every_trial_is_shown_with_the_best_so_far(tmp_path: Path):
    folder = opened(write_search(tmp_path / "out"))
    fig = drawn(draw_search_history, folder)
    course, importance, *slices = fig.axes
    assert overhang(fig) < 0.2

    shown = np.concatenate([part.get_offsets().data for part in course.collections])
    expected = folder.trials[["trial", "value"]].to_numpy(float)
    assert shown[np.argsort(shown[:, 0])] == pytest.approx(expected)
    assert course.lines[1].get_ydata() == [0.5, 0.5]
    best = course.lines[0].get_ydata()
    assert best == pytest.approx(np.maximum.accumulate(best))
    assert best[-1] == folder.of("complete")["value"].max()
    assert [bar.get_width() for bar in importance.patches] == pytest.approx(
        sorted(one["share"] for one in folder.record["importance"])
    )
    assert [ax.get_xlabel() for ax in slices] == ["lr", "augment", "stages", "batch size"]
    assert [ax.get_xscale() for ax in slices] == ["log", "linear", "linear", "linear"]
    assert [tick.get_text() for tick in slices[2].get_xticklabels()] == ["[3]", "[4]", "[3, 4]"]
    for ax in slices:
        points = np.concatenate([part.get_offsets().data for part in ax.collections])
        assert np.isfinite(points).all()
        assert len(points) == 12


def test_the_same_search_gives_the_same_bytes(tmp_path: Path):
    (path,) = save_search_figures(write_search(tmp_path / "out", importance=False))
    assert path == tmp_path / "out" / "figures" / "search-history.png"
    before = path.read_bytes()
    save_search_figures(tmp_path / "out")
    assert path.read_bytes() == before


def test_a_search_without_a_complete_trial_has_no_figure(tmp_path: Path):
    assert save_search_figures(write_search(tmp_path / "out", complete=False)) == []
    assert not (tmp_path / "out" / "figures").exists()
    with pytest.raises(NothingToDrawError, match="complete trial"):
        save_figures(tmp_path / "out", only="search-history")


def test_a_search_folder_is_known_by_its_files(tmp_path: Path):
    out = write_search(tmp_path / "out")
    assert opened(str(out)) == SearchFolder(out)
