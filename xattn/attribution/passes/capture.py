"""One forward pass, and what is captured of it for the methods to make maps of.

The pass runs without autograd up to the explained layer. There the graph starts: the layer's
output is put back as a fresh leaf, and only what lies after it is recorded and differentiated.
That is why explaining costs little more than predicting, why frozen models work, and why no
parameter ever gets a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xattn.attribution.passes.precision import as_full
from xattn.attribution.passes.relevance.ledger import Conservation
from xattn.errors import MethodError
from xattn.models.attention import AttentionLayer, Reader, Weights, reader_of
from xattn.models.attention.watching import watch
from xattn.models.interface import Model
from xattn.models.probing.forward import evaluating

MATRICES = 512 * 2**20
"""Bytes up to which a copy's hooked attention layers form all their weights and keep them.

Above, and in the user's own model, whose logits must not move by a bit, they stay fused, and
weights are formed of queries and keys, a layer at a time.
"""


@dataclass
class Captured:
    """What was captured of one pass over a batch of n images, for one target class of each.

    Attributes:
        logits: (n, classes), detached.
        scores: (n, classes), what maps of each class explain; its logit, as `Model.network` says.
        targets: (n,), the explained class of each image.
        inputs: (n, 3, height, width), what the model was given.
        outputs: the explained layer's output as it is, or None if nobody needs it.
        activations: the same as (n, C, h, w), tokens off the grid left out.
        gradients: of each image's target score by `activations`, same shape, or None.
        attention: the attention weights, per attention layer.
        conserved: by the name of a method that propagates relevance, where that of the images
            went; shared between the targets of one pass.
    """

    logits: Tensor
    targets: Tensor
    activations: Tensor | None = None
    gradients: Tensor | None = None
    attention: dict[AttentionLayer, Weights] = field(default_factory=dict)
    inputs: Tensor | None = None
    outputs: Tensor | None = None
    scores: Tensor | None = None
    conserved: dict[str, Conservation] = field(default_factory=dict)

    def at_layer(self) -> tuple[Tensor, Tensor]:
        """Return activations and gradients at the explained layer, each (n, C, h, w)."""
        if self.activations is None or self.gradients is None:
            raise ValueError("Expected a pass with gradients, but they were not asked for")
        return self.activations, self.gradients


def capture(
    model: Model,
    batch: Tensor,
    targets: Tensor | None = None,
    *,
    gradients: bool = True,
    activations: bool = False,
    attention: Sequence[AttentionLayer] = (),
) -> Captured:
    """Run one forward pass, and one backward through what follows the explained layer.

    Args:
        model: stays as it is.
        batch: inputs (n, 3, height, width).
        targets: class index per image, (n,); the predicted one where it is -1, or if None.
        gradients: whether activations and gradients at the explained layer are needed.
        activations: whether its activations are needed though no gradients are.
        attention: the attention layers whose weights are needed.

    Raises:
        MethodError: the explained layer did not run, or the logits do not depend on it.
    """
    (captured,) = capture_each(
        model,
        batch,
        [targets],
        gradients=gradients,
        activations=activations,
        attention=attention,
    )
    return captured


def capture_each(
    model: Model,
    batch: Tensor,
    targets: Sequence[Tensor | None],
    *,
    gradients: bool = True,
    activations: bool = False,
    attention: Sequence[AttentionLayer] = (),
) -> list[Captured]:
    """As `capture`, for several targets of each image: one forward, and one short backward each.

    Returns:
        One per entry of `targets`; all but targets and gradients is shared between them.
    """
    start = GraphStart(recording=gradients)
    with ExitStack() as stack:
        # Left last: the hook below switches autograd on inside, these put the caller's mode back.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(model.module))
        hooked = hook_attention(stack, model, attention, images=len(batch))
        if gradients or activations:
            layer = model.module.get_submodule(model.target_layer)
            stack.callback(layer.register_forward_hook(start.hook).remove)
        inputs = batch.to(model.device)
        scores: Tensor = model.network(inputs)
        logits = model.outputs.logits(scores.detach())
        with torch.no_grad():
            weights = {one: r.weights(as_full(model, notes)) for one, (r, notes) in hooked.items()}
        first = Captured(
            logits, chosen(logits, None), attention=weights, inputs=inputs, scores=scores.detach()
        )
        if gradients or activations:
            leaf = start.leaf_of(scores, model.target_layer)
            first.outputs = leaf.detach()
            first.activations = model.target_layout.spatial(first.outputs)
        found: list[Captured] = []
        for i, wanted in enumerate(targets):
            one = replace(first, targets=chosen(logits, wanted))
            if gradients:
                same = [c for c in found if torch.equal(c.targets, one.targets)]
                last = i == len(targets) - 1
                one.gradients = (
                    same[0].gradients if same else _differentiate(model, scores, leaf, one, last)
                )
            found.append(one)
    return found


def chosen(logits: Tensor, wanted: Tensor | None) -> Tensor:
    """Fill in the predicted class where none is wanted.

    Args:
        logits: (n, classes).
        wanted: (n,), -1 where none is wanted; None for none at all.
    """
    predicted = logits.argmax(1)
    if wanted is None:
        return predicted
    wanted = wanted.to(predicted)
    return torch.where(wanted < 0, predicted, wanted)


def _differentiate(
    model: Model, scores: Tensor, leaf: Tensor, captured: Captured, last: bool
) -> Tensor:
    """Differentiate each image's target score by the leaf; the graph is freed after the last."""
    picked = scores.gather(1, captured.targets[:, None]).sum()
    (gradient,) = torch.autograd.grad(picked, leaf, allow_unused=True, retain_graph=not last)
    if gradient is None:
        raise detached(model.target_layer)
    return model.target_layout.spatial(gradient)


