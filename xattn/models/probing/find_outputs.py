"""Finding out what a network's outputs are, by probing passes and by what the user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError, MethodError
from xattn.models.probing.forward import evaluating, model_dtype
from xattn.models.probing.ordinal import ORDINAL, check_thresholds
from xattn.models.probing.outputs import VALUE, Outputs, check_count, fetch

NOISE = (1.0, 3.0, 30.0)
"""Standard deviations of the probing noise; the last is far beyond any image."""
LEVELS = (0.0, 5.0)
"""Values of the plain probing inputs."""

_PASSED = frozenset(
    f"{name}Backward{i}"
    for name in (
        "View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Select", "Slice", "T",
        "Transpose", "Permute", "Clone", "ToCopy", "Expand", "Alias",
    )
    for i in range(3)
)  # fmt: skip
_LINEAR = frozenset(
    f"{name}Backward0" for name in ("Addmm", "Mm", "Linear", "Convolution", "MkldnnConvolution")
)
_COMBINES = frozenset(
    f"{name}Backward{i}"
    for name in ("Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Mean", "Sum", "Stack", "Cat")
    for i in range(3)
)
"""What makes logits of logits: the mean of several heads, a temperature, a learned shift."""
_SPREAD = 0.5
"""Between the smallest and the largest of probabilities that the extreme inputs drive apart."""


@dataclass(frozen=True)
class _Values:
    """What the probing passes gave.

    Attributes:
        rows: (passes, given), finite ones alone.
        last: "softmax", "sigmoid", "linear" or "", the last operation of the network.
    """

    rows: Tensor
    last: str

    @property
    def within(self) -> bool:
        """Whether all lie in [0, 1]."""
        return len(self.rows) > 0 and bool(((self.rows >= 0) & (self.rows <= 1)).all())

    @property
    def sum_to_one(self) -> bool:
        tolerance = max(1e-4, 4 * torch.finfo(self.rows.dtype).eps)
        return bool(((self.rows.double().sum(dim=1) - 1).abs() < tolerance).all())

    @property
    def of_classes(self) -> bool:
        """Whether they are probabilities of classes that exclude each other."""
        known = self.last != "linear" and self.within and self.sum_to_one
        return known and self.rows.shape[1] > 1

    @property
    def of_findings(self) -> bool:
        """Whether they are probabilities, each by itself."""
        if self.of_classes or self.last == "linear" or not self.within:
            return False
        # Without a sigmoid in sight: small logits may lie in [0, 1] too, but not from end to end.
        low, high = self.rows.min(), self.rows.max()
        wide = ((low < 0.01) | (high > 0.99)) & (high - low > _SPREAD)
        return self.last in ("sigmoid", "softmax") or bool(wide)

    @property
    def undecided(self) -> bool:
        """Whether they might be probabilities for all that is known."""
        taken = self.of_classes or self.of_findings or self.last == "linear"
        return self.within and not taken


def find_outputs(
    module: nn.Module,
    size: tuple[int, int],
    classes: Sequence[str],
    *,
    kind: str = "auto",
    output: str | int | None = None,
    channels: int = 3,
) -> tuple[Outputs, str]:
    """Find out what a network's outputs are.

    That they are probabilities is seen on random and on extreme inputs: all in [0, 1], summing to
    one (a softmax) or after a sigmoid. A network whose last operation is linear gives logits,
    whatever its values. Independent logits cannot be told from those of classes: by default more
    than one are of classes, and a note says so.

    Args:
        module: maps (n, channels, height, width) to whatever it gives; comes back as it was.
        size: (height, width).
        classes: their names; two for a network of one output.
        kind: "auto", or what the user says: "softmax", "sigmoid", "probabilities", "value",
            "ordinal" or "corn".
        output: which part of what the network returns, by key, attribute or index; of a tensor,
            which column.
        channels: of the input.

    Returns:
        The outputs, and a note of what was assumed; "" if nothing need be said.

    Raises:
        MethodError: there is no tensor of shape (n, classes) in what the network returns, or
            several.
        CheckpointError: it gives another number of outputs than there are classes, or others than
            the user says.
    """
    returned = _passes(module, size, channels)
    output, column = _which(returned[0], output, classes)
    base = Outputs(output=output, column=column)
    first = _part(returned[0], base)
    if not (width := _width(first)):
        raise MethodError(
            f"Expected logits of shape (n, classes), but the model gives {tuple(first.shape)}"
        )
    base = replace(base, reshaped=first.ndim != 2, given=width)
    tensors = [base.tensor(one) for one in returned]
    base = replace(base, given=tensors[0].shape[1])
    if not (kind in ORDINAL and base.given == 1):  # refused below, for a better reason
        check_count(base.given, classes, kind)
    if kind == VALUE:
        return replace(base, kind=VALUE, exclusive=False), ""
    rows = torch.cat([one.detach() for one in tensors])
    values = _Values(rows[rows.isfinite().all(dim=1)], _last_operation(tensors[1]))
    if values.last == "softmax" and base.given == 1 and not column:
        raise CheckpointError(
            "Expected a sigmoid after the one output, but the network takes its softmax, which is "
            "1 whatever the image; give the network without its softmax"
        )
    if kind in ORDINAL:
        said = check_thresholds(values.rows, kind, squashed=values.of_classes or values.of_findings)
        return replace(base, kind=kind), said
    found = _decide(base, values, kind, len(classes))
    note = _note(found, values, kind, classes)
    return replace(found, reference=_reference(found, values.rows)), note


def _passes(module: nn.Module, size: tuple[int, int], channels: int) -> list[Any]:
    """Run the network on noise and plain inputs, one at a time; only the second pass records."""
    dtype, device = model_dtype(module)
    draw = torch.Generator().manual_seed(1)
    recorded = -1 if any(parameter.is_inference() for parameter in module.parameters()) else 1
    with torch.inference_mode(False), evaluating(module):
        inputs = [torch.full((1, channels, *size), level) for level in LEVELS]
        inputs[1:1] = [torch.randn(1, channels, *size, generator=draw) * scale for scale in NOISE]
        found = []
        for i, x in enumerate(inputs):
            with torch.set_grad_enabled(i == recorded):
                given = x.to(device, dtype).requires_grad_(i == recorded)
                found.append(module(given.clone()))  # a model may change its input in place
    return found


def _which(
    returned: Any, output: str | int | None, classes: Sequence[str]
) -> tuple[str | int | None, bool]:
    """Say which part of what was returned holds the logits, and whether it is a column."""
    if isinstance(returned, Tensor):
        if output is None:
            return None, False
        width = _width(returned)
        if not (str(output).isdecimal() and int(output) < width):
            raise MethodError(
                f"Expected the index of one of {width} outputs, but got {output!r}; "
                f"0 to {width - 1}"
            )
        return int(output), True
    parts = _parts(returned)
    shown = ", ".join(f"{name}: {_shape(part)}" for name, part in parts.items()) or "nothing"
    shown = f"{type(returned).__name__} with {shown}"
    if output is not None:
        try:
            part = fetch(returned, output)
        except (KeyError, IndexError, AttributeError, TypeError):
            part = None
        if not isinstance(part, Tensor):
            raise MethodError(
                f"Expected logits at {output!r} of what the model gives, but it gives {shown}"
                "; choose with --output (output=)"
            )
        return output, False
    if isinstance(parts.get("logits"), Tensor):
        return "logits", False
    widths = {len(classes), 1} if len(classes) == 2 else {len(classes)}  # of a value: one name
    fitting = [n for n, p in parts.items() if isinstance(p, Tensor) and _width(p) in widths]
    if len(fitting) > 1:  # a softmax beside what it is of, as Ultralytics gives them
        fitting = [n for n in fitting if not any(_follows(parts[n], parts[o]) for o in fitting)]
    if len(fitting) != 1:
        raise MethodError(
            f"Expected logits of shape (n, classes), but the model gives {shown}"
            "; choose with --output (output=)"
        )
    return fitting[0], False


def _follows(one: Tensor, other: Tensor) -> bool:
    """Whether values are the probabilities of others."""
    if one is other or one.shape != other.shape:
        return False
    made = (other.softmax(dim=-1), other.sigmoid())
    return any(torch.allclose(one.float(), each.float(), atol=1e-6) for each in made)


def _parts(returned: Any) -> dict[str | int, Any]:
    """Name the parts of a tuple, list, dict or object."""
    if isinstance(returned, Mapping):
        return dict(returned)
    if hasattr(returned, "_asdict"):
        return dict(returned._asdict())
    if isinstance(returned, list | tuple):
        return dict(enumerate(returned))
    return dict(vars(returned)) if hasattr(returned, "__dict__") else {}


def _shape(part: Any) -> str:
    return str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__


def _part(returned: Any, base: Outputs) -> Tensor:
    chosen = base.output is not None and not base.column
    part: Tensor = fetch(returned, base.output) if chosen else returned  # type: ignore[arg-type]
    return part


def _width(part: Tensor) -> int:
    """Return how many numbers the tensor of one image holds; 0 if more than an axis is used."""
    if part.ndim < 2:
        return part.numel()
    pooled = part.ndim == 2 or (part.ndim == 4 and part.shape[2:] == (1, 1))
    return part.shape[1] if pooled else 0


def _last_operation(tensor: Tensor) -> str:
    """Name the operation that gave a tensor, past those that move numbers or add logits up."""
    ends, combined = set(), False
    seen, todo = set(), [tensor.grad_fn]
    while todo:
        node: Any = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = node.name()
        if name in _PASSED:
            todo.append(node.next_functions[0][0])
        elif name in _COMBINES:
            combined = True
            todo += [one for one, _ in node.next_functions]
        elif name != "torch::autograd::AccumulateGrad":  # a parameter, such as a temperature
            ends.add(name)
    if ends and ends <= _LINEAR:
        return "linear"
    last = "" if combined or len(ends) != 1 else ends.pop()
    return {"SoftmaxBackward0": "softmax", "SigmoidBackward0": "sigmoid"}.get(last, "")


def _decide(base: Outputs, values: _Values, kind: str, classes: int) -> Outputs:
    """Bring together what was seen and what the user says."""
    one = base.given == 1 and classes == 2  # of a single class it is a finding by itself
    if kind == "probabilities" and not values.within:
        low, high = float(values.rows.min()), float(values.rows.max())
        raise CheckpointError(
            f"Expected outputs in [0, 1] for --outputs probabilities, but the model gives "
            f"{low:.3g} to {high:.3g}; are they logits (--outputs softmax or sigmoid)?"
        )
    if values.of_classes or values.of_findings or kind == "probabilities":
        exclusive = one or (values.sum_to_one and values.last != "sigmoid")
        said = {"softmax": True, "sigmoid": False}.get(kind, exclusive)
        if said != exclusive and not one:
            way = "sum to one: they exclude each other" if exclusive else "are each a sigmoid"
            raise CheckpointError(
                f"Expected {kind} outputs, but those of the model are probabilities already and "
                f"{way}; say --outputs probabilities"
            )
        return replace(base, kind="probabilities", exclusive=exclusive)
    if kind == "sigmoid" and not one:
        return replace(base, kind="sigmoid", exclusive=False)
    return replace(base, kind="softmax")


def _reference(found: Outputs, rows: Tensor) -> int | None:
    """Return which of two classes has a logit that no input moves."""
    if not found.exclusive:
        return None
    if found.given == 1:
        return 0
    if found.given > 2 or found.kind != "softmax" or len(rows) < 2:
        return None
    still = [bool((rows[:, c] == rows[0, c]).all()) for c in (0, 1)]
    return still.index(True) if sum(still) == 1 else None


def _note(found: Outputs, values: _Values, kind: str, classes: Sequence[str]) -> str:
    if found.kind == "probabilities":
        return found.describe(classes)
    if found.given == 1:
        return ""
    if kind != "auto":
        return ""
    if values.undecided:
        return (
            f"{found.given} outputs in [0, 1] taken as logits, though they may be probabilities"
            "; if they are, say --outputs probabilities"
        )
    if found.given > 2:
        return (
            f"{found.given} outputs taken as classes that exclude each other (softmax), which the "
            "checkpoint does not say; if several can be true of one image, say --outputs sigmoid"
        )
    return ""
