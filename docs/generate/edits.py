"""Tables of what edits are worth where the truth is known, from what the package knows of it.

`python docs/generate/edits.py` writes them in docs/feature-usage.md anew, between a line
`<!-- known: DOMAIN -->` and a line `<!-- end of known -->`; a test compares them.
"""

from __future__ import annotations

import re
from pathlib import Path

from xattn.analysis.interventions.known import Known, known

PAGE = Path(__file__).parents[1] / "feature-usage.md"

MARKED = re.compile(r"(<!-- known: (\w+) -->\n)(.*?)(<!-- end of known -->)", re.DOTALL)

_HEADS = (
    "edit", "of", "networks", "pairs", "true change", "correlation", "measured per true change",
    "right sign", "control", "other scores", "",
)  # fmt: skip


def table(domain: str) -> str:
    """Return the Markdown table of a domain's edits, in the order of the file."""
    rows = [_cells(one) for one in known() if one.domain == domain]
    lines = [list(_HEADS), ["---"] * len(_HEADS), *rows]
    return "".join("| " + " | ".join(cells).rstrip() + " |\n" for cells in lines)


def _cells(one: Known) -> list[str]:
    counted = [f"`{one.edit}`", f"`{one.feature}`", f"{one.learnt} of {one.networks}"]
    counted.append(str(one.pairs))
    if not one.pairs:
        return [*counted, *[""] * 6, "could not be done"]
    if not one.is_known:
        return [*counted, *[""] * 6, f"not learnt (AUC {one.auc:.2f})"]
    return [
        *counted, f"{one.true_sd:.2f}",
        f"{one.correlation:.2f} ({one.correlation_low:.2f} to {one.correlation_high:.2f})",
        f"{one.slope:.2f} ({one.slope_low:.2f} to {one.slope_high:.2f})",
        "" if one.sign_agreement != one.sign_agreement else f"{one.sign_agreement:.2f}",
        "" if one.control_sd != one.control_sd else f"{one.control_sd:.2f}",
        "" if one.others_sd != one.others_sd else f"{one.others_sd:.2f}",
        "**poor**" if one.is_poor else "",
    ]  # fmt: skip


def renewed(markdown: str) -> str:
    """Return the page with its tables written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", markdown)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
