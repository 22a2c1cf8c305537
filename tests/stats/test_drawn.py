import numpy as np
import pytest

from xattn.stats import drawn as module
from xattn.stats.drawn import Drawn
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import drawn_weights, group_weights

N, ROWS = 30, 101
RNG = np.random.default_rng(0)
LABEL, GROUP = RNG.integers(0, 2, N), RNG.integers(0, 20, N)

MATRICES = {
    "permutations": lambda: within_label_permutations(LABEL, GROUP, ROWS - 1, seed=3).every,
    "of what can be exchanged": lambda: within_label_permutations(
        LABEL, GROUP, ROWS - 1, seed=3
    ).of_kept(),
    "weights": lambda: drawn_weights(GROUP, N, ROWS, seed=4),
}


@pytest.fixture(params=MATRICES, ids=str)
def matrix(request):
    return MATRICES[request.param]


@pytest.mark.parametrize("block", [1, 4 * N, 50 * N, 1000 * N])
def test_which_rows_are_drawn_does_not_depend_on_how_many_at_a_time(matrix, block, monkeypatch):
    whole = np.asarray(matrix())
    monkeypatch.setattr(module, "BLOCK", block)
    found = matrix()
    assert found.shape == whole.shape
    assert (np.concatenate(list(found.blocks())) == whole).all()
    assert (found.map(lambda some: some.sum(axis=1)) == whole.sum(axis=1)).all()


def test_rows_are_the_same_in_whatever_order_they_are_asked_for(matrix, monkeypatch):
    whole = np.asarray(matrix())
    monkeypatch.setattr(module, "BLOCK", 8 * N)
    found = matrix()
    for begin, end in ((90, 101), (0, 1), (5, 40), (30, 31), (7, 7), (1, None)):
        assert (found[begin:end] == whole[begin:end]).all(), (begin, end)
    assert (found[-1] == whole[-1]).all()
    assert [row.tolist() for row in found] == whole.tolist()


def test_no_more_than_a_block_is_drawn_at_once(matrix, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 8 * N)
    assert max(len(block) for block in matrix().blocks()) <= 8 * N // matrix().shape[1]


def test_rows_that_are_not_there_and_steps_are_refused(matrix):
    with pytest.raises(IndexError):
        matrix()[ROWS]
    with pytest.raises(IndexError, match="one after the other"):
        matrix()[::2]


def test_no_replicates_are_an_array_of_none():
    assert group_weights(GROUP, N, 0, seed=1).shape == (0, N)
    assert drawn_weights(None, 0, 7, seed=1).map(lambda some: some.sum(axis=1)).tolist() == [0] * 7


def test_numpy_takes_it_for_the_array_of_all_rows():
    counting = Drawn((3, 2), lambda _: iter([np.arange(6).reshape(3, 2)]))
    assert np.asarray(counting, dtype=np.float64).dtype == np.float64
    assert (np.array([[1.0, 1.0]]) @ np.asarray(counting).T).tolist() == [[1, 5, 9]]
