"""Grad-CAM here and in the peers, as ratios to a bare forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import nn

from tests.benchmarks.harness import Ratio, Table, interleave, peak
from xattn.attribution.attribute import attribute_each
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.run.plan import make_plan
from xattn.models import build, wrap

BATCH, ROUNDS = 16, 9


CONVOLUTIONAL = ("resnet18", "efficientnet_b0")
ATTENDING = ("resnet18-ga", "resnet18-la", "resnet18-ela", "vit_tiny_patch16_224")


def grad_cam_table() -> Table:
    """Compare Grad-CAM for convolutional networks, 224 x 224, batches of 16, fp32."""
    columns = {name: _grad_cam(name) for name in CONVOLUTIONAL}
    return Table(f"Grad-CAM, B{BATCH}, 224 x 224, bare forward = 1", columns)


def attention_table() -> Table:
    """Compare Grad-CAM and attention maps for networks that attend."""
    columns = {name: _attention(name) for name in ATTENDING}
    return Table(f"Maps of attending networks, B{BATCH}, 224 x 224, bare forward = 1", columns)


def memory_table() -> Table:
    """Compare the peak memory of Grad-CAM with the bare forward's, ResNet18."""
    candidates = _grad_cams("resnet18")
    bare = peak(candidates["bare forward"])
    ratios = [Ratio(name, *3 * (peak(run) / bare,)) for name, run in candidates.items()]
    note = (
        "The highest sum of what PyTorch's allocator has handed out and not got back during a "
        "batch, by its profiler. The weights are not in it; the private copy has its own, 45 MB "
        f"for ResNet18, {45 * 2**20 / bare:.2f} of the bare forward's peak."
    )
    return Table(f"Peak memory, B{BATCH}, 224 x 224, bare forward = 1", {"resnet18": ratios}, note)


def _setup(name: str) -> tuple[nn.Module, torch.Tensor, Callable[[], object]]:
    torch.manual_seed(0)
    module = build(name, 2).eval()
    x = torch.randn(BATCH, 3, 224, 224)

    def bare() -> object:
        with torch.inference_mode():
            return module(x)

    return module, x, bare


FIVE = ("gradcam", "gradcam++", "hirescam", "xgradcam", "layercam")


def _ours(module: nn.Module, x: torch.Tensor, *names: str) -> Callable[[], object]:
    """As `xattn explain` makes maps of a batch: on the private copy, all methods from one pass."""
    model = wrap(module, classes=["a", "b"])
    plan = make_plan(model, names, ["predicted"], {})
    copied = make_fast_copy(model)
    return lambda: attribute_each(copied, x, plan.jobs, [None])


def _grad_cam(name: str) -> list[Ratio]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interleave("bare forward", _grad_cams(name), ROUNDS)


def _grad_cams(name: str) -> dict[str, Callable[[], object]]:
    from captum.attr import LayerGradCam
    from pytorch_grad_cam import GradCAM

    module, x, bare = _setup(name)
    layer = module.get_submodule(wrap(module, classes=["a", "b"]).target_layer)
    theirs = GradCAM(model=module, target_layers=[layer])
    captum = LayerGradCam(module, layer)
    targets = module(x).argmax(1)
    return {
        "bare forward": bare,
        "xattn": _ours(module, x, "gradcam"),
        "xattn, five CAMs at once": _ours(module, x, *FIVE),
        "captum": lambda: captum.attribute(x, target=targets, relu_attributions=True),
        "pytorch-grad-cam": lambda: theirs(input_tensor=x, targets=None),
    }


def _attention(name: str) -> list[Ratio]:
    module, x, bare = _setup(name)
    candidates = {
        "bare forward": bare,
        "xattn gradcam": _ours(module, x, "gradcam"),
        "xattn attention": _ours(module, x, "attention"),
    }
    if name.startswith("vit"):
        candidates["xattn rollout"] = _ours(module, x, "rollout")
    return interleave("bare forward", candidates, ROUNDS)
