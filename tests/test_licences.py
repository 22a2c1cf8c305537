"""The page of licences names every package, and first those that a person should look at."""

from __future__ import annotations

from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from tools.licences import installed, page


@pytest.fixture
def packages(tmp_path: Path) -> list[Distribution]:
    """Packages that declare their licences in all the ways there are."""
    declared = {
        "zed": "Classifier: License :: OSI Approved :: MIT License",
        "lrp": "License: LGPLv3 | later",
        "Both": "License-Expression: MIT OR Apache-2.0",
        "text": "License: BSD\n        \n        Copyright (c) somebody",
        "silent": "Classifier: License :: OSI Approved",
    }
    found = []
    for name, line in declared.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: 1\n{line}\n"
        )
        found.append(PathDistribution(folder))
    return found


def test_every_package_has_a_line_in_the_order_of_names(packages):
    lines = page(installed(packages)).splitlines()
    assert [line for line in lines if line.startswith("| ")][1:] == [
        "| Both | 1 | MIT OR Apache-2.0 |",
        "| lrp | 1 | LGPLv3 \\| later |",
        "| silent | 1 | nothing declared |",
        "| text | 1 | BSD |",
        "| zed | 1 | MIT License |",
    ]


def test_what_is_silent_and_what_is_copyleft_stands_first(packages):
    text = page(installed(packages))
    assert "- Declare nothing: silent.\n- Copyleft: lrp.\n" in text
    assert text.index("Copyleft") < text.index("| Both")


@pytest.mark.parametrize(
    ("licence", "copyleft"),
    [("GPL-3.0-only", True), ("LGPL-2.1", True), ("AGPL", True), ("MPL-2.0", True),
     ("Mozilla Public License 2.0 (MPL 2.0)", True), ("GNU Lesser General Public License", True),
     ("MIT", False), ("Apache-2.0", False), ("HPND", False), ("BSD-3-Clause", False)],
)  # fmt: skip
def test_copyleft_is_told_by_its_names(licence, copyleft, tmp_path):
    folder = tmp_path / "a-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: a\nVersion: 1\nLicense: {licence}\n")
    (package,) = installed([PathDistribution(folder)])
    assert package.copyleft == copyleft


def test_what_is_installed_here_is_read():
    known = {one.name: one for one in installed()}
    assert {"torch", "timm", "numpy", "pandas"} <= set(known)
    assert "BSD" in known["torch"].licence
