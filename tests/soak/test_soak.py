"""The short form of `make soak`."""

from __future__ import annotations

import pytest

from tests import forked
from tests.cli.spoiled_commands import prepare
from tests.soak.kills import KILLED, soak


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soak")
    process = forked.start(prepare, folder / "prepared", folder=folder)
    process.join()
    assert process.exitcode == 0, forked.said(folder)
    return folder / "prepared"


@pytest.mark.slow
@pytest.mark.parametrize("command", [name for name in KILLED if name != "study"])
def test_a_command_that_is_killed_at_random_ends_with_the_same_bytes(command, prepared, tmp_path):
    # A study has a test of its own, which kills it in each of its steps.
    tally = soak(command, prepared, tmp_path, kills=3, seed=1, say=print)
    assert not tally.differences
    assert tally.kills >= 3
