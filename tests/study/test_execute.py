import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.steps_for_tests import Chain
from xattn.errors import UsageError
from xattn.images.walk import Walk
from xattn.runs.locks import take
from xattn.study.execute import execute
from xattn.study.outcome import BLOCKED, ELSEWHERE, FAILED
from xattn.study.standing import AGAIN, DONE, LATER, NEW, UNFINISHED, standing_of
from xattn.study.steps import Records

ALL = ["make/a", "use/a", "make/b", "use/b", "gather"]


def states(chain):
    found = standing_of(chain.steps(), Records(chain.out))
    return {name: one.state for name, one in found.items()}


def run(chain, **more):
    outcomes = execute(chain.steps(), chain.out, **more)
    return {name: one.state for name, one in outcomes.items()}


def test_steps_are_done_in_order_and_once(tmp_path):
    chain = Chain(tmp_path)
    assert set(states(chain).values()) == {NEW}
    assert set(run(chain).values()) == {DONE}
    assert chain.ran == ALL
    again = Chain(tmp_path)
    assert set(run(again).values()) == {DONE}
    assert again.ran == []


def test_what_a_finished_step_said_is_said_again_by_a_call_that_passes_it_over(tmp_path):
    first = execute(Chain(tmp_path).steps(), tmp_path)
    second = execute(Chain(tmp_path).steps(), tmp_path)
    assert first["use/a"].notes == second["use/a"].notes == ("use/a takes 1",)


def test_a_step_that_fails_stops_only_what_needs_it(tmp_path):
    chain = Chain(tmp_path, broken=("a",))
    outcomes = execute(chain.steps(), tmp_path)
    assert {name: one.state for name, one in outcomes.items()} == {
        "make/a": FAILED, "use/a": BLOCKED, "make/b": DONE, "use/b": DONE, "gather": DONE,
    }  # fmt: skip
    assert "ValueError: broken" in outcomes["make/a"].remark
    assert outcomes["use/a"].remark == "needs make/a"
    assert outcomes["gather"].remark.endswith("without use/a")
    assert "['use/b']" in (tmp_path / "gather" / "result.csv").read_text()
    trace = tmp_path / "steps" / "make--a.error.txt"
    assert "Traceback" in trace.read_text()

    mended = Chain(tmp_path)
    assert set(run(mended).values()) == {DONE}
    assert mended.ran == ["make/a", "use/a", "gather"]
    assert not trace.exists()


def test_nothing_is_gathered_of_nothing(tmp_path):
    assert run(Chain(tmp_path, broken=("a", "b")))["gather"] == BLOCKED


def test_a_step_that_failed_is_done_with_other_settings_without_asking(tmp_path):
    run(Chain(tmp_path, broken=("a",)))
    assert set(run(Chain(tmp_path, settings={"a": 1})).values()) == {DONE}


def test_other_settings_are_refused_unless_steps_may_be_done_again(tmp_path):
    run(Chain(tmp_path))
    changed = Chain(tmp_path, settings={"b": 1})
    assert states(changed) == {
        "make/a": DONE, "use/a": DONE, "make/b": AGAIN, "use/b": AGAIN, "gather": AGAIN,
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"make/b \(value 0, now 1\): 2 steps would .* --redo"):
        run(changed)
    assert changed.ran == []
    assert "0" in (tmp_path / "make-b" / "result.csv").read_text()
    assert set(run(changed, redo=True).values()) == {DONE}
    assert changed.ran == ["make/b", "use/b", "gather"]
    assert "1" in (tmp_path / "make-b" / "result.csv").read_text()


def test_another_model_is_added_without_asking_though_what_gathers_all_is_done_again(tmp_path):
    run(Chain(tmp_path, ("a",)))
    more = Chain(tmp_path)
    assert set(run(more).values()) == {DONE}
    assert more.ran == ["make/b", "use/b", "gather"]


@pytest.mark.parametrize("damage", ["changed", "deleted"])
def test_files_that_are_not_as_a_step_left_them_are_noticed(tmp_path, damage):
    run(Chain(tmp_path))
    path = tmp_path / "make-a" / "result.csv"
    path.write_text("mine\n") if damage == "changed" else path.unlink()
    with pytest.raises(UsageError, match=r"make-a/result\.csv not as it was written"):
        run(Chain(tmp_path))
    again = Chain(tmp_path)
    run(again, redo=True)
    # What comes out is the same, so that what needs it is still right.
    assert again.ran == ["make/a"]


def test_inputs_are_known_by_their_content_and_not_by_their_time(tmp_path):
    source = tmp_path / "images.bin"
    source.write_bytes(b"one")
    out = tmp_path / "out"
    run(Chain(out, source=source))
    os.utime(source, (time.time() + 90, time.time() + 90))
    assert set(states(Chain(out, source=source)).values()) == {DONE}
    source.write_bytes(b"two")
    with pytest.raises(UsageError, match=r"make/a \(other source\)"):
        run(Chain(out, source=source))


def test_a_folder_that_the_study_did_not_make_is_left_alone(tmp_path):
    mine = tmp_path / "make-a" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    outcomes = execute(Chain(tmp_path).steps(), tmp_path)
    assert outcomes["make/a"].state == FAILED
    assert "no record; move it, or name another folder with --out" in outcomes["make/a"].remark
    assert mine.read_text() == "years of work"
    assert outcomes["use/b"].state == DONE


