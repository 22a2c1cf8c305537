from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from xattn.runs.locks import held, try_hold


def test_a_lock_has_one_holder_and_is_free_after_the_block(tmp_path: Path):
    path = tmp_path / "new" / "lock"
    with try_hold(path) as hold:
        assert hold is not None
        assert try_hold(path) is None
    with held(path):
        assert try_hold(path) is None
    with try_hold(path) as again:
        assert again is not None


def test_a_killed_process_holds_nothing(tmp_path: Path):
    code = (
        "import sys, time; from pathlib import Path; from xattn.runs.locks import try_hold; "
        "hold = try_hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert try_hold(tmp_path / "lock") is None
        process.kill()
    with try_hold(tmp_path / "lock") as hold:
        assert hold is not None
