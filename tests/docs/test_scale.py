"""Numbers of docs/scale.md are those of its tables and its simulation, or there are none."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.benchmarks.scheduler import Cluster, simulate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("scale", ROOT / "docs" / "generate" / "scale.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_tables_say(generate, monkeypatch):
    page = generate.PAGE.read_text(encoding="utf-8")
    assert {found[2] for found in generate.MARKED.finditer(page)} == set(generate.PARTS)
    # The simulation takes half a minute; the slow test repeats it.
    kept = next(found[3] for found in generate.MARKED.finditer(page) if found[2] == "scheduler")
    monkeypatch.setitem(generate.PARTS, "scheduler", lambda: kept)
    assert generate.renewed(page) == page, "run `python docs/generate/scale.py`"


@pytest.mark.slow
def test_the_simulation_gives_the_same_table(generate):
    page = generate.PAGE.read_text(encoding="utf-8")
    kept = next(found[3] for found in generate.MARKED.finditer(page) if found[2] == "scheduler")
    assert generate.scheduler() == kept


def test_without_the_measurements_the_page_has_no_number(generate, monkeypatch, tmp_path):
    for name in ("SIZES", "RATES"):
        monkeypatch.setattr(generate, name, tmp_path / "none.csv")
    assert generate.sizes() == generate.rates() == generate.plan() == generate.NOT_YET


def test_a_plan_grows_with_images_and_shrinks_with_workers(generate, monkeypatch, tmp_path):
    steps = {"decode": 0.01, "forward and map": 0.03, "write": 0.001, "explain": 0.036,
             "masks and features": 0.002, "usage battery": 0.001, "merge": 0.0005, "read": 5e4,
             "stored": 1000}  # fmt: skip
    rows = [{"step": s, "unit": "seconds", "an image": v, "of": ""} for s, v in steps.items()]
    pd.DataFrame(rows).to_csv(tmp_path / "rates.csv", index=False)
    monkeypatch.setattr(generate, "RATES", tmp_path / "rates.csv")
    lines = generate.plan().splitlines()[2:]
    assert lines[0].startswith("| 1,000,000 | 1 | 10.0 h | 3.1 h | - | 50.0 min | 1 GB | 1.4 MB/s")
    assert lines[2].startswith("| 1,000,000 | 64 | 9.4 min ")
    assert len(lines) == len(generate.IMAGES) * len(generate.WORKERS)


IDEAL = Cluster(workers=10, spread=0, stragglers=0, lifetime=float("inf"), start=0)


class TestScheduler:
    def test_workers_that_are_alike_and_never_fail_take_the_ideal_time(self):
        found = simulate(IDEAL, images=1000, shards=40)
        assert found.seconds == pytest.approx(found.ideal) == pytest.approx(1000 * 0.05 / 10)
        assert (found.failures, found.repeated, found.idle) == (0, 0, pytest.approx(0))

    def test_shards_that_do_not_come_out_even_cost_the_last_one(self):
        assert simulate(IDEAL, 1000, shards=11).seconds == pytest.approx(2 * 1000 / 11 * 0.05)

    def test_one_slow_worker_holds_all_up_less_the_smaller_the_shards(self):
        slow = replace(IDEAL, workers=50, stragglers=0.1, slower=10.0)
        times = [simulate(slow, 50_000, shards=50 * k).seconds for k in (1, 4, 16)]
        assert times == sorted(times, reverse=True)
        assert times[0] > 2 * times[-1]

    def test_a_failure_repeats_less_than_a_batch(self):
        found = simulate(replace(IDEAL, lifetime=10.0, again=0), 10_000, shards=100, batch=16)
        assert found.failures > 10
        assert 0 < found.repeated < 16 * found.failures

    def test_a_shared_disk_is_the_limit_of_all(self):
        found = simulate(replace(IDEAL, shared=50.0), 1000, shards=40)
        assert found.seconds == pytest.approx(20.0)
