"""`make soak`: a hundred kills and more at random moments; prints kills, resumes, differences."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests import forked
from tests.cli.spoiled_commands import prepare
from tests.soak.kills import KILLED, soak


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Kill each command its number of times; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=125, help="of all commands together")
    parser.add_argument("--only", choices=KILLED, action="append", help="this command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parsed = parser.parse_args()
    chosen = parsed.only or KILLED
    each = -(-parsed.kills // len(chosen))
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        process = forked.start(prepare, prepared, folder=Path(folder))
        process.join()
        assert process.exitcode == 0, forked.said(Path(folder))
        tallies = {
            name: soak(name, prepared, Path(folder), each, parsed.seed, _say) for name in chosen
        }
    kills = sum(tally.kills for tally in tallies.values())
    resumes = sum(tally.resumes for tally in tallies.values())
    differences = [one for tally in tallies.values() for one in tally.differences]
    ends = [seconds for tally in tallies.values() for seconds in tally.ends]
    slowest = f", SIGINT and SIGTERM ended within {max(ends):.1f} s" if ends else ""
    _say(f"soak: kills = {kills}, resumes = {resumes}, differences = {len(differences)}{slowest}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
