import pandas as pd
import pytest

from tests.figures.populated import complete_run
from xattn.analysis.known.findings import evidence_of
from xattn.analysis.known.rows import rows_of_network
from xattn.analysis.known.world import World
from xattn.runs.tables.verdicts import CHANGES, SAY_USED

WORLD = World(
    name="w", seed=0, half="held-back", shortcuts={"patches": 3.0},
    medicine={"streaks": 2.0}, correlates={"ruler": "patches"}, agreement=0.8, images=24,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = complete_run(tmp_path_factory.mktemp("populated"))
    over = made.table("alignment")
    made.write_table("alignment", over.assign(lift_over_chance=over["lift"] / over["chance_lift"]))
    return made


def said(table, evidence):
    rows = table[table["evidence"] == evidence]
    assert not rows["feature"].duplicated().any()
    return dict(zip(rows["feature"], rows["said"], strict=True))


def test_each_kind_of_evidence_says_used_where_its_table_does(run):
    table = evidence_of(run, 0.05)
    usage = run.table("feature_usage")
    tested = usage[usage["p_value"].notna()]
    assert said(table, "dependence") == (tested.groupby("feature")["p_adjusted"].min() < 0.05
                                         ).to_dict()  # fmt: skip
    edits = run.table("interventions")
    edits = edits[edits["p_value"].notna() & (edits["kind"] != "control")]
    assert said(table, "edit") == (edits.groupby("feature")["p_adjusted"].min() < 0.05).to_dict()
    large = edits["excess_logit"].abs() >= 0.2 * edits["score_sd"]
    sure = (edits["p_adjusted"] < 0.05) & large
    expected = sure.groupby(edits["feature"]).any().to_dict()
    assert said(table, "edit, 0.2 sd or more") == expected
    verdicts = run.table("verdicts").set_index("feature")["verdict"]
    assert said(table, "verdict: used") == verdicts.isin(SAY_USED).to_dict()
    assert said(table, "verdict: changes decisions") == (verdicts == CHANGES).to_dict()


def test_a_map_that_avoids_a_feature_is_no_sign_that_it_is_used(run):
    alignment = run.table("alignment")
    sure = alignment.assign(p_adjusted=0.001, p_value=0.001)
    for lift, expected in ((2.0, True), (0.5, False)):
        run.write_table("alignment", sure.assign(lift_over_chance=lift))
        found = said(evidence_of(run, 0.05), "map: gradcam")
        assert set(found.values()) == {expected}
    run.write_table("alignment", alignment)


def test_a_network_s_rows_hold_what_is_known_beside_what_is_said(run):
    features = ["patches", "ruler", "streaks", "age"]
    effects = pd.DataFrame({
        "feature": features, "scenes": 9, "effect": [1.0, 0.02, -0.7, 0.0], "error": 0.01,
        "size": [1.1, 0.03, 0.8, 0.0],
    })  # fmt: skip
    run.write_table("true_effects", effects)
    facts = {"network": "n", "architecture": "small", "seed": 0, "planted": True, "accuracy": 0.8}
    rows = rows_of_network(run, WORLD, alpha=0.05, **facts)
    # The pigment network has no truth here; age was not tested.
    assert set(rows["feature"]) == {"patches", "ruler", "streaks", "control-noise"}
    one = rows.drop_duplicates("feature").set_index("feature")
    assert one["role"].to_dict() == {
        "patches": "shortcut", "ruler": "correlate", "streaks": "medicine",
        "control-noise": "control",
    }  # fmt: skip
    assert one["effect"].to_dict() == {
        "patches": 1.0, "ruler": 0.02, "streaks": -0.7, "control-noise": 0.0
    }  # fmt: skip
    assert one.loc["ruler", ["goes_with", "agreement", "log_odds"]].tolist() == ["patches", 0.8, 0]
    assert one.loc["patches", "log_odds"] == 3.0
    assert rows["learned"].all()
    without = rows_of_network(run, WORLD, alpha=0.05, **{**facts, "planted": False})
    assert without.loc[without["feature"] == "patches", "log_odds"].eq(0).all()
    assert without.loc[without["feature"] == "streaks", "log_odds"].eq(2).all()
