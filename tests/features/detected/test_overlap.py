"""What detectors say of their masks is what was measured of them."""

import re
from pathlib import Path

import pytest

from xattn.features.detected import DETECTORS

PAGE = Path(__file__).parents[3] / "docs" / "features.md"
BUILT_IN = ("dark_corner", "gel_bubble", "hair", "patches", "ink", "ruler")


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_overlap_of_a_detectors_masks_is_the_one_measured(name):
    row, *_ = re.findall(rf"^\| `{name}` \| .* of 1297 .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    measured = row.split("|")[5].strip().split(" ")[0]
    assert DETECTORS[name].overlap == (None if measured == "-" else float(measured))
