"""Splits in which artifacts go with the label in train, and against it in ood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import xattn.cli
from xattn.annotations import read_annotations
from xattn.errors import UsageError, XattnError
from xattn.splits.make import split_images
from xattn.splits.samples import Sample
from xattn.splits.splits import read_splits
from xattn.splits.trap import association, bind_trap, describe_trap

B, M = "benign", "malignant"


def drawn(n=600, per_group=1, features=2, classes=2, seed=0):
    """Samples and flags: every feature is a little more frequent in later classes."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) // per_group
    label = rng.integers(0, classes, n)[group] if per_group > 1 else rng.integers(0, classes, n)
    chance = np.linspace(0.35, 0.5, classes)[label]
    flags = (rng.random((n, features)) < chance[:, None]).astype(float)
    names = [f"g{g}" if per_group > 1 else None for g in group]
    samples = [Sample(f"i{i}", Path("x"), int(label[i]), names[i]) for i in range(n)]
    return samples, {s.id: s.id for s in samples}, flags, label


def taken(samples, hashes, flags, **options):
    bound = bind_trap(samples, hashes, flags, **{"fraction": 0.3, "seed": 0, **options})
    assert [s.id for s in bound] == [s.id for s in samples]
    return np.array([s.split == "ood" for s in bound])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("per_group", [1, 3])
def test_the_correlation_is_reversed_in_ood_and_amplified_in_the_rest(seed, features, per_group):
    samples, hashes, flags, label = drawn(per_group=per_group, features=features, seed=seed)
    ood = taken(samples, hashes, flags)
    everywhere = association(flags, label)
    inside, outside = (
        association(flags[some], label[some], like=(flags, label)) for some in (ood, ~ood)
    )
    assert (inside < 0).all()
    assert (outside > everywhere).all()


def test_every_class_gives_its_fraction_and_groups_stay_whole():
    samples, hashes, flags, label = drawn(per_group=4)
    ood = taken(samples, hashes, flags, fraction=0.25)
    group = np.array([s.group for s in samples])
    assert all(len(set(ood[group == g])) == 1 for g in set(group))
    for c in (0, 1):
        assert abs(ood[label == c].sum() - 0.25 * (label == c).sum()) <= 4


def test_copies_of_one_file_stay_together():
    samples, hashes, flags, _ = drawn(80)
    hashes = {s.id: str(i // 2) for i, s in enumerate(samples)}
    ood = taken(samples, hashes, flags)
    assert (ood[::2] == ood[1::2]).all()


def test_several_classes_are_reversed_too():
    samples, hashes, flags, label = drawn(900, classes=3)
    ood = taken(samples, hashes, flags)
    assert (association(flags[ood], label[ood], like=(flags, label)) < 0).all()


def test_strength_goes_from_a_lot_to_complete_opposition():
    samples, hashes, flags, label = drawn(features=1)
    found = []
    for strength in (0.0, 0.5, 1.0):
        ood = taken(samples, hashes, flags, strength=strength)
        found.append(association(flags[ood], label[ood], like=(flags, label))[0])
    assert found[0] > found[1] > found[2] == pytest.approx(-1)
    assert abs(found[0] - association(flags, label)[0]) < 0.15


def test_same_seed_same_trap_and_another_seed_another():
    samples, hashes, flags, _ = drawn()
    first = taken(samples, hashes, flags)
    assert (first == taken(samples, hashes, flags)).all()
    assert (first != taken(samples, hashes, flags, seed=1)).any()


def test_unknown_flags_are_neither_with_nor_against_the_label():
    samples, hashes, flags, label = drawn(features=1)
    flags[::5] = np.nan
    ood = taken(samples, hashes, flags)
    assert association(flags[ood], label[ood], like=(flags, label))[0] < 0
    assert 0 < ood[::5].mean() < 1


def test_association_of_two_classes_is_phi_without_its_sign():
    _, _, flags, label = drawn(features=3)
    flags[:, 1] = 1 - flags[:, 1]
    phi = [np.corrcoef(flags[:, i], label)[0, 1] for i in range(3)]
    assert phi[1] < 0
    assert association(flags, label) == pytest.approx(np.abs(phi))


def test_a_feature_that_cannot_be_reversed_is_named():
    samples, hashes, flags, label = drawn(features=1)
    flags[:, 0] = label
    bound = bind_trap(samples, hashes, flags, fraction=0.3, seed=0)
    splits = {s.id: s.split or "train" for s in bound}
    lines = describe_trap(samples, splits, flags, ["ruler"])
    assert "+1.00 in all, +1.00 in train, +1.00 in ood" in lines[0]
    assert lines[1].startswith("ruler could not be reversed")


@pytest.mark.parametrize("option", [{"fraction": 0.0}, {"fraction": 1.0}, {"strength": 1.5}])
def test_fractions_out_of_range_are_refused(option):
    samples, hashes, flags, _ = drawn(40)
    with pytest.raises(UsageError, match="of the trap"):
        taken(samples, hashes, flags, **option)


@pytest.fixture
def path(study) -> Path:
    """120 images; rulers in two thirds of the malignant and a third of the benign."""
    path = study([B, M] * 60, groups=[f"g{i // 4}" if i < 40 else None for i in range(120)])
    content = json.loads(path.read_text())
    content["features"] = {
        "ruler": {"kind": "artifact"}, "ink": {"kind": "artifact"}, "age": {"kind": "metadata"},
    }  # fmt: skip
    for i, image in enumerate(content["images"]):
        with_it = (i // 2) % 3
        ruler = with_it > 0 if image["label"] == M else with_it == 0
        image["values"] = {"ruler": int(ruler), "ink": 0, "age": 50}
    path.write_text(json.dumps(content))
    return path


def test_the_command_makes_a_trap_that_training_can_take(path, tmp_path, capsys):
    out = tmp_path / "splits.csv"
    words = ["annotations", "split", str(path), "--out", str(out), "--trap", "ruler"]
    assert xattn.cli.main([*words, "--seed", "1", "--trap-share", "0.25"]) == 0
    assert (
        "correlation of ruler with the label that it usually goes with" in capsys.readouterr().out
    )
    known = read_annotations(path)
    splits = read_splits(out)
    assert set(splits.values()) == {"train", "val", "test", "ood"}
    made = split_images(known, trap=["ruler"], trap_share=0.25, data={"split_seed": 1})
    assert made.splits == splits
    for name, sign in (("train", 1), ("ood", -1)):
        inside = [i for i in known.images if splits[i.id] == name]
        ruler = np.array([i.values["ruler"] for i in inside])
        assert sign * np.corrcoef(ruler, [i.label == M for i in inside])[0, 1] > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trap": ["rular"]}, UsageError, "did you mean 'ruler'"),
        ({"trap": ["age"]}, UsageError, "Unknown artifact or structure 'age'"),
        ({"trap": ["ink"]}, XattnError, "of one sort alone"),
        ({"trap": ["ruler"], "lists": {"train": "x"}}, UsageError, "got lists and trap"),
        (
            {"trap": ["ruler"], "data": {"ood_column": "age", "ood_values": [50]}},
            UsageError,
            "got ood_column and trap",
        ),
    ],
)
def test_what_makes_no_trap_is_refused(path, options, error, message):
    with pytest.raises(error, match=message):
        split_images(read_annotations(path), **options)
