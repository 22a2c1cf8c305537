import json

import numpy as np
import pandas as pd
import pytest

from xattn.analysis.groups.cohorts import age_bands, cohorts, is_age, tone_bands
from xattn.features.feature_set import FeatureSet
from xattn.stats.columns import as_column


def names(column):
    return [None if np.isnan(v) else column.categories[int(v)] for v in column.values]


def test_ages_fall_into_the_band_that_begins_with_them():
    found = age_bands(as_column([0, 29.9, 30, 49, 50, 69, 70, 104, np.nan], "age"))
    assert found.feature == "age_band"
    assert names(found) == [
        "0-29", "0-29", "30-49", "30-49", "50-69", "50-69", "70+", "70+", None,
    ]  # fmt: skip


def test_angles_of_skin_fall_into_their_bands():
    found = tone_bands(as_column([60.0, 0.0, np.nan, -40.0], "skin_tone", "computed"))
    assert names(found) == ["very light", "brown", None, "dark"]
    assert (found.feature, found.kind) == ("skin_tone_band", "computed")


@pytest.mark.parametrize(("name", "is_one"), [("age", 1), ("age_approx", 1), ("image", 0)])
def test_ages_are_known_by_their_name(name, is_one):
    assert is_age(name) == bool(is_one)


def test_artifacts_come_first_then_what_can_be_compared_of_the_patients(tmp_path):
    n = 24
    table = pd.DataFrame({
        "age": np.arange(n) * 4.0, "sex": ["female", "male"] * 12, "smoker": [0.0, 1.0] * 12,
        "patient": [f"p{i}" for i in range(n)], "diameter": np.arange(n) / 7,
        "ruler": [0.0, 1.0] * 12, "lesion": 1.0, "network": 1.0, "skin_tone": np.arange(n) * 1.0,
    })  # fmt: skip
    table.to_parquet(tmp_path / "features.parquet")
    kinds = dict.fromkeys(table.columns, "metadata") | {
        "ruler": "artifact", "lesion": "structure", "network": "structure",
        "diameter": "computed", "skin_tone": "computed",
    }  # fmt: skip
    (tmp_path / "features.json").write_text(json.dumps({"kinds": kinds}))
    found = cohorts(FeatureSet(tmp_path))
    # No numbers without bands, no names that are identifiers, no structures.
    assert [c.feature for c in found] == ["ruler", "age_band", "sex", "smoker", "skin_tone_band"]
