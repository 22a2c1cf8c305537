"""A folder of images to explain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attribution.on_disk import noise


@pytest.fixture
def images(tmp_path) -> Path:
    for i in range(7):
        noise(tmp_path / "images" / f"img_{i}.png", (60, 40 + i), seed=i)
    return tmp_path / "images"
