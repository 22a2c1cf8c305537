"""Coverage-guided fuzzing of the same readers by atheris (libFuzzer), for as long as one likes.

    python -m tests.fuzz.guided annotations --runs 20000

What it finds is written to the current folder, and can be given again: `... annotations FILE`.
Whatever libFuzzer takes may follow: `-max_total_time=600`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

# What is imported here is instrumented: only so does libFuzzer see where a file leads.
with atheris.instrument_imports(include=["xattn"]):
    from tests.fuzz.targets import MARK, TARGETS
from xattn.errors import XattnError


def main() -> None:
    """Begin with the good files of a target, and end with libFuzzer."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=20_000)
    parsed, rest = parser.parse_known_args()
    target = TARGETS[parsed.target]
    folder = Path(tempfile.mkdtemp())
    corpus, made = folder / "corpus", folder / "made"
    for place in (corpus, made):
        place.mkdir()
    good = target.files(made)
    for i, (name, content) in enumerate(good.items()):
        # The first byte says under which name a file is read.
        (corpus / name.replace("~", "-")).write_bytes(bytes([i]) + content)
    names = list(good)
    MARK.unlink(missing_ok=True)

    def one(data: bytes) -> None:
        place = made / names[data[0] % len(names) if data else 0]
        before = place.read_bytes() if place.exists() else None
        place.write_bytes(data[1:])
        try:
            target.read(place)
        except XattnError:
            pass
        finally:
            place.unlink() if before is None else place.write_bytes(before)
        if MARK.exists():
            raise AssertionError("code of the file ran")

    longest = max(map(len, good.values())) + 4096
    words = [sys.argv[0], f"-runs={parsed.runs}", f"-max_len={longest}", "-rss_limit_mb=6000",
             f"-timeout={target.seconds}", *rest]  # fmt: skip
    given = [word for word in rest if not word.startswith("-")]
    atheris.Setup(words + ([] if given else [str(corpus)]), one)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
