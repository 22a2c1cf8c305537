import numpy as np
import pytest

from tests.figures.artists import drawn, overhang, points, spans, words
from tests.figures.populated import complete_run
from xattn.errors import RunError
from xattn.figures.paper.agreement import MOST_ROWS, draw_agreement
from xattn.figures.registry import NothingToDrawError

METHODS = ("gradcam", "attention", "rollout")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("agreeing"), n=6, methods=METHODS)


@pytest.mark.parametrize(
    ("panel", "column", "scale"), [(0, "rank_correlation", 1), (1, "overlap", 100)]
)
def test_each_pair_has_its_mean_interval_and_chance(run, panel, column, scale):
    fig = drawn(draw_agreement, [run])
    table = run.table("agreement")
    shown = sorted(x for x, _, _ in points(fig.axes[panel]))
    wanted = scale * np.concatenate([table[column], table[f"chance_{column}"]])
    np.testing.assert_allclose(shown, sorted(wanted))
    ends = scale * table[[f"{column}_low", f"{column}_high"]].to_numpy()
    assert all(np.isclose(spans(fig.axes[panel]), pair).all(1).any() for pair in ends)
    assert overhang(fig) < 0.2


def test_pairs_are_named_with_their_numbers_of_images(run):
    said = words(drawn(draw_agreement, [run]))
    for row in run.table("agreement").itertuples():
        assert f"{row.method_a} / {row.method_b}  ({row.n:,})" in said


def test_only_agreement_beyond_chance_is_filled(run):
    ax = drawn(draw_agreement, [run]).axes[0]
    table = run.table("agreement")
    hollow = sorted(x for x, _, filled in points(ax) if not filled)
    wanted = table.loc[table["p_adjusted"] >= 0.05, "rank_correlation"]
    np.testing.assert_allclose(hollow, sorted(wanted))


def test_a_table_without_numbers_is_nothing_to_draw(tmp_path):
    run = complete_run(tmp_path, n=6)
    run.write_table("agreement", run.table("agreement").assign(rank_correlation=np.nan))
    with pytest.raises(NothingToDrawError, match="none with numbers"):
        draw_agreement([run])


def test_more_pairs_than_a_page_holds_are_refused(tmp_path):
    run = complete_run(tmp_path, n=4, methods=tuple(f"m{i}" for i in range(10)))
    with pytest.raises(RunError, match=f"at most {MOST_ROWS} pairs"):
        draw_agreement([run])
