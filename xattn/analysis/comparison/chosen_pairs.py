"""Which models of a comparison are held against which."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from xattn.analysis.comparison.sources import Trained
from xattn.analysis.settings import BACKBONE
from xattn.errors import UsageError, near

CONTROL = "conv"
"""Of the parts of a hybrid's name the one that says that it is the control."""

Pair = tuple[str, str]


def choose_pairs(found: Sequence[Trained], baseline: str | None, all_pairs: bool) -> list[Pair]:
    """Return pairs of a model and what it is compared with.

    Args:
        found: the trained networks.
        baseline: the model that all others are compared with; "backbone" for each hybrid and
            control its own backbone, each hybrid its control too, and every other network the
            plain one; None for the plain one.
        all_pairs: every model with every other.

    Raises:
        UsageError: there are fewer than two models, the baseline is none of them, or no model's
            backbone is among them.
    """
    of = {one.model: one.architecture for one in reversed(found)}
    models = list(dict.fromkeys(one.model for one in found))
    own = baseline == BACKBONE and BACKBONE not in models
    if baseline is not None and baseline not in models and not own:
        raise UsageError(f"Unknown baseline {baseline!r}{near(baseline, [*models, BACKBONE])}")
    if len(models) < 2:
        raise UsageError(
            f"Expected at least two models, but got only {', '.join(models) or 'none'}; tell runs "
            "of one architecture apart as NAME=RUN"
        )
    plain = _plain(found) or models[0]
    if own:
        return _with_their_own(models, of, plain)
    base = baseline or plain
    ordered = [base, *(m for m in models if m != base)]
    if all_pairs:
        return [(b, a) for a, b in combinations(ordered, 2)]
    return [(m, base) for m in ordered[1:]]


def _with_their_own(models: Sequence[str], of: dict[str, str], plain: str) -> list[Pair]:
    by_architecture = {of[model]: model for model in reversed(models)}
    pairs = list[Pair]()
    for model in models:
        backbone, _, kind = of[model].rpartition("-")
        near_ones = [backbone, f"{backbone}-{CONTROL}" if kind != CONTROL else ""]
        there = [by_architecture[name] for name in near_ones if name in by_architecture]
        pairs += [(model, one) for one in there]
    if not pairs:
        raise UsageError(
            f"Expected models whose backbone is among them, as resnet18-ga's is resnet18, but got "
            f"{', '.join(models)}; --baseline names one for all"
        )
    extended = {model for model, _ in pairs}
    return [*pairs, *((m, plain) for m in models if m not in extended and m != plain)]


def _plain(found: Sequence[Trained]) -> str | None:
    """Return the first model that is convolutional, or that others extend."""
    from xattn.models.architectures.registry import ARCHITECTURES

    for one in found:
        card = ARCHITECTURES.get(one.architecture)
        family = card.family if card else ""
        extended = any(o.architecture.startswith(f"{one.architecture}-") for o in found)
        if extended or family == "convolutional":
            return one.model
    return None
