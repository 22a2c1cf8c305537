"""What an attention layer's weights are made of, noted while the layer itself runs.

Whatever a layer does to its queries and keys before (norms, rotations) and to its logits (biases of
positions, masks), it ends in one call of `scaled_dot_product_attention`, or of a softmax. What goes
into the one, or comes out of the other, is noted; nothing of the layer's own path changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xattn.errors import MethodError
from xattn.models.attention.weights import DenseWeights, FullWeights

Note = Callable[[dict[str, Tensor]], None]
QUERY, KEY, VALUE, BIAS, MATRIX, CALLS = "query", "key", "value", "bias", "matrix", "calls"
"""Under which names it is noted; the queries are scaled."""


class Watching(TorchFunctionMode):
    """While it is entered, tells of each attention what it was made of.

    Args:
        tell: is called with `QUERY`, `KEY`, `VALUE` and, if there is one, `BIAS`; or with `MATRIX`,
            all of them detached.
    """

    def __init__(self, tell: Note) -> None:
        super().__init__()
        self.tell = tell

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        found = func(*args, **named)
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            self.tell(_noted(*args, **named))
        elif name == "softmax" and _of_pairs(found, *args[1:2], **named):
            self.tell({MATRIX: found.detach()})
        elif name == "multi_head_attention_forward":  # it shows nothing of what is inside
            self.tell({})
        return found


def _of_pairs(found: Any, dim: int | None = None, **_: Any) -> bool:
    """Whether a softmax is over positions; that of radix attention is over axis 1, the parts."""
    many = isinstance(found, Tensor) and found.ndim >= 3
    return many and dim is not None and dim % found.ndim > 1


def _noted(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (one.repeat_interleave(groups, dim=-3) for one in (key, value))
    scaled = query.detach() * (query.shape[-1] ** -0.5 if scale is None else scale)
    notes = {QUERY: scaled, KEY: key.detach(), VALUE: value.detach()}
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], device=query.device).tril().bool()
    if attn_mask is not None:
        bias = attn_mask.detach()
        if bias.dtype == torch.bool:
            bias = torch.zeros_like(bias, dtype=query.dtype).masked_fill(~bias, -torch.inf)
        notes[BIAS] = bias
    return notes


def watch(stack: ExitStack, part: nn.Module, notes: dict[str, Tensor]) -> None:
    """Note what a module's attention is made of, whenever it runs until the stack is left."""
    entered: list[Watching] = []

    def tell(found: dict[str, Tensor]) -> None:
        notes.update(found)
        notes[CALLS] = notes.get(CALLS, torch.zeros(())) + 1

    def enter(_part: nn.Module, _inputs: Any) -> None:
        notes.clear()
        entered.append(Watching(tell))
        entered[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(_part: nn.Module, _inputs: Any, _output: Any) -> None:
        entered.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]

    stack.callback(part.register_forward_pre_hook(enter).remove)
    stack.callback(part.register_forward_hook(leave, always_call=True).remove)


def weights_of(notes: Mapping[str, Tensor]) -> Tensor:
    """Return the weights that were noted, (..., heads, queries, keys).

    Raises:
        MethodError: the layer did not attend once, so that it is not known which weights are its.
    """
    calls = int(notes.get(CALLS, 0))
    if calls != 1 or not {MATRIX, QUERY} & {*notes}:
        raise MethodError(
            f"Expected a layer that attends once, but it did {calls} times; leave the method "
            "attention out"
        )
    if MATRIX in notes:
        return notes[MATRIX]
    logits = notes[QUERY] @ notes[KEY].transpose(-2, -1)
    return (logits + notes[BIAS] if BIAS in notes else logits).softmax(dim=-1)


def dense_weights(notes: Mapping[str, Tensor]) -> DenseWeights | FullWeights:
    """Return the weights that were noted of all positions among themselves.

    They stay unbuilt where queries and keys are known, and the bias is the same for every image.
    """
    bias = notes.get(BIAS)
    if (
        MATRIX in notes
        or int(notes.get(CALLS, 0)) != 1
        or (bias is not None and bias.ndim > 3 and len(bias) > 1)
    ):
        return FullWeights(weights_of(notes))
    if bias is not None:
        bias = bias.reshape(bias.shape[-3:]) if bias.ndim > 2 else bias[None]
        bias = bias.expand(notes[QUERY].shape[1], -1, -1)
    return DenseWeights(notes[QUERY], notes[KEY], bias)
