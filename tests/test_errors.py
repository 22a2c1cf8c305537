"""Errors a user can act on."""

from __future__ import annotations

import pytest

from xattn import errors
from xattn.errors import UsageError, XattnError, near

KINDS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_one_of_ours_with_an_exit_code_and_a_meaning(kind):
    assert issubclass(kind, XattnError)
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)
    assert kind.__doc__


def test_words_longer_than_any_path_are_shortened_and_paths_are_not():
    path = "/data/" + "folder/" * 50 + "image.png"
    told = str(XattnError(f"Expected a name in {path}, but got {'x' * 10**6}; rename it"))
    assert path in told
    assert len(told) < len(path) + 300
    assert "(1,000,001 characters)" in told  # the semicolon too
    assert told.endswith("; rename it")


class TestNear:
    def test_suggests_close_names_the_closest_first(self):
        known = ["gradcam", "gradcam++", "attention"]
        assert near("gradcm", known) == "; did you mean 'gradcam' or 'gradcam++'?"

    def test_lists_the_known_names_if_none_is_close(self):
        assert near("zzz", ["b", "a"]) == "; known: a, b"

    def test_lists_twenty_at_most(self):
        listed = near("zzz", [f"n{i:03}" for i in range(50)])
        assert listed.endswith("n019, ...")

    def test_takes_any_iterable(self):
        assert near("aa", (name for name in ("aab", "x"))) == "; did you mean 'aab'?"

    def test_of_nothing_is_no_promise(self):
        assert near("a", []) == "; known: "
