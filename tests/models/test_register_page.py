"""Cells are drawn where a patch that moves over the image moves them."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.models.patches import NETWORKS, SIZES
from tests.models.register_page import PAGE, TABLE, markdown, row


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_cell_is_drawn_where_a_moving_patch_finds_it(name, size):
    assert row(name, size)["off"] <= NETWORKS[name][1]


def test_the_page_shows_what_was_measured_of_every_network_at_every_size():
    table = pd.read_csv(TABLE)
    shown = set(zip(table["network"], table["height"], table["width"], strict=True))
    assert shown == {(name, *size) for name in NETWORKS for size in SIZES}
    assert all(table["off"] <= table["network"].map(lambda n: NETWORKS[n][1]))
    assert markdown(table) in PAGE.read_text()