def test_a_step_that_was_stopped_is_done_anew_and_the_others_are_kept(tmp_path):
    chain = Chain(tmp_path)
    steps = chain.steps()

    def stopped(*_given):
        raise KeyboardInterrupt

    cut = [one if one.name != "make/b" else replace(one, run=stopped) for one in steps]
    with pytest.raises(KeyboardInterrupt):
        execute(cut, tmp_path)
    assert states(chain)["make/b"] == UNFINISHED
    (tmp_path / "make-b").mkdir()
    (tmp_path / "make-b" / "half.csv").write_text("half")
    rest = Chain(tmp_path)
    assert set(run(rest).values()) == {DONE}
    assert rest.ran == ["make/b", "use/b", "gather"]
    assert not (tmp_path / "make-b" / "half.csv").exists()


def test_a_step_that_another_process_is_at_is_left_to_it(tmp_path, monkeypatch):
    chain, told = Chain(tmp_path), []
    records = Records(tmp_path)
    records.folder.mkdir(parents=True)
    release = take(records.path("make/a", ".lock"), "xattn study: make/a")
    monkeypatch.setattr("xattn.study.execute.time.sleep", lambda _seconds: release())
    outcomes = execute(
        chain.steps(), tmp_path, on_step=lambda step, one: told.append((step.name, one.state))
    )
    assert {one.state for one in outcomes.values()} == {DONE}
    assert told.index(("make/a", ELSEWHERE)) < told.index(("use/b", DONE))
    assert chain.ran == ["make/b", "use/b", "make/a", "use/a", "gather"]


def test_records_name_the_files_of_a_step_with_their_hashes_relative_to_the_study(tmp_path):
    run(Chain(tmp_path))
    record = Records(tmp_path).read("make/a")
    assert list(record["files"]) == ["make-a/result.csv"]
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    try:
        assert set(states(Chain(Path(moved))).values()) == {DONE}
    finally:
        moved.rename(tmp_path)


def test_any_file_in_the_folder_of_a_step_is_watched_but_for_locks_and_what_others_add(tmp_path):
    chain = Chain(tmp_path, extra=("deep/map.bin", "run.lock", "errors.csv"))
    run(chain)
    record = Records(tmp_path).read("make/a")
    assert list(record["files"]) == ["make-a/deep/map.bin", "make-a/result.csv"]
    (tmp_path / "make-a" / "errors.csv").write_text("added")
    assert states(chain)["make/a"] == DONE
    (tmp_path / "make-a" / "deep" / "map.bin").write_text("changed")
    assert states(chain)["make/a"] == AGAIN


def test_a_step_is_kept_while_what_it_needs_is_mended_and_comes_out_the_same(tmp_path):
    run(Chain(tmp_path, ("a",)))
    record = Records(tmp_path)
    facts = record.read("make/a")["facts"]
    record.fail("make/a", facts)  # as if it had been done again, and failed
    chain = Chain(tmp_path, ("a",))
    assert states(chain) == {"make/a": UNFINISHED, "use/a": LATER, "gather": LATER}
    assert set(run(chain).values()) == {DONE}
    assert chain.ran == ["make/a"]


def test_what_comes_out_another_way_than_before_is_not_lost_without_leave(tmp_path):
    run(Chain(tmp_path, ("a",)))
    record = Records(tmp_path)
    record.fail("make/a", record.read("make/a")["facts"])
    chain = Chain(tmp_path, ("a",), settings={"a": 1})
    outcomes = execute(chain.steps(), tmp_path)
    assert outcomes["use/a"].state == FAILED
    assert "another result of make/a" in outcomes["use/a"].remark
    assert "--redo does it again" in outcomes["use/a"].remark
    assert (tmp_path / "use-a" / "result.csv").exists()


def test_inputs_that_are_gone_stop_a_step_before_what_it_wrote_is_lost(tmp_path):
    source = tmp_path / "images.bin"
    source.write_bytes(b"one")
    out = tmp_path / "out"
    run(Chain(out, source=source))
    source.rename(tmp_path / "elsewhere")
    chain = Chain(out, source=source)
    found = standing_of(chain.steps(), Records(out))
    assert found["make/a"].state == UNFINISHED
    assert "images.bin" in found["make/a"].why
    outcomes = execute(chain.steps(), out, redo=True)
    assert outcomes["make/a"].state == FAILED
    assert (out / "make-a" / "result.csv").exists()
    (tmp_path / "elsewhere").rename(source)
    back = Chain(out, source=source)
    assert set(run(back).values()) == {DONE}
    assert back.ran == []


def test_what_leads_elsewhere_is_made_anew_and_nothing_after_it(tmp_path):
    run(Chain(tmp_path, ("a",), stands=True))
    chain = Chain(tmp_path, ("a",), stands=False)
    assert states(chain) == {"make/a": UNFINISHED, "use/a": LATER, "gather": LATER}
    assert set(run(chain).values()) == {DONE}
    assert chain.ran == ["make/a"]


def test_a_step_waits_for_all_that_it_lacks(tmp_path):
    steps = Chain(tmp_path, broken=("a",)).steps()
    steps[-1] = replace(steps[-1], lacking=lambda done: ["use/a"] if "use/a" not in done else [])
    outcomes = execute(steps, tmp_path)
    assert outcomes["gather"].state == BLOCKED
    assert outcomes["gather"].remark == "needs use/a"


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="a folder for the study, but got the file"):
        execute(Chain(tmp_path / "out").steps(), tmp_path / "out")


def test_figures_of_a_study_are_nobodys_inputs(tmp_path):
    run(Chain(tmp_path / "study"))
    (tmp_path / "study" / "figure.png").write_bytes(b"x")
    (tmp_path / "mine.png").write_bytes(b"x")
    assert [name for _, name in Walk(tmp_path)] == ["mine.png"]
