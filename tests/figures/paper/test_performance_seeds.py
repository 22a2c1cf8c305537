import json

import numpy as np

from tests.figures.artists import drawn, words
from tests.figures.populated import populated_comparison
from xattn.figures.paper.performance_seeds import draw_performance_seeds
from xattn.runs import ComparisonFolder


def test_every_seed_is_a_tick_and_chance_a_line(tmp_path):
    folder = populated_comparison(tmp_path)
    left = drawn(draw_performance_seeds, folder).axes[0]
    ticks = np.concatenate([line.get_xdata() for line in left.lines if line.get_marker() == "|"])
    runs, metric = folder.table("comparison_runs"), folder.settings["metrics"][0]
    np.testing.assert_allclose(sorted(ticks), sorted(runs.query("metric == @metric")["value"]))
    (chance,) = (line for line in left.lines if line.get_linestyle() == ":")
    assert chance.get_xdata()[0] == {"auc": 0.5}.get(metric, 1 / len(folder.settings["classes"]))


def test_a_comparison_that_does_not_know_its_classes_has_no_line_of_chance(tmp_path):
    folder = populated_comparison(tmp_path)
    settings = {k: v for k, v in folder.settings.items() if k != "classes"}
    (folder.path / "comparison.json").write_text(json.dumps(settings))
    assert "chance" not in words(drawn(draw_performance_seeds, ComparisonFolder(folder.path)))
