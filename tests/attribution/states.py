"""A model's state, to see that explaining leaves no trace."""

from __future__ import annotations

import torch
from torch import nn


class Snapshot:
    """All of a module's state that explaining could disturb."""

    def __init__(self, module: nn.Module) -> None:
        self.training = [part.training for part in module.modules()]
        self.hooks = [
            (dict(p._forward_hooks), dict(p._forward_pre_hooks), dict(p._backward_hooks),
             dict(p._forward_hooks_with_kwargs))
            for p in module.modules()
        ]  # fmt: skip
        self.requires = [p.requires_grad for p in module.parameters()]
        self.grads = [p.grad if p.grad is None else p.grad.clone() for p in module.parameters()]
        self.state = {k: v.clone() for k, v in module.state_dict().items()}

    def check(self, module: nn.Module) -> None:
        now = Snapshot(module)
        assert now.training == self.training
        assert now.hooks == self.hooks
        assert now.requires == self.requires
        assert all(torch.equal(now.state[k], v) for k, v in self.state.items())
        for old, new in zip(self.grads, now.grads, strict=True):
            assert (old is None) == (new is None)
            assert old is None or torch.equal(old, new)


def unsettle(module: nn.Module) -> None:
    """Mixed flags, mixed requires_grad, gradients here and there, a hook of the user's own."""
    module.train()
    for i, part in enumerate(list(module.modules())):
        if i % 3 == 1:
            part.training = False
    for i, parameter in enumerate(module.parameters()):
        parameter.requires_grad_(i % 4 != 0)
        parameter.grad = torch.full_like(parameter, 0.5) if i % 2 else None
    module.register_forward_hook(lambda *_: None)
