"""From the thresholds of an ordinal head to the probabilities of its grades.

An ordinal head gives K - 1 numbers for K grades, one for each threshold between two of them. They
are not logits of classes: a softmax over them means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.errors import CheckpointError

CUMULATIVE, CONDITIONAL = "ordinal", "corn"
ORDINAL = (CUMULATIVE, CONDITIONAL)
"""What users say: thresholds that each stand alone, or each given that the one before is passed."""


def log_probabilities(thresholds: Tensor, kind: str) -> Tensor:
    """Return the logarithms of the probabilities of the grades, which sum to one.

    Of "ordinal" (CORAL, binned labels, proportional odds), P(y > k) = sigmoid(min(z_0, ..., z_k)):
    the running minimum changes nothing where the logits fall from threshold to threshold, as they
    must. Of "corn", P(y > k) = sigmoid(z_0) ... sigmoid(z_k). The probability of grade k is
    P(y > k - 1) - P(y > k), formed without cancellation.

    Args:
        thresholds: (n, K - 1), from the lowest grade up.
        kind: one of `ORDINAL`.

    Returns:
        (n, K). A grade that crossing thresholds leave nothing has about the precision of the type.
    """
    if kind == CONDITIONAL:
        passed = F.logsigmoid(thresholds).cumsum(dim=1)
        stopped = F.logsigmoid(-thresholds)
        return torch.cat([stopped[:, :1], passed[:, :-1] + stopped[:, 1:], passed[:, -1:]], dim=1)
    falling = thresholds.cummin(dim=1).values
    above, below = F.logsigmoid(falling), F.logsigmoid(-falling)
    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
    gaps = (falling[:, :-1] - falling[:, 1:]).clamp(min=torch.finfo(falling.dtype).eps)
    between = above[:, :-1] + below[:, 1:] + torch.log(-torch.expm1(-gaps))
    return torch.cat([below[:, :1], between, above[:, -1:]], dim=1)


def check_thresholds(rows: Tensor, kind: str, *, squashed: bool) -> str:
    """Refuse what cannot be thresholds, and say if they cross.

    Args:
        rows: (passes, K - 1), what the network gave for probing inputs.
        kind: one of `ORDINAL`.
        squashed: whether they come out of a sigmoid or a softmax.

    Returns:
        A note, or "".

    Raises:
        CheckpointError: they are one alone, probabilities, or rise from threshold to threshold.
    """
    if rows.shape[1] < 2:
        raise CheckpointError(
            f"Expected two thresholds or more for --outputs {kind}, but the model gives one "
            "output: that is one logit of two classes, which needs no --outputs"
        )
    if squashed:
        raise CheckpointError(
            f"Expected logits of thresholds for --outputs {kind}, but the model gives "
            "probabilities; give it without its last sigmoid, or say --outputs probabilities if "
            "they are of the grades"
        )
    steps = rows.diff(dim=1)
    if kind == CONDITIONAL or not len(rows):
        return ""
    if bool((steps > 0).all()):
        raise CheckpointError(
            "Expected logits of P(y > k), which fall from threshold to threshold, for --outputs "
            "ordinal, but those of the model rise for every probing input, as those of P(y <= k) "
            "do; negate them by xattn.wrap(..., forward=lambda net, x: -net(x)), or say --outputs "
            "corn if each is given the one before"
        )
    crossing = int((steps > 0).any(dim=1).sum())
    if not crossing:
        return ""
    return (
        f"thresholds cross for {crossing} of {len(rows)} probing inputs: P(y > k) is the least of "
        "those up to k; if each is given that the one before is passed, say --outputs corn"
    )


def describe(given: int, kind: str) -> str:
    """Say it in words, for a person."""
    what = f"{given} thresholds of {given + 1} ordered classes: P(y > k) = "
    if kind == CONDITIONAL:
        return f"{what}sigmoid(z_0) ... sigmoid(z_k), each given the one before (CORN)"
    return f"{what}sigmoid(z_k)"


def check_grades(given: int, classes: Sequence[str]) -> None:
    """Refuse names of grades that are not one more than the thresholds.

    Raises:
        CheckpointError: they are not.
    """
    if len(classes) != given + 1:
        raise CheckpointError(
            f"Expected {given + 1} ordered classes, the lowest first, for the {given} thresholds "
            f"of the model, but got {len(classes)}: {', '.join(classes)}; name every grade with "
            "--classes"
        )
