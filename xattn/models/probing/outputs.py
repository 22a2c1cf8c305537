"""What a network's outputs are, and how they become logits of named classes.

A network may give logits of classes that exclude each other, logits of findings that do not, one
logit for two classes, probabilities instead of logits, or all of this within a tuple or a dict.
Everything else here asks for logits (n, classes) alone: this is the one place that makes them.
The user's module stays as it is; what is done to its outputs comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError, UsageError
from xattn.models.probing import ordinal
from xattn.models.probing.ordinal import ORDINAL

VALUE = "value"
KINDS = ("auto", "softmax", "sigmoid", "probabilities", VALUE, *ORDINAL)
"""What users may say of the outputs."""


@dataclass(frozen=True)
class Outputs:
    """What the outputs of one network are, as its probing passes showed.

    Attributes:
        kind: "softmax", logits of classes that exclude each other; "sigmoid", logits of
            independent findings; "probabilities", of either; "value", numbers that are measured,
            as of a regression, and no classes at all; "ordinal" and "corn", thresholds between
            ordered classes, see `log_probabilities`, whose logits are log-probabilities.
        exclusive: whether one of the classes is true of an image, and no two.
        given: how many numbers the network gives for each image; 1 for two classes, of ordered
            classes one less.
        output: key, attribute or index of the tensor in what the network returns; of a column, if
            it returns one tensor. None for the tensor itself.
        reference: index of the one of two classes whose logit is the same for every image. What
            speaks for it is what speaks against the other: its maps explain the other's logit,
            turned over.
        column: whether `output` chooses a column.
        reshaped: whether the tensor is (n,), (n, given, 1, 1) or the like.
        full: whether outputs are brought to float32, as after half precision.
    """

    kind: str = "softmax"
    exclusive: bool = True
    given: int = 2
    output: str | int | None = None
    reference: int | None = None
    column: bool = False
    reshaped: bool = False
    full: bool = False

    @property
    def of_value(self) -> bool:
        """Whether the outputs are values, of which none is a class."""
        return self.kind == VALUE

    @property
    def plain(self) -> bool:
        """Whether the network itself gives logits (n, classes), each the score of its class."""
        changed = (self.output, self.reference) != (None, None) or self.reshaped or self.full
        return self.kind not in ("probabilities", *ORDINAL) and not changed

    def tensor(self, returned: Any) -> Tensor:
        """Return the logits (n, given), of ordered classes (n, given + 1), in what it returned."""
        found: Any = returned
        if self.output is not None and not self.column:
            found = fetch(returned, self.output)
        if self.reshaped:
            found = found.flatten(1) if self.column else found.reshape(-1, self.given)
        if self.column:
            found = found[:, self.output : self.output + 1]  # type: ignore[operator]
        if self.full:
            found = found.float()
        if self.kind == "probabilities":
            found = _log(found) if self.exclusive and self.given > 1 else _log_odds(found)
        elif self.kind in ORDINAL:
            found = ordinal.log_probabilities(found, self.kind)
        result: Tensor = found
        return result

    def logits(self, scores: Tensor) -> Tensor:
        """Turn scores (n, classes), as `Network` gives them, into logits (n, classes).

        They differ at the reference class alone, whose score is its logit less the other's.
        """
        if self.reference is None:
            return scores
        whole = scores.sum(dim=1, keepdim=True)
        other = scores[:, 1 - self.reference, None]
        return torch.cat([whole, other] if self.reference == 0 else [other, whole], dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turn logits (n, classes) into probabilities: by a softmax, or each by its sigmoid.

        Args:
            logits: (n, classes).

        Raises:
            UsageError: they are values, which have none.
        """
        if self.of_value:
            raise UsageError(
                "Expected classes for probabilities, but the outputs are values (--outputs value)"
            )
        return logits.softmax(dim=1) if self.exclusive else logits.sigmoid()

    def contrast(self) -> Tensor | None:
        """Return what makes scores (n, classes) of logits (n, given), (classes, given), or None."""
        if self.reference is None:
            return None
        if self.given == 1:
            return torch.tensor([[-1.0], [1.0]])
        rows = torch.eye(2)
        rows[self.reference, 1 - self.reference] = -1
        return rows

    def describe(self, classes: Sequence[str]) -> str:
        """Say it in words, for a person."""
        chosen = "" if self.output is None else f"; output {self.output!r} of the model"
        n, inside = self.given, self.kind == "probabilities"
        if self.of_value:
            named = "" if tuple(classes) == (VALUE,) else f" ({', '.join(classes)})"
            return f"{'a value' if n == 1 else f'{n} values'}{named}, no class{chosen}"
        if self.kind in ORDINAL:
            return f"{ordinal.describe(n, self.kind)}{chosen}"
        if n == 1 and len(classes) == 1:
            return f"one independent {'probability' if inside else 'logit'} of {classes[0]}{chosen}"
        if n == 1:
            of = f"of {classes[1]} against {classes[0]}"
            if inside:
                return f"one probability p {of}: logits (0, log(p / (1 - p))){chosen}"
            return f"one logit z {of}: logits (0, z), p = sigmoid(z){chosen}"
        if inside and self.exclusive:
            return f"{n} probabilities (a softmax inside): logits are their logarithms{chosen}"
        if inside:
            return f"{n} independent probabilities: logits are log(p / (1 - p)){chosen}"
        if self.exclusive:
            return f"{n} logits of classes that exclude each other: p = softmax{chosen}"
        return f"{n} independent logits: p = sigmoid of each, no single prediction{chosen}"

    def to_dict(self) -> dict[str, Any]:
        """Return what a run's record holds beside the kind."""
        kept = ("exclusive", "given", "reference")
        return {key: value for key, value in asdict(self).items() if key in kept}


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def _log_odds(probabilities: Tensor) -> Tensor:
    return torch.logit(probabilities, eps=torch.finfo(probabilities.dtype).eps / 2)


