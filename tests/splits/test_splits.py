from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xattn.errors import XattnError
from xattn.splits.samples import Sample
from xattn.splits.splits import (
    check_splits,
    make_splits,
    read_domains,
    read_splits,
    write_splits,
)

CLASSES = ("benign", "malignant")


def samples_of(labels, groups=None):
    groups = groups if groups is not None else [None] * len(labels)
    return [
        Sample(f"i{i}", Path(f"i{i}.png"), int(label), group)
        for i, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]


def own_bytes(samples):
    return {sample.id: sample.id for sample in samples}


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=150),
    val=st.floats(0.05, 0.4),
    test=st.floats(0, 0.4),
    seed=st.integers(0, 2**32),
)
def test_single_images_are_split_within_one_image_of_every_class_fraction(labels, val, test, seed):
    samples = samples_of(labels)
    splits = make_splits(samples, own_bytes(samples), val=val, test=test, seed=seed)

    assert list(splits) == [s.id for s in samples]
    count = Counter((splits[s.id], s.label) for s in samples)
    fractions = {"train": 1 - val - test, "val": val, "test": test}
    fractions = {split: fraction for split, fraction in fractions.items() if fraction > 1e-9}
    for label, total in Counter(labels).items():
        # A rare class is in every split rather than in proportion.
        rare = sum(fraction * total < 1 for fraction in fractions.values()) * (
            total >= len(fractions)
        )
        for split, fraction in fractions.items():
            assert abs(count[split, label] - fraction * total) <= 1 + rare + 1e-9
            assert count[split, label] or total < len(fractions)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_groups_and_copies_of_a_file_are_never_torn_apart(data, seed):
    n = data.draw(st.integers(1, 80))
    labels = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    names = st.none() | st.sampled_from("abcdefgh")
    samples = samples_of(labels, data.draw(st.lists(names, min_size=n, max_size=n)))
    content = data.draw(st.lists(st.integers(0, 60), min_size=n, max_size=n))
    hashes = {s.id: str(c) for s, c in zip(samples, content, strict=True)}

    splits = make_splits(samples, hashes, val=0.2, test=0.2, seed=seed)

    for key in ([s.group for s in samples], [hashes[s.id] for s in samples]):
        sides: dict[object, set[str]] = {}
        for sample, name in zip(samples, key, strict=True):
            if name is not None:
                sides.setdefault(name, set()).add(splits[sample.id])
        assert all(len(side) == 1 for side in sides.values())


def test_groups_of_lesions_keep_the_class_fractions():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 6, 400)
    labels = np.repeat(rng.random(400) < 0.2, sizes)
    groups = np.repeat([f"lesion {i}" for i in range(400)], sizes)
    samples = samples_of(labels, groups)

    splits = make_splits(samples, own_bytes(samples), val=0.15, test=0.15, seed=3)

    for label in (0, 1):
        sides = [splits[s.id] for s in samples if s.label == label]
        for split, fraction in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
            assert sides.count(split) / len(sides) == pytest.approx(fraction, abs=0.01)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_a_class_of_three_groups_is_in_every_split(data, seed):
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=9, max_size=40))
    of_groups = [0, 0, 0, 1, 1, 1, 2, 2, 2] + [0] * (len(sizes) - 9)
    labels = np.repeat(of_groups, sizes)
    groups = np.repeat([f"lesion {i}" for i in range(len(sizes))], sizes)
    samples = samples_of(labels, groups)
    splits = make_splits(samples, own_bytes(samples), val=0.1, test=0.1, seed=seed)
    check_splits(samples, splits, own_bytes(samples), ("a", "b", "c"))


def test_named_columns_are_in_proportion():
    rng = np.random.default_rng(0)
    samples = samples_of(rng.integers(0, 2, 600), [f"g{i // 2}" for i in range(600)])
    site = {s.id: rng.choice(["arm", "leg", "rare"], p=(0.5, 0.45, 0.05)) for s in samples}
    for seed in range(5):
        splits = make_splits(
            samples, own_bytes(samples), val=0.2, test=0.2, seed=seed, stratify={"site": site}
        )
        for value in ("arm", "leg", "rare"):
            sides = [splits[s.id] for s in samples if site[s.id] == value]
            assert sides.count("test") / len(sides) == pytest.approx(0.2, abs=4 / len(sides))


def test_groups_of_every_size_are_in_every_split():
    sizes = np.repeat([1, 2, 3, 5], 100)
    groups = np.repeat([f"lesion {i}" for i in range(400)], sizes)
    samples = samples_of(np.arange(400).repeat(sizes) % 2, groups)
    splits = make_splits(samples, own_bytes(samples), val=0.15, test=0.15, seed=0)
    for size in (1, 2, 3, 5):
        where = {s.group: splits[s.id] for s in samples if sizes[int(s.group[7:])] == size}
        assert Counter(where.values())["test"] == pytest.approx(15, abs=2)