class GraphStart:
    """Makes one layer's output the leaf at which the recorded graph begins, or only keeps it."""

    def __init__(self, recording: bool) -> None:
        self.recording = recording
        self.leaf: Tensor | None = None

    def hook(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        """Note the output, and begin the graph there."""
        # torch.nn.MultiheadAttention gives (output, weights).
        first, *others = output if isinstance(output, tuple) else (output,)
        if not self.recording:
            self.leaf = first.detach().clone()
            return None
        self.leaf = first.detach().requires_grad_(True)
        torch.set_grad_enabled(True)
        # A copy goes on, for an in-place ReLU right after would overwrite the activation.
        going_on = self.leaf.clone()
        return (going_on, *others) if isinstance(output, tuple) else going_on

    def leaf_of(self, scores: Tensor, name: str) -> Tensor:
        """Return the leaf.

        Args:
            scores: what the model gave.
            name: of the layer.

        Raises:
            MethodError: the layer did not run, or the scores do not depend on it.
        """
        if self.leaf is None:
            raise MethodError(f"Expected layer {name!r} to run, but the forward pass skipped it")
        if self.recording and not scores.requires_grad:
            raise detached(name)
        return self.leaf


def detached(name: str) -> MethodError:
    """Return the error of logits that do not depend on a layer.

    Args:
        name: of the layer.
    """
    return MethodError(
        f"Expected logits that depend on {name!r}, but the model detaches them after it "
        "(a no_grad inside its forward?)"
    )


def hook_attention(
    stack: ExitStack,
    model: Model,
    layers: Sequence[AttentionLayer],
    *,
    images: int,
    values: bool = False,
) -> dict[AttentionLayer, tuple[Reader, dict[str, Tensor]]]:
    """Hook what each layer's reader needs for its weights, until the stack is left.

    Args:
        stack: takes the hooks away.
        model: runs while they are there.
        layers: the attention layers to hook.
        images: how many there are in the pass.
        values: hook what `Reader.gradients` needs, too.

    Returns:
        Per layer its reader and, once the model has run, the outputs that the reader asked for.

    Raises:
        MethodError: a layer is no attention layer.
    """
    hooked: dict[AttentionLayer, tuple[Reader, dict[str, Tensor]]] = {}
    size = 4 * images * sum(layer.heads * layer.positions**2 for layer in layers)
    unfused = model.unfused and size <= MATRICES
    for layer in layers:
        part = model.module.get_submodule(layer.name)
        reader = reader_of(part)
        if reader is None:
            raise MethodError(f"Expected an attention layer at {layer.name!r}, but it is none")
        notes: dict[str, Tensor] = {}
        outputs = reader.outputs
        if reader.matrix and unfused:
            stack.enter_context(reader.unfused())
            outputs = (reader.matrix,)
        for path in (*outputs, *(reader.values if values else ())):
            hook = partial(_note_output, notes, path)
            stack.callback(part.get_submodule(path).register_forward_hook(hook).remove)
        if reader.needs_input:
            hook = partial(_note_input, notes, layer.name)
            stack.callback(part.register_forward_hook(hook, with_kwargs=True).remove)
        if reader.watched is not None:
            watch(stack, part.get_submodule(reader.watched), notes)
        hooked[layer] = reader, notes
    return hooked


def _note_output(
    notes: dict[str, Tensor], key: str, _module: nn.Module, _inputs: Any, output: Tensor
) -> None:
    notes[key] = output.detach()


def _note_input(
    notes: dict[str, Tensor],
    name: str,
    _module: nn.Module,
    inputs: tuple[Any, ...],
    named: dict[str, Any],
    _output: Any,
) -> None:
    given = [*inputs, *named.values()]
    tensors = [value for value in given if isinstance(value, Tensor)]
    for value in given:  # as Hugging Face's Swin tells its layers
        if isinstance(value, tuple | list) and [type(one) for one in value] == [int, int]:
            notes["grid"] = torch.tensor(value)
    if any(tensor is not tensors[0] for tensor in tensors):
        raise MethodError(
            f"Expected self-attention without a mask at {name!r}, but it attends to something "
            "else than its own input; leave the method attention out"
        )
    notes[""] = tensors[0].detach()
