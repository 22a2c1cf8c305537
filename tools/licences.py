"""Print the licences of what is installed beside this Python as a Markdown table; see `make sbom`.

What a package declares is copied as it stands. One that declares nothing, and licences whose terms
reach those who pass the package on (copyleft), come first, for a person to look at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

COPYLEFT = re.compile(r"\b(A|L)?GPL|MPL|EUPL|CDDL|GNU|Mozilla", re.IGNORECASE)
NOTHING = "nothing declared"
_CLASSIFIER = "License :: "


@dataclass(frozen=True)
class Package:
    """A package and its licence.

    Attributes:
        name, version: as installed.
        licence: as declared: an SPDX expression, or a name; "" if nothing is.
    """

    name: str
    version: str
    licence: str

    @property
    def copyleft(self) -> bool:
        """Whether its licence is one whose terms reach those who pass the package on."""
        return COPYLEFT.search(self.licence) is not None


def installed(found: Iterable[Distribution] | None = None) -> list[Package]:
    """Return the packages of this Python, in the order of their names.

    Args:
        found: their metadata; default what is installed.
    """
    known = {}
    for one in distributions() if found is None else found:
        name = one.metadata["Name"]
        known[name.lower()] = Package(name, one.version, _licence(one))
    return [known[name] for name in sorted(known)]


def page(known: list[Package]) -> str:
    """Return the table of licences, and before it what a person should look at."""
    lines = [
        f"# Licences of {len(known)} packages",
        "",
        "As the packages declare them. Not checked: whether the files of a package are what it "
        "declares, and whether a version has known vulnerabilities; both need databases that lie "
        "outside.",
        "",
        f"- Declare nothing: {_named(one for one in known if not one.licence)}.",
        f"- Copyleft: {_named(one for one in known if one.copyleft)}.",
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *(f"| {one.name} | {one.version} | {_cell(one.licence or NOTHING)} |" for one in known),
    ]
    return "\n".join(lines) + "\n"


def _licence(one: Distribution) -> str:
    metadata = one.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression).strip()
    classes = [c for c in metadata.get_all("Classifier") or [] if c.startswith(_CLASSIFIER)]
    names = [c.rpartition(" :: ")[2] for c in classes if not c.endswith(":: OSI Approved")]
    # Some packages declare the whole text, of which the first line is the name.
    lines = [line.strip() for line in (metadata.get("License") or "").splitlines() if line.strip()]
    return ", ".join(names) or (lines[0][:80] if lines else "")


def _named(some: Iterable[Package]) -> str:
    return ", ".join(one.name for one in some) or "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page(installed()))
