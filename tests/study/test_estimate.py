import pytest

from tests.study.steps_for_tests import Chain
from xattn.study.estimate import estimate, time_forward
from xattn.study.execute import execute
from xattn.study.standing import standing_of
from xattn.study.steps import Records, Step
from xattn.training.recipe import Recipe


def guess(steps, out, **forward):
    records = Records(out)
    return estimate(steps, standing_of(steps, records), records, forward)


def network_step(name, work, disk=0.0):
    return Step(name, lambda _say, _taken: [], {}, model=name.split("/")[1], work=work, disk=disk)


def test_networks_are_reckoned_by_their_own_passes(tmp_path):
    steps = [network_step("train/small/0", 100.0, 5.0), network_step("train/large/0", 100.0, 7.0)]
    found = guess(steps, tmp_path, small=0.01, large=0.1)
    assert found.seconds == {"train": pytest.approx(11.0)}
    assert found.disk == 12.0
    assert (found.done, found.timed, found.assumed) == ((), ("train",), ())


def test_what_was_done_here_says_what_the_rest_of_its_kind_takes(tmp_path):
    steps = [network_step(f"train/small/{seed}", 100.0) for seed in range(3)]
    execute(steps[:1], tmp_path)
    records = Records(tmp_path)
    facts = records.facts(steps[0], ())
    said = type("Said", (), {"notes": [], "problems": []})
    records.end(steps[0], facts, [], 8.0, (), said)
    found = guess(steps, tmp_path, small=0.01)
    assert found.seconds == {"train": pytest.approx(16.0)}
    assert (found.done, found.timed) == (("train",), ())


def test_a_study_that_is_done_takes_nothing(tmp_path):
    chain = Chain(tmp_path)
    assert set(guess(chain.steps(), tmp_path).assumed) == {"make", "use", "gather"}
    execute(chain.steps(), tmp_path)
    found = guess(chain.steps(), tmp_path)
    assert (found.seconds, found.disk) == ({}, 0.0)


def test_the_pass_of_a_larger_image_takes_longer():
    def recipe(size):
        return Recipe.model_validate(
            {
                "model": {"architecture": "resnet18"},
                "train": {"epochs": 1, "lr": 1e-3},
                "data": {"size": size},
            }
        )

    assert 0 < time_forward(recipe((32, 32)), "cpu") < time_forward(recipe((160, 160)), "cpu")