def fetch(returned: Any, output: str | int) -> Any:
    """Take one part of what a network returned, by key, attribute or index.

    Raises:
        KeyError, IndexError, AttributeError: there is none of this name.
    """
    if isinstance(returned, Mapping):
        return returned[output]
    if isinstance(output, int) or output.isdecimal():
        return returned[int(output)]
    return getattr(returned, output)


class Network(nn.Module):
    """A user's module with what makes scores (n, classes) of its outputs after it.

    The score of a class is what its maps explain: its logit; for the reference class of two its
    logit less the other's.
    """

    def __init__(self, module: nn.Module, outputs: Outputs, like: Tensor) -> None:
        super().__init__()
        self.module = module
        self.outputs = outputs
        self.last: nn.Module = nn.Identity()
        rows = outputs.contrast()
        if rows is not None:
            # A layer, so that methods with rules for layers have one for it; nothing is drawn.
            self.last = nn.Linear(rows.shape[1], len(rows), bias=False, device="meta")
            weight = rows.to(like.device, torch.float32 if outputs.full else like.dtype)
            self.last.weight = nn.Parameter(weight, requires_grad=False)
        self.training = False
        self.last.training = False

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, classes)."""
        result: Tensor = self.last(self.outputs.tensor(self.module(x)))
        return result


def check_kind(kind: str) -> str:
    """Return what a user says of the outputs.

    Raises:
        UsageError: it is nothing known.
    """
    if kind not in KINDS:
        raise UsageError(f"Unknown outputs {kind!r}; known: {', '.join(KINDS)}")
    return kind


def check_count(given: int, classes: Sequence[str], kind: str = "auto") -> None:
    """Refuse class names that are not as many as the outputs; one output has two.

    An independent finding alone ("sigmoid") has one. Values have a name each, and ordered classes
    are one more than the thresholds between them.

    Raises:
        CheckpointError: they are not.
    """
    if kind in ORDINAL:
        ordinal.check_grades(given, classes)
        return
    names = ", ".join(classes)
    if kind == VALUE:
        if given != len(classes):
            raise CheckpointError(
                f"Expected a name for each of the {given} values of the model, but got "
                f"{len(classes)}: {names}; name them with --classes, or choose one with --output"
            )
        return
    if given == 1 and len(classes) == 1 and kind != "sigmoid":
        raise CheckpointError(
            f"Expected two class names for the one output of the model, the negative first, but "
            f"got {names}; such as --classes 'no {names},{names}', --outputs sigmoid if it is a "
            "finding by itself, or --outputs value if it is a measured value"
        )
    if given == 1 and len(classes) not in (1, 2):
        raise CheckpointError(
            f"Expected two class names for the one output of the model, but got {len(classes)}: "
            f"{names}"
        )
    if given not in (1, len(classes)):
        raise CheckpointError(
            f"Expected {len(classes)} logits for the classes {names}, but the model gives {given}"
            "; name all of them with --classes"
        )
