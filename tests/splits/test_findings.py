"""Images of which several findings may be true: chosen, split, and described."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xattn.annotations.records import AnnotatedImage, Annotations
from xattn.errors import XattnError
from xattn.splits.assign import choose_samples
from xattn.splits.balance import compare_splits
from xattn.splits.data_table import DataTable
from xattn.splits.findings import chosen_findings, describe_findings, rarest
from xattn.splits.make import split_images
from xattn.splits.samples import (
    SPLITS,
    Sample,
    answers_of,
    count_labels,
    exclude_each_other,
    select_samples,
)
from xattn.splits.splits import check_splits, count_splits, make_splits

NAMES = ("effusion", "mass", "hernia")


def notes(*images: AnnotatedImage, labels=NAMES) -> Annotations:
    return Annotations(Path("a.json"), labels, {}, images)


def image(i: int, *findings: str, unknown=(), group=None) -> AnnotatedImage:
    return AnnotatedImage(f"i{i}", Path(f"i{i}.png"), group=group, findings=findings,
                          unknown=tuple(unknown))  # fmt: skip


def many(n: int, seed: int = 0, patients: int | None = None) -> list[Sample]:
    """Samples of which effusion is frequent, mass rarer and hernia rare."""
    rng = np.random.default_rng(seed)
    shown = rng.random((n, 3)) < [0.4, 0.15, 0.03]
    unknown = rng.random((n, 3)) < 0.1
    found = np.where(unknown, -1, shown).astype(int)
    group = [None if patients is None else f"p{rng.integers(patients)}" for _ in range(n)]
    return [
        Sample(f"i{i}", Path(f"i{i}.png"), -1, group[i], findings=tuple(map(int, row)))
        for i, row in enumerate(found)
    ]


def hashes(samples):
    return {s.id: s.id for s in samples}


def test_lists_become_one_answer_a_label_and_what_is_not_known_stays_so():
    samples, left_out = select_samples(
        notes(image(0, "mass"), image(1, unknown=["mass", "hernia"]), image(2, unknown=NAMES))
    )
    assert [s.findings for s in samples] == [(0, 1, 0), (0, -1, -1)]
    assert not exclude_each_other(samples)
    assert [one.stage for one in left_out] == ["label"]


def test_the_one_label_of_an_image_among_lists_is_the_one_finding_it_shows():
    one = AnnotatedImage("one", Path("one.png"), label="mass")
    samples, _ = select_samples(notes(one, image(0, "effusion", "mass")))
    assert [s.findings for s in samples] == [(0, 1, 0), (1, 1, 0)]
    assert count_labels(samples, NAMES) == {"effusion": 1, "mass": 2, "hernia": 0}


def test_labels_of_one_class_stay_class_indices():
    labelled = [AnnotatedImage(f"{i}", Path(f"{i}.png"), label=NAMES[i]) for i in range(3)]
    samples, _ = select_samples(notes(*labelled))
    assert [(s.label, s.findings) for s in samples] == [(0, ()), (1, ()), (2, ())]


def test_a_label_that_is_the_same_in_all_images_is_no_output_and_that_is_said():
    given = notes(image(0, "effusion"), image(1, "mass"), image(2))
    kept, said = chosen_findings(given, DataTable())
    assert kept.labels == ("effusion", "mass")
    assert len(said) == 1
    assert "No output of hernia" in said[0]


def test_a_recipe_chooses_among_the_findings():
    given = notes(image(0, "effusion"), image(1, "mass"), image(2, "hernia"))
    kept, said = chosen_findings(given, DataTable(findings=("mass", "effusion")))
    assert kept.labels == ("mass", "effusion")
    assert not said
    samples, _ = choose_samples(kept, None, DataTable())
    assert [s.findings for s in samples] == [(0, 1), (1, 0), (0, 0)]


UNKNOWN = AnnotatedImage("0", Path("0.png"), findings=(), unknown=("effusion", "mass", "hernia"))


@pytest.mark.parametrize(
    ("wanted", "images", "says"),
    [
        (("efusion",), [image(0, "effusion"), image(1)], "did you mean 'effusion'"),
        (("hernia",), [image(0, "effusion"), image(1)], "all alike in hernia"),
        ((), [image(0), image(1)], "all alike in effusion, mass, hernia"),
        (("mass",), [AnnotatedImage("a", Path("a.png"), label="mass")], "one class each"),
        ((), [UNKNOWN, replace(UNKNOWN, id="1")], "it is known of none"),
    ],
)
def test_findings_of_which_nothing_can_be_learnt_are_refused(wanted, images, says):
    with pytest.raises(XattnError, match=says):
        chosen_findings(notes(*images), DataTable(findings=wanted))


@pytest.mark.parametrize("seed", range(4))
def test_splits_keep_groups_whole_and_every_finding_in_proportion(seed):
    samples = many(600, seed, patients=350)
    splits = make_splits(samples, hashes(samples), val=0.2, test=0.2, seed=seed)
    check_splits(samples, splits, hashes(samples), NAMES)
    counts = count_splits(samples, splits, NAMES)
    for name in NAMES:
        total = sum(counts[split][name] for split in SPLITS)
        for split in ("val", "test"):
            assert abs(counts[split][name] - 0.2 * total) <= max(2, 0.03 * total), (name, split)
    of_group = {}
    for s in samples:
        assert of_group.setdefault(s.group, splits[s.id]) == splits[s.id]


def test_a_finding_of_three_images_is_in_every_split():
    samples = many(200)
    samples = [replace(s, findings=(*s.findings[:2], int(i in (5, 60, 140))))
               for i, s in enumerate(samples)]  # fmt: skip
    splits = make_splits(samples, hashes(samples), val=0.15, test=0.15, seed=0)
    assert {splits[f"i{i}"] for i in (5, 60, 140)} == {"train", "val", "test"}


def test_a_unit_belongs_to_the_rarest_of_what_it_shows():
    shown = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 2.0], [1, 0, 0, 1]])
    assert rarest(shown).tolist() == [2, 1, 0, 3, 3]


def test_what_is_not_known_or_not_scored_is_said():
    samples = many(60)
    splits = dict.fromkeys((s.id for s in samples), "train")
    splits |= {s.id: "val" for s in samples[:10]}
    samples = [replace(s, findings=(*s.findings[:2], 0)) if i < 10 else s
               for i, s in enumerate(samples)]  # fmt: skip
    unknown = int((answers_of(samples)[:, 0] == -1).sum())
    said = describe_findings(samples, splits, NAMES)
    assert f"effusion ({unknown})" in said[0]
    assert said[1].startswith("All alike in val, and not scored there: ")
    assert said[1].endswith("hernia")
    assert not describe_findings([Sample("a", Path("a"), 0)], {"a": "train"}, NAMES)


def test_the_composition_of_splits_is_compared_finding_by_finding():
    samples = many(300)
    splits = make_splits(samples, hashes(samples), val=0.2, test=0.2, seed=0)
    balance = compare_splits(samples, splits, hashes(samples), NAMES, {})
    assert [c.name for c in balance.columns] == [f"label {name}" for name in NAMES]
    assert not balance.unlike


def test_a_trap_needs_one_class_per_image():
    given = notes(*(image(i, *(["mass"] if i % 2 else [])) for i in range(8)))
    with pytest.raises(XattnError, match="one class per image for a trap"):
        split_images(given, trap=["ruler"])
