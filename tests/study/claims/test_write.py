"""Claims are written beside what they rest on, into a folder that is not there yet."""

from __future__ import annotations

import pandas as pd
import pytest

from xattn.runs.atomic import read_record
from xattn.runs.tables.claims import CLAIMS
from xattn.study.claims.settings import Claim
from xattn.study.claims.write import as_markdown, write_claims


def test_a_study_without_networks_leaves_every_claim_open(tmp_path):
    claims = [Claim(claim="Rulers are used", source="A | B 2024", features=("ruler",))]
    written = write_claims(claims, [], None, tmp_path / "new" / "claims")
    assert {path.name for path in written} == {"claims.csv", "claims.md", "claims.json"}
    table = pd.read_csv(tmp_path / "new" / "claims" / "claims.csv")
    assert list(table["found"]) == ["cannot be told"]
    assert read_record(tmp_path / "new" / "claims" / "claims.json")["networks"] == 0


@pytest.mark.parametrize("said", ["Rulers are used", "a | b"])
def test_the_page_has_as_many_cells_in_every_row(said):
    row = dict.fromkeys(CLAIMS.promised, float("nan"))
    row |= {"claim": said, "source": "x", "about": "all", "found": "agrees", "measure": "", "n": 0}
    lines = as_markdown(pd.DataFrame([row])).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {8}
