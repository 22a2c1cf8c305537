from __future__ import annotations

from xattn.training.progress import bar


def test_a_bar_shows_every_stage_on_stderr_of_a_terminal(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that this is a terminal
    with bar(True) as move:
        assert move is not None
        move("decode", 40, 40)
        move("train", 3, 7)
    out, err = capfd.readouterr()
    assert out == ""
    assert "decode" in err
    assert "40/40" in err
    assert "3/7" in err


def test_no_bar_where_nobody_looks_or_nobody_asked(capfd):
    for asked in (True, False):
        with bar(asked) as move:
            assert move is None
    assert capfd.readouterr() == ("", "")


def test_a_function_of_the_callers_is_given_back():
    def mine(stage: str, done: int, total: int) -> None: ...

    with bar(mine) as move:
        assert move is mine
