"""A study whose steps are spread over a Ray cluster is the study of one process."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.workshop import SMALL_STUDY
from tests.study.steps_for_tests import Chain
from xattn.cli import main
from xattn.cluster import connect, workers
from xattn.errors import UsageError
from xattn.runs.locks import take
from xattn.settings.cluster import RaySettings
from xattn.study.execute import execute, run_study
from xattn.study.outcome import BLOCKED, ELSEWHERE, FAILED, RUNNING
from xattn.study.standing import DONE
from xattn.study.steps import Records, Step

ROOT = Path(__file__).parents[2]
HOW = RaySettings(engine="ray", workers=2)


def spread(steps: list[Step], out: Path, **more):
    return execute(steps, out, engine=HOW, device="cpu", **more)


def states(outcomes):
    return {name: one.state for name, one in outcomes.items()}


def results(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): path.read_text() for path in sorted(out.rglob("*.csv"))
    }


def changed(steps: list[Step], name: str, run: Callable) -> list[Step]:
    return [replace(one, run=run) if one.name == name else one for one in steps]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own sockets
class TestOnACluster:
    def test_each_step_is_done_once_as_by_one_process_and_by_no_second_call(
        self, cluster, tmp_path
    ):
        told = []
        names = ("a", "b", "c")
        alone = execute(Chain(tmp_path / "alone", names).steps(), tmp_path / "alone")
        found = spread(
            Chain(tmp_path / "ray", names).steps(), tmp_path / "ray",
            on_step=lambda step, one: told.append((step.name, one.state)),
        )  # fmt: skip
        assert states(found) == states(alone)
        assert {name: one.notes for name, one in found.items()} == {
            name: one.notes for name, one in alone.items()
        }
        assert results(tmp_path / "ray") == results(tmp_path / "alone")
        assert sorted(one for one in told if one[1] == DONE) == sorted(
            (name, DONE) for name in found
        )
        again = spread(Chain(tmp_path / "ray", names).steps(), tmp_path / "ray")
        assert {one.remark for one in again.values()} == {"was done"}

    def test_a_step_that_fails_is_tried_once_and_stops_only_what_needs_it(self, cluster, tmp_path):
        told = []
        found = spread(
            Chain(tmp_path, broken=("a",)).steps(), tmp_path,
            on_step=lambda step, one: told.append((step.name, one.state)),
        )  # fmt: skip
        assert states(found) == {
            "make/a": FAILED, "use/a": BLOCKED, "make/b": DONE, "use/b": DONE, "gather": DONE,
        }  # fmt: skip
        assert "ValueError: broken" in found["make/a"].remark
        assert told.count(("make/a", FAILED)) == 1

    def test_a_step_whose_worker_is_lost_in_the_middle_is_taken_up_by_another(
        self, cluster, tmp_path
    ):
        chain, mark = Chain(tmp_path / "ray"), tmp_path / "died"
        steps = chain.steps()
        make = next(one.run for one in steps if one.name == "make/b")

        def dies(say, taken):
            if not mark.exists():
                mark.touch()
                os._exit(1)
            return make(say, taken)

        found = spread(changed(steps, "make/b", dies), tmp_path / "ray")
        assert mark.exists()
        assert set(states(found).values()) == {DONE}
        execute(Chain(tmp_path / "alone").steps(), tmp_path / "alone")
        assert results(tmp_path / "ray") == results(tmp_path / "alone")

    def test_a_step_that_kills_every_worker_fails_and_the_others_are_done(
        self, cluster, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(workers, "TRIES", 1)
        steps = changed(Chain(tmp_path).steps(), "make/a", lambda _say, _taken: os._exit(1))
        found = spread(steps, tmp_path)
        assert found["make/a"].remark.startswith("its worker died 2 times")
        assert states(found) == {
            "make/a": FAILED, "use/a": BLOCKED, "make/b": DONE, "use/b": DONE, "gather": DONE,
        }  # fmt: skip

    def test_a_call_that_is_stopped_leaves_no_worker_at_its_step(self, cluster, tmp_path):
        def long(say, _taken):
            for i in range(600):
                say.progress(i, 600)
                time.sleep(0.1)

        def stop(_step, _done, _total):
            raise KeyboardInterrupt

        steps = changed(Chain(tmp_path).steps(), "make/a", long)
        with pytest.raises(KeyboardInterrupt):
            spread(steps, tmp_path, progress=stop)
        began, lock = time.monotonic(), Records(tmp_path).path("make/a", ".lock")
        while lock.exists():
            try:
                take(lock)()
            except Exception:
                assert time.monotonic() - began < 5
                time.sleep(0.1)
        found = spread(Chain(tmp_path).steps(), tmp_path)
        assert set(states(found).values()) == {DONE}

    def test_a_step_that_a_process_elsewhere_is_at_is_left_to_it(self, cluster, tmp_path):
        told, records = [], Records(tmp_path)
        records.folder.mkdir(parents=True)
        release = take(records.path("make/a", ".lock"), "xattn study: make/a")

        def seen(step, one):
            told.append((step.name, one.state))
            if (step.name, one.state) == ("use/b", DONE):
                release()

        found = spread(Chain(tmp_path).steps(), tmp_path, on_step=seen)
        assert set(states(found).values()) == {DONE}
        assert told.count(("make/a", ELSEWHERE)) == 1
        assert told.index(("make/a", ELSEWHERE)) < told.index(("make/a", DONE))
        assert RUNNING in {state for _name, state in told}

    def test_a_study_whose_worker_is_killed_in_a_training_has_the_tables_of_one_process(
        self, cluster, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.chdir(tmp_path)
        text = SMALL_STUDY.replace("resnet18.toml", (ROOT / "models" / "resnet18.toml").as_posix())
        recipe = tmp_path / "mine.toml"
        recipe.write_text(text.replace("[models]", "[models]\nseeds = 2"))
        killed = []

        def kill(step, one):
            if one.state == RUNNING and step.name == "train/resnet18/1" and not killed:
                lock = Records(Path("ray")).path(step.name, ".lock")
                killed.append(json.loads(lock.read_text())["pid"])
                os.kill(killed[0], signal.SIGKILL)

        assert set(states(run_study(recipe, "alone")).values()) == {DONE}
        found = run_study(recipe, "ray", engine=HOW, on_step=kill)
        assert set(states(found).values()) == {DONE}
        assert killed
        assert tables(Path("ray")) == tables(Path("alone"))
        words = ["study", str(recipe), "--out", "ray", "--engine", "ray", "--ray-workers", "2"]
        assert main(words) == 0
        assert "train/resnet18/1: done, was done" in capsys.readouterr().err


def tables(out: Path) -> dict[Path, bytes]:
    """Return every table of a study, by its place in it."""
    return {
        path.relative_to(out): path.read_bytes()
        for path in sorted(out.rglob("*.csv"))
        if path.name != "metrics.csv"  # seconds of epochs
    }


def test_without_ray_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(connect, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'xattn\[ray\]'"):
        spread(Chain(tmp_path / "study").steps(), tmp_path / "study")
    assert not (tmp_path / "study").exists()
