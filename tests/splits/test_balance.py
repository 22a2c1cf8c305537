"""How alike splits are is told by group; chance alone calls them unlike as seldom as it says."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, chi2_contingency

from tests.splits.test_splits import own_bytes, samples_of
from tests.training.ham10000 import IMAGES, LESIONS, SIZES, columns, lesions
from xattn.splits.balance import SplitBalance, compare_splits
from xattn.splits.samples import Sample
from xattn.splits.splits import make_splits

CLASSES = ("benign", "malignant")


def compare(samples, splits, traits=None, classes=CLASSES) -> SplitBalance:
    return compare_splits(samples, splits, own_bytes(samples), classes, traits or {})


def by_name(balance: SplitBalance):
    return {column.name: column for column in balance.columns}


def halves(n: int):
    """Images on their own, the first half in train."""
    samples = samples_of([0, 1] * (n // 2))
    return samples, {s.id: "train" if i < n // 2 else "test" for i, s in enumerate(samples)}


def test_what_is_in_one_split_alone_is_named_with_its_fractions():
    samples, splits = halves(80)
    site = {
        s.id: "arm" if splits[s.id] == "train" and i % 4 else "leg" for i, s in enumerate(samples)
    }
    balance = compare(samples, splits, {"site": site})
    assert list(balance.unlike) == [
        "train and test are not alike in site (chance 0.001): 'leg': 25.0 % of train, "
        "100.0 % of test"
    ]
    assert by_name(balance)["label"].p == 1
    assert "site" in balance.table()


def test_of_images_on_their_own_it_is_the_usual_chi_square():
    rng = np.random.default_rng(3)
    samples, splits = halves(300)
    site = {s.id: str(rng.choice(["arm", "leg", "back"])) for s in samples}
    found = by_name(compare(samples, splits, {"site": site}))["site"]
    expected = chi2_contingency(found.counts[[0, 2]], correction=False)
    assert found.chi_square == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.06)


def test_images_of_one_group_are_no_independent_draws():
    """Thirty images of one patient on one side are one surprise, not thirty."""
    groups = np.repeat([f"g{i}" for i in range(20)], 30)
    samples = samples_of([0, 1] * 300, groups)
    splits = {s.id: "train" if int(s.group[1:]) < 10 else "test" for s in samples}
    sex = {
        s.id: "f" if int(s.group[1:]) in (0, 2, 4, 6, 7, 8, 11, 14, 15) else "m" for s in samples
    }
    found = by_name(compare(samples, splits, {"sex": sex}))["sex"]
    assert chi2_contingency(found.counts[[0, 2]]).pvalue < 1e-9
    assert found.p > 0.1


def test_one_of_many_columns_is_not_called_unlike_by_chance():
    rng = np.random.default_rng(1)
    samples, splits = halves(200)
    names = [f"coin {i}" for i in range(40)]
    traits = {name: {s.id: str(rng.choice(["a", "b"])) for s in samples} for name in names}
    balance = compare(samples, splits, traits)
    assert min(column.p for column in balance.columns) < 0.05
    assert balance.unlike == ()


def test_images_of_other_origin_are_counted_and_not_compared():
    samples, splits = halves(80)
    samples = [*samples, *(replace(s, id=f"far {s.id}") for s in samples)]
    splits |= {s.id: "ood" for s in samples[80:]}
    centre = {s.id: "far" if s.id.startswith("far") else "near" for s in samples}
    found = by_name(compare(samples, splits, {"centre": centre}))["centre"]
    assert found.p == 1
    assert found.fractions[3].tolist() == [1, 0]


@pytest.mark.parametrize("splits", [{"i0": "train", "i1": "train"}, {"i0": "ood", "i1": "train"}])
def test_a_single_split_has_nothing_to_be_like(splits):
    balance = compare(samples_of([0, 1]), splits)
    assert balance.columns == ()
    assert balance.table() == ""
    assert len(balance.to_csv().splitlines()) == 1


def test_the_table_reads_back():
    samples, splits = halves(40)
    balance = compare(
        samples,
        splits,
        {"say, what": {s.id: "=1+1" for s in samples[:20]} | {s.id: "b" for s in samples[20:]}},
    )
    rows = list(csv.DictReader(io.StringIO(balance.to_csv())))
    assert [row["column"] for row in rows] == ["label", "label", "say, what", "say, what"]
    assert rows[2]["value"] == "'=1+1"  # text to a spreadsheet too, as in splits.csv
    assert rows[0]["train"] == "0.500000"
    assert rows[0]["val"] == ""
    assert rows[0]["n_test"] == "10"


def ham10000(every: int = 1):
    """Its 10,015 images, and columns that go with the size of the lesion and the label.

    With `every` 2 half of its lesions, of the same composition: they are listed by size and label.
    """
    labels, sizes = (values[::every] for values in lesions())
    names = list(LESIONS)
    lesion = np.repeat(np.arange(len(labels)), sizes)
    samples = samples_of([names.index(labels[one]) for one in lesion], [f"l{i}" for i in lesion])
    traits = {
        name: {s.id: str(values[one]) for s, one in zip(samples, lesion, strict=True)}
        for name, values in columns(labels, sizes).items()
    }
    return samples, traits, sizes


def largest_first(samples: list[Sample], seed: int) -> dict[str, str]:
    """The rule there was: the largest groups first, each where most is missing of its class."""
    _, unit = np.unique([s.group for s in samples], return_inverse=True)
    counts = np.zeros((unit.max() + 1, len(LESIONS)))
    np.add.at(counts, (unit, [s.label for s in samples]), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    lacking = np.repeat([[0.7], [0.15], [0.15]], len(LESIONS), axis=1)
    home = np.empty(len(counts), dtype=int)
    for one in order:
        part = counts[one] / counts.sum(0)
        home[one] = (part * (part - 2 * lacking)).sum(1).argmin()
        lacking[home[one]] -= part
    return {s.id: ("train", "val", "test")[home[u]] for s, u in zip(samples, unit, strict=True)}


def chances(samples, splits, traits) -> dict[str, float]:
    """How far train and test are apart, by column."""
    two = [s for s in samples if splits[s.id] != "val"]
    balance = compare(two, splits, traits, tuple(LESIONS))
    return {column.name: column.p for column in balance.columns}


def test_the_sizes_are_those_of_ham10000():
    labels, sizes = lesions()
    assert {name: int(sizes[labels == name].sum()) for name in LESIONS} == IMAGES
    assert {size: int((sizes == size).sum()) for size in SIZES} == SIZES


def test_splits_that_give_the_largest_lesions_to_train_are_called_unlike():
    samples, traits, _ = ham10000()
    balance = compare(samples, largest_first(samples, 0), traits, tuple(LESIONS))
    assert {line.split(" (")[0].split(" in ")[1] for line in balance.unlike} >= {
        "group size",
        "dx_type",
    }


@pytest.mark.slow
def test_over_200_seeds_train_and_test_of_ham10000_differ_by_chance_alone():
    samples, traits, _ = ham10000(every=2)
    found = []
    for seed in range(200):
        splits = make_splits(samples, own_bytes(samples), val=0.15, test=0.15, seed=seed)
        found.append(chances(samples, splits, traits))
    for name in found[0]:
        unlike = sum(one[name] < 0.05 for one in found)
        assert unlike <= binom.ppf(0.999, len(found), 0.05), name
    least = sum(p <= 0.001 for one in found for p in one.values())
    assert least <= binom.ppf(0.999, len(found) * len(found[0]), 0.001)


@pytest.mark.slow
def test_the_rule_there_was_differs_with_every_seed():
    samples, traits, _ = ham10000(every=2)
    for seed in range(10):
        found = chances(samples, largest_first(samples, seed), traits)
        assert max(found["group size"], found["dx_type"]) <= 0.001
