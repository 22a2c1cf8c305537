from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xattn.figures import style
from xattn.figures.search_history import draw_search, read_search, save_search_figures


def write_search(out: Path, n: int = 12, complete: bool = True, importance: bool = True) -> Path:
    rng = np.random.default_rng(0)
    stages = ["[3]", "[4]", "[3, 4]"]
    trials = pd.DataFrame(
        {
            "trial": np.arange(n),
            "state": ["complete" if complete and i % 3 else "pruned" for i in range(n)],
            "value": rng.uniform(0.5, 0.9, n),
            "train.lr": 10 ** rng.uniform(-5, -2, n),
            "train.augment": rng.choice(["none", "light"], n),
            "model.options.stages": rng.choice(stages, n),
            "train.batch_size": rng.integers(4, 16, n),
        }
    )
    space = {
        "train.lr": {"low": 1e-5, "high": 1e-2, "log": True},
        "train.augment": ["none", "light"],
        "model.options.stages": [[3], [4], [3, 4]],
        "train.batch_size": {"low": 4, "high": 16},
    }
    shares = [{"key": key, "share": 0.5 - i / 9, "chance": 0.3} for i, key in enumerate(space)]
    record = {
        "classes": ["benign", "malignant"],
        "search": {"metric": "val_balanced_accuracy", "space": space},
        "importance": shares if importance else [],
    }
    out.mkdir()
    trials.to_csv(out / "trials.csv", index=False)
    (out / "search.json").write_text(json.dumps(record))
    return out


def test_every_trial_is_shown_with_the_best_so_far(tmp_path: Path):
    tables = read_search(write_search(tmp_path / "out"))
    with style.style():
        course, importance, *slices = draw_search(tables).axes

    shown = np.concatenate([part.get_offsets().data for part in course.collections])
    expected = tables.trials[["trial", "value"]].to_numpy(float)
    assert shown[np.argsort(shown[:, 0])] == pytest.approx(expected)
    assert course.lines[1].get_ydata() == [0.5, 0.5]
    best = course.lines[0].get_ydata()
    assert best == pytest.approx(np.maximum.accumulate(best))
    assert best[-1] == tables.of("complete")["value"].max()
    assert [bar.get_width() for bar in importance.patches] == pytest.approx(
        sorted(one["share"] for one in tables.record["importance"])
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
    assert path == tmp_path / "out" / "figures" / "search.png"
    before = path.read_bytes()
    save_search_figures(tmp_path / "out")
    assert path.read_bytes() == before


def test_a_search_without_a_complete_trial_has_no_figure(tmp_path: Path):
    assert save_search_figures(write_search(tmp_path / "out", complete=False)) == []
    assert not (tmp_path / "out" / "figures").exists()
