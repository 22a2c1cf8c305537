"""What a run is asked: about its classes, or about each of its independent outputs.

An analysis answers one question after the other. What it finds for several stands in the same
tables, with a column `target` that says which output a row is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.one_output import outputs_of
from xattn.analysis.over_outputs import with_p_over_outputs
from xattn.analysis.positive import Positive
from xattn.errors import UsageError
from xattn.runs import RunFolder

TARGET = "target"
"""Column that says which of the independent outputs a row is of."""


@dataclass(frozen=True)
class Question:
    """What a run is asked.

    Attributes:
        run: the run, or one output of it.
        positive: the classes whose scores these are.
    """

    run: RunFolder
    positive: Positive

    @property
    def output(self) -> str:
        """Name of the one output that is asked about; "" where classes exclude each other."""
        return self.run.of_output

    def logits(self, of_model: NDArray[np.float64], classes: Sequence[str]) -> NDArray[np.float64]:
        """Return the logits (..., classes of the question) in those of the model; or the value.

        Args:
            of_model: (..., classes of the model).
            classes: of the model.
        """
        if not self.output:
            return of_model
        own = of_model[..., list(classes).index(self.output)]
        if self.run.of_value:
            return own[..., None]
        return np.stack([np.where(np.isnan(own), np.nan, 0.0), own], axis=-1)

    def called(self, lines: Iterable[str]) -> list[str]:
        """Begin lines on one of several outputs with its name.

        Args:
            lines: on the question.
        """
        return [f"{self.output}: {line}" if self.output else line for line in lines]


def questions_of(
    run: RunFolder, positive: Sequence[str] = (), target: Sequence[str] = ()
) -> list[Question]:
    """Return what a run is asked.

    Args:
        run: the run.
        positive: the positive classes, see `Positive`.
        target: names of independent outputs; default all.

    Raises:
        UsageError: a class or an output is unknown, or one of the two does not suit the run.
    """
    require_no_positive(run.classes, positive, exclusive=run.exclusive)
    return [Question(one, Positive.of(one.classes, positive)) for one in outputs_of(run, target)]


def require_no_positive(
    classes: Sequence[str], positive: Sequence[str], *, exclusive: bool
) -> None:
    """Refuse a positive class of independent outputs, and one that there is not.

    Args:
        classes: of the model.
        positive: the classes named.
        exclusive: whether classes exclude each other.

    Raises:
        UsageError: it is to be refused.
    """
    if exclusive:
        Positive.of(classes, positive)
    elif positive:
        raise UsageError(
            f"Expected no positive class, but got {', '.join(positive)}: the outputs "
            f"{', '.join(classes)} are independent, and each is a question of its own; choose "
            "with --target"
        )


def joined(
    found: Sequence[tuple[Question, Mapping[str, pd.DataFrame]]],
) -> dict[str, pd.DataFrame]:
    """Return the tables of all questions as one of each name; p-values also hold over them.

    Args:
        found: each question and its tables; those of classes that exclude each other stay as they
            are.
    """
    (first, tables), *_ = found
    if not first.output:
        return dict(tables)
    result = {}
    for name in dict.fromkeys(name for _, own in found for name in own):
        of_each = [own[name].assign(**{TARGET: q.output}) for q, own in found if name in own]
        filled = [table for table in of_each if len(table)]
        whole = pd.concat(filled, ignore_index=True) if filled else of_each[0]
        whole = with_p_over_outputs(whole, len(found))
        result[name] = whole[[*(c for c in whole if c != TARGET), TARGET]]
    return result


def record_of(found: Sequence[tuple[Question, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return what a record says of the questions: facts, or under `by_target` those of each output.

    Args:
        found: each question and its facts.
    """
    (first, facts), *_ = found
    if not first.output:
        return dict(facts)
    return {"by_target": {question.output: dict(own) for question, own in found}}