def test_the_seed_decides_and_nothing_else_does():
    samples = samples_of([0, 1] * 30)
    same = [make_splits(samples, own_bytes(samples), val=0.2, test=0.2, seed=5) for _ in range(2)]
    other = make_splits(samples, own_bytes(samples), val=0.2, test=0.2, seed=6)
    assert same[0] == same[1]
    assert same[0] != other


def test_no_test_fraction_means_no_test_images():
    samples = samples_of([0, 1] * 20)
    splits = make_splits(samples, own_bytes(samples), val=0.25, test=0, seed=0)
    assert set(splits.values()) == {"train", "val"}
    check_splits(samples, splits, own_bytes(samples), CLASSES)


def balanced():
    samples = samples_of([0, 1] * 3, ["a", "b", "c", "d", None, None])
    splits = {"i0": "train", "i1": "train", "i2": "val", "i3": "val", "i4": "test", "i5": "test"}
    return samples, splits, own_bytes(samples)


def test_splits_without_problem_pass():
    samples, splits, hashes = balanced()
    check_splits(samples, splits, hashes, CLASSES)


def test_a_group_in_two_splits_is_named():
    _, splits, hashes = balanced()
    samples = samples_of([0, 1] * 3, ["a", "b", "a", "d", None, None])
    with pytest.raises(XattnError, match="group a is in two: i0 in train, i2 in val"):
        check_splits(samples, splits, hashes, CLASSES)


def test_the_same_bytes_in_two_splits_are_named():
    samples, splits, hashes = balanced()
    hashes |= {"i5": "i1"}
    with pytest.raises(XattnError, match="file content is in two: i1 in train, i5 in test"):
        check_splits(samples, splits, hashes, CLASSES)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_class_that_a_split_lacks_is_named(split: str):
    samples, splits, hashes = balanced()
    inside = [s for s in samples if not (splits[s.id] == split and s.label == 1)]
    with pytest.raises(XattnError, match=rf"'{split}', but got none of malignant \(1 benign, 0"):
        check_splits(inside, splits, hashes, CLASSES)


def test_splits_that_are_written_read_back_the_same(tmp_path: Path):
    splits = {"a": "train", 'of "two", parts': "val", "é": "test"}
    path = tmp_path / "splits.csv"
    path.write_text(write_splits(splits), encoding="utf-8", newline="")
    assert read_splits(path) == splits
    assert read_domains(path) == {}


def test_domains_are_written_beside_the_splits_and_read_back(tmp_path: Path):
    splits = {"a": "train", "b": "ood", "c": "test"}
    path = tmp_path / "splits.csv"
    path.write_text(write_splits(splits, {"a": "Vienna, 1", "b": "2"}), encoding="utf-8")
    assert path.read_text().splitlines()[0] == "image_id,split,domain"
    assert read_splits(path) == splits
    assert read_domains(path) == {"a": "Vienna, 1", "b": "2"}


def test_splits_saved_by_a_spreadsheet_are_read(tmp_path: Path):
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbfimage_id,split\r\na,val\r\n")
    assert read_splits(tmp_path / "s.csv") == {"a": "val"}
    assert read_domains(tmp_path / "s.csv") == {}


def test_bound_samples_go_where_they_are_bound_and_fractions_are_of_the_others():
    samples = [
        replace(s, split="ood" if i < 10 else "test" if i < 20 else None)
        for i, s in enumerate(samples_of([0, 1] * 30))
    ]
    splits = make_splits(samples, own_bytes(samples), val=0.25, test=0, seed=0)
    assert Counter(splits.values()) == {"ood": 10, "test": 10, "train": 30, "val": 10}
    assert {splits[s.id] for s in samples[:10]} == {"ood"}
    assert list(splits) == [s.id for s in samples]


def test_only_bound_samples_need_no_splitting():
    samples = [replace(s, split="ood") for s in samples_of([0, 1])]
    assert make_splits(samples, {}, val=0.1, test=0.1, seed=0) == {"i0": "ood", "i1": "ood"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,split\na,train\n", "columns image_id and split in .*, but got id, split"),
        ("image_id,split\na,tarin\n", "line 2, but got 'tarin'; did you mean 'train'"),
        ("image_id,split\na\n", "line 2, but got ''"),
        ("image_id,split\na,val\na,val\n", "a twice"),
        ("", "columns image_id and split"),
    ],
)
def test_a_wrong_splits_file_is_refused_with_the_reason(tmp_path: Path, text: str, said: str):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(XattnError, match=said):
        read_splits(path)


def test_a_splits_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(XattnError, match=r"absent\.csv"):
        read_splits(tmp_path / "absent.csv")
