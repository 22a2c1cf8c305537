"""LayerCAM with earlier stages fused in, against a slow twin of the formula."""

from __future__ import annotations

import numpy as np
import torch

from tests.models.nets import SIZE, Conv, with_statistics, wrapped
from xattn.attribution.attribute import attribute
from xattn.attribution.registry import method


def slow_layercam(net: Conv, x: torch.Tensor, target: int) -> dict[str, np.ndarray]:
    """LayerCAM of both batch norms by full graphs, position by position."""
    kept = {}

    def keep(name):
        def hook(_part, _inputs, output):
            output.retain_grad()
            kept[name] = output
            return output.clone()

        return hook

    handles = [getattr(net, n).register_forward_hook(keep(n)) for n in ("bn1", "bn2")]
    net.zero_grad()
    net(x.clone().requires_grad_(True))[0, target].backward()
    for handle in handles:
        handle.remove()
    maps = {}
    for name, a in kept.items():
        values, gradients = a[0].detach().numpy(), a.grad[0].numpy()
        maps[name] = np.maximum((np.maximum(gradients, 0) * values).sum(axis=0), 0)
    return maps


def test_an_earlier_stage_is_fused_in_at_its_own_places():
    torch.manual_seed(3)
    net = with_statistics(Conv()).eval()
    model, x = wrapped(net), torch.rand(1, 3, *SIZE)
    found = attribute(model, x, "layercam[stages=2]", 1)[0].numpy()
    maps = slow_layercam(net, x, 1)
    deep, early = maps["bn2"], maps["bn1"]
    coarse, fine = model.cells("bn2"), model.cells("bn1")
    assert method("layercam[stages=2]").cells(model) == fine
    raised = np.tanh(2 * early / early.max())
    for i, y in enumerate(fine.y):
        for j, z in enumerate(fine.x):
            line = [np.interp(z, coarse.x, row) for row in deep]
            expected = max(np.interp(y, coarse.y, line) / deep.max(), raised[i, j]) * deep.max()
            assert abs(found[i, j] - expected) < 1e-5 * deep.max()


def test_an_image_without_positive_attribution_has_none_in_any_stage():
    net = Conv().eval()
    with torch.no_grad():
        net.fc.weight.zero_()
        net.fc.weight[0] = -1.0
    model, x = wrapped(net), torch.rand(1, 3, *SIZE)
    found = attribute(model, x, "layercam[stages=2]", 0)
    assert not found.any()
