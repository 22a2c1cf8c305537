"""A run of independent outputs, seen as that of one of them: is it there, or not?

Each finding of a chest film is a question of its own. Seen so, a run is one of two classes that
exclude each other, "no mass" and "mass", with the logits (0, z), and all that asks for such a run
(tests, edits, gaps, figures, the report) takes it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from xattn.annotations.findings import absent, answers
from xattn.annotations.value_labels import strata, values_of
from xattn.errors import UsageError, XattnError, near
from xattn.images.cells import Cells
from xattn.runs import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from xattn.runs.arrays import StoredArray

EACH = "all"
"""As a target: every output."""


@dataclass(frozen=True)
class OneOutput(RunFolder):
    """One output of a run whose outputs are independent.

    Attributes:
        path: the run folder.
        output: name of the output.
    """

    output: str = ""

    @property
    def of_output(self) -> str:
        """Name of the output."""
        return self.output

    @cached_property
    def whole(self) -> RunFolder:
        """The run with all of its outputs."""
        return RunFolder(self.path)

    @property
    def of_value(self) -> bool:
        """Whether the output is a value, as of a regression."""
        return self.whole.of_value

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Content of run.json, with the classes and the methods of this output."""
        facts = self.whole.settings
        layers = facts.get("map_layers", {})
        return {
            **facts,
            "classes": [] if self.of_value else [absent(self.output), self.output],
            "readout": {**facts.get("readout", {}), "exclusive": True},
            "methods": list(self._stored),
            "target": self.output,
            "map_layers": {plain: layers[name] for plain, name in self._stored.items()
                           if name in layers},
        }  # fmt: skip

    @cached_property
    def _stored(self) -> dict[str, str]:
        """Method -> name of its stored maps for this output; maps of no class are of each."""
        facts, found = self.whole.settings, {}
        targets = list(facts.get("targets") or [facts.get("target")])
        number = targets.index(self.output) if self.output in targets else None
        index = facts["classes"].index(self.output)
        for name in facts["methods"]:
            plain, at, target = name.partition("@")
            if at:
                mine = target in (self.output, str(index)) and number is not None
            else:
                mine = number == 0 or not _by_class(name)
            if mine:
                found[plain] = name
        return found

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """As of a run of two classes: whether the output is there; of a value it and `truth`."""
        table, name = self.whole.predictions, self.output
        dropped = ("logit_", "prob_", "value_", "degenerate_", "explained@")
        kept = table[[c for c in table if not str(c).startswith(dropped)]]
        defects = {
            f"degenerate_{plain}": table[f"degenerate_{stored}"]
            for plain, stored in self._stored.items()
            if f"degenerate_{stored}" in table
        }
        if self.of_value:
            return kept.assign(
                label=strata(table["label"], name).names,
                explained=name,
                **{f"value_{name}": table[f"value_{name}"].astype(float)},
                truth=values_of(table["label"], name),
                **defects,
            )
        no, yes = self.classes
        logit, p = table[f"logit_{name}"].astype(float), table[f"prob_{name}"].astype(float)
        return kept.assign(
            label=answers(table["label"], name),
            predicted=np.where(logit > 0, yes, no).astype(object),
            explained=name,
            **{
                f"logit_{no}": 0.0 * logit,
                f"logit_{yes}": logit,
                f"prob_{no}": 1 - p,
                f"prob_{yes}": p,
                **defects,
            },
        )

    def stored(self, method: str) -> str:
        """Return the name under which the maps of a method are stored."""
        return self._stored.get(method, method)

    def map_array(self, method: str) -> StoredArray:
        """Return the stored maps of one method for this output, float32 (n, h, w), unread."""
        return self.whole.map_array(self.stored(method))

    def table(self, name: str) -> pd.DataFrame:
        """Read the rows of this output in one of the CSV tables."""
        table = super().table(name)
        if "target" not in table:
            return table
        mine = table["target"].astype(str) == self.output
        return table[mine].drop(columns="target").reset_index(drop=True)

    def require_whole(self) -> None:
        """Make sure that records, tables and predictions belong together."""
        self.whole.require_whole()

    def own(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what a record such as analysis.json says of this output."""
        shared = {key: value for key, value in record.items() if key != "by_target"}
        return {**shared, **record.get("by_target", {}).get(self.output, {})}

    def cells(self, method: str) -> Cells:
        """Return where the cells of a method's maps lie in what the model saw."""
        return self.whole.cells(self.stored(method))


def outputs_of(run: RunFolder, wanted: Sequence[str] = ()) -> tuple[RunFolder, ...]:
    """Return a run as the questions that it answers.

    Args:
        run: a run, or one output of it.
        wanted: names of outputs, "all" for each; default each.

    Returns:
        The run itself if its classes exclude each other, else the run of each output.

    Raises:
        UsageError: there is no output of a name, or classes exclude each other and some are named.
    """
    if run.exclusive:
        if wanted:
            raise UsageError(
                f"Expected independent outputs to choose {' and '.join(wanted)} from, but the "
                f"classes {', '.join(run.classes)} exclude each other; --positive holds one of "
                "them against the others, and if several can be true of an image, explain it with "
                "--outputs sigmoid"
            )
        return (run,)
    names: dict[str, None] = {}
    for name in wanted or (EACH,):
        if name == EACH and name not in run.classes:
            names |= dict.fromkeys(run.classes)
        elif name in run.classes:
            names[name] = None
        else:
            raise UsageError(f"Unknown output {name!r}{near(name, run.classes)}")
    return tuple(OneOutput(run.path, name) for name in names)


def _by_class(method: str) -> bool:
    """Say whether a method's maps are of a class; one of a plugin that is not here is taken so."""
    from xattn.attribution.registry import method as find

    try:
        return find(method).card.by_class
    except XattnError:
        return True


def file_name(output: str, outputs: Sequence[str]) -> str:
    """Return what files of an output are called: its name where a file can be called so."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in output).strip("._")
    alike = ["".join(c if c.isalnum() or c in "-_." else "_" for c in o) for o in outputs]
    unique = [a.casefold() for a in alike].count(plain.casefold()) == 1
    return plain if plain and unique else str(list(outputs).index(output))
