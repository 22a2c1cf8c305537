"""What needs classes of which one is true says so of models whose outputs are independent."""

from __future__ import annotations

import shlex

from xattn.errors import UsageError
from xattn.models.interface import Model
from xattn.runs import RunFolder


def require_exclusive(of: Model | RunFolder, what: str) -> None:
    """Refuse what needs classes that exclude each other.

    Args:
        of: a model, or the run that it made.
        what: the command that needs them.

    Raises:
        UsageError: the outputs are independent.
    """
    seen = of if isinstance(of, RunFolder) else of.outputs
    if seen.of_value:
        raise UsageError(
            f"Expected classes that exclude each other for {what}, but the outputs "
            f"{', '.join(of.classes)} are values"
        )
    if seen.exclusive:
        return
    last = shlex.quote(of.classes[-1])
    raise UsageError(
        f"Expected classes that exclude each other for {what}, but the outputs "
        f"{', '.join(of.classes)} are independent; choose one of them, such as --target {last}"
    )
