"""Prints how many cases were tried."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    totals = {"fuzz_cases": 0, "fuzz_failures": 0}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name in totals and getattr(report, "when", "") == "call":
                    totals[name] += value
    if totals["fuzz_cases"]:
        terminalreporter.write_line(
            f"fuzz: {totals['fuzz_cases']:,} cases, failures = {totals['fuzz_failures']}"
        )
