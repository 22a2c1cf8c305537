"""Columns that are no features, by their names and by what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.analysis.annotated import plant
from xattn.analysis.feature_usage import feature_usage
from xattn.annotations import read_annotations, write_annotations
from xattn.errors import UsageError
from xattn.features.bookkeeping import bookkeeping

N = 40
LABEL = np.array(["nv", "mel"] * (N // 2))
RNG = np.random.default_rng(0)


def left_out(name: str, values: Any, kind: str = "metadata") -> str:
    table = pd.DataFrame({"label": LABEL, name: values})
    return bookkeeping(table, {name: kind}).get(name, "")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lesion_id", "ids"), ("patient", "ids"), ("StudyInstanceUID", "ids"), ("isicId", "ids"),
        ("official_split", "split"), ("fold", "split"), ("file_path", "files"), ("url", "files"),
        ("date_of_export", "dates"), ("dx_type", "how the diagnosis was made"),
        ("diagnosis_confirm_type", "how the diagnosis was made"), ("Unnamed: 0", "rows"),
        ("index", "rows"), ("copyright_license", "rights"),
    ],
)  # fmt: skip
def test_the_names_that_data_sets_give_their_books_are_known(name: str, why: str) -> None:
    assert why in left_out(name, RNG.choice(["a", "b"], N))


@pytest.mark.parametrize("name", ["年龄", "возраст", "größe", "âge y", "ÿ"])
def test_names_in_any_script_are_names(name: str) -> None:
    assert left_out(name, RNG.choice(["a", "b"], N)) == ""


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"x{i}" for i in range(N)], "one value an image"),
        (np.arange(N) + 7.0, "numbers of rows"),
        (["v"] * N, "the same in every image"),
        (np.where(LABEL == "mel", 1.0, 0.0), "the label in other words"),
        (np.where(LABEL == "mel", "malignant", "benign"), "the label in other words"),
    ],
)
def test_what_is_in_a_column_can_show_it(values: Any, why: str) -> None:
    assert left_out("column", values) == why
    assert left_out("column", values, kind="artifact") == ""


def test_a_finer_diagnosis_is_the_label_and_a_site_of_one_class_is_not() -> None:
    finer = np.where(LABEL == "mel", "mel", np.resize(["nv", "nv", "bkl", "bkl"], N))
    assert left_out("dx2019", finer) == "the label in finer words"
    assert left_out("hospital", finer) == ""


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", RNG.integers(20, 90, N).astype(float)),
        ("sex", RNG.choice(["f", "m"], N)),
        ("diameter", RNG.random(N)),
        ("dataset", RNG.choice(["vidir", "rosendahl"], N)),
        ("dating", RNG.choice(["a", "b"], N)),
        ("profile", RNG.choice(["a", "b"], N)),
        ("width", np.resize([1.0, 2.0, 3.0], N)),
        ("center", RNG.choice(["0", "1"], N)),
    ],
)
def test_what_images_may_show_is_kept(name: str, values: Any) -> None:
    assert left_out(name, values) == ""


@pytest.fixture
def planted(tmp_path: Any) -> Any:
    made = plant(tmp_path, 40)
    known = read_annotations(made.annotations)
    images = [
        type(i)(**{**vars(i), "values": {**i.values, "dx_type": "ab"[k % 2]}})
        for k, i in enumerate(known.images)
    ]
    features = {**known.features, "dx_type": "metadata"}
    write_annotations(made.annotations, images, labels=known.labels, features=features)
    return made


def test_what_is_left_out_is_named_recorded_and_can_be_kept(planted: Any) -> None:
    quick: dict[str, Any] = {"permutations": 99, "bootstrap": 99, "interventions": 0}
    notes: list[str] = []
    tables = feature_usage(
        planted.run,
        planted.annotations,
        exclude=["ruler", "diameter"],
        on_note=notes.append,
        **quick,
    )
    for name in ("feature_usage", "bias", "verdicts"):
        assert not {"dx_type", "ruler", "diameter"} & set(tables[name]["feature"])
    (line,) = [n for n in notes if "Left out" in n]
    assert "ruler, diameter (excluded); dx_type (how the diagnosis was made)" in line
    kept = feature_usage(planted.run, planted.annotations, exclude=["none"], **quick)
    assert {"dx_type", "ruler"} <= set(kept["feature_usage"]["feature"])
    with pytest.raises(UsageError, match="did you mean 'ruler'"):
        feature_usage(planted.run, planted.annotations, exclude=["rulr"], **quick)


def test_a_masked_feature_can_be_excluded(planted: Any) -> None:
    tables = feature_usage(
        planted.run, planted.annotations, exclude=["network"], permutations=99, bootstrap=99,
        interventions=0,
    )  # fmt: skip
    assert set(tables["alignment"]["feature"]) == {"dots", "lesion"}
