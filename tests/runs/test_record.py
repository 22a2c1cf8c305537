from __future__ import annotations

import platform
from pathlib import Path

import torch

import xattn
from xattn.paths import relative_to
from xattn.runs.record import versions


def test_versions_are_named_in_their_order_and_a_package_that_is_not_there_is_unknown():
    found = versions("torch", "no-such-package")
    assert list(found) == ["xattn", "python", "torch", "no-such-package"]
    assert found["xattn"] == xattn.__version__
    assert found["python"] == platform.python_version()
    assert torch.__version__.startswith(found["torch"])  # without the build: 2.7.0+cpu
    assert found["no-such-package"] == "unknown"


def test_a_file_is_named_as_seen_from_a_folder_whether_inside_or_not(tmp_path: Path):
    assert relative_to(tmp_path / "a" / "b.csv", tmp_path) == "a/b.csv"
    assert relative_to(tmp_path / "b.csv", tmp_path / "a") == "../b.csv"
