"""One pass of an ensemble: its members' explained layers side by side, as one layer.

The gradient of the averaged score by each member's activations holds the member's part in the
average; joined along the channels they are what Grad-CAM and its kin take of any one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import Tensor

from xattn.attribution.passes.capture import Captured, GraphStart, chosen, detached
from xattn.models.averaging import Ensemble, combined, renormalised
from xattn.models.probing.forward import evaluating


def capture_side_by_side(
    model: Ensemble,
    batch: Tensor,
    targets: Sequence[Tensor | None],
    *,
    gradients: bool = True,
    activations: bool = False,
) -> list[Captured]:
    """Capture what `capture_each` does, of all members of an ensemble.

    Args:
        model: an ensemble whose members share the explained layer, if it is needed.
        batch: inputs (n, 3, height, width), normalised for the first member.
        targets: class index per image, (n,); the predicted one where it is -1, or if None.
        gradients: whether activations and gradients at the explained layer are needed.
        activations: whether its activations are needed though no gradients are.

    Returns:
        One per entry of `targets`; activations and gradients (n, members * C, h, w).

    Raises:
        MethodError: an explained layer did not run, or the logits do not depend on it.
    """
    inputs = batch.to(model.device)
    found: list[Tensor] = []
    leaves: list[Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(model.module))
        for member in model.members:
            start = GraphStart(recording=gradients)
            with ExitStack() as own, torch.no_grad():  # the hook switches autograd on inside
                if gradients or activations:
                    layer = member.module.get_submodule(member.target_layer)
                    own.callback(layer.register_forward_hook(start.hook).remove)
                scores = member.network(
                    renormalised(inputs, model.preprocessing, member.preprocessing)
                )
                found.append(member.outputs.logits(scores))
                if gradients or activations:
                    leaves.append(start.leaf_of(scores, member.target_layer))
        with torch.set_grad_enabled(gradients):
            logits = combined(torch.stack(found), model.average, model.outputs)
            rows = model.outputs.contrast()
            scores = logits if rows is None else logits @ rows.to(logits).T
    layouts = [member.target_layout for member in model.members] if leaves else []
    first = Captured(
        logits.detach(), chosen(logits.detach(), None), inputs=inputs, scores=scores.detach()
    )
    if leaves:
        first.activations = torch.cat(
            [layout.spatial(leaf.detach()) for layout, leaf in zip(layouts, leaves, strict=True)], 1
        )
    captured = []
    for i, wanted in enumerate(targets):
        one = replace(first, targets=chosen(first.logits, wanted))
        if gradients:
            picked = scores.gather(1, one.targets[:, None]).sum()
            last = i == len(targets) - 1
            parts = torch.autograd.grad(picked, leaves, allow_unused=True, retain_graph=not last)
            if any(part is None for part in parts):
                raise detached(model.target_layer)
            one.gradients = torch.cat(
                [layout.spatial(part) for layout, part in zip(layouts, parts, strict=True)], 1
            )
        captured.append(one)
    return captured
