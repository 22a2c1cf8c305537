"""What needs classes of which one is true says so of models whose outputs are independent."""

from __future__ import annotations

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
    exclusive = of.exclusive if isinstance(of, RunFolder) else of.outputs.exclusive
    if exclusive:
        return
    last = of.classes[-1]
    raise UsageError(
        f"Expected classes that exclude each other for {what}, but the outputs "
        f"{', '.join(of.classes)} are independent; measure one of them at a time, such as "
        f"--output {len(of.classes) - 1} --classes 'no {last},{last}'"
    )
