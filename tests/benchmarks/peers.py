"""What others do for the same maps, as their documentation has one write it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Run = Callable[[], object]


def grad_cams(module: nn.Module, layer: str, x: Tensor) -> dict[str, Run]:
    """Return Grad-CAM of a convolutional network in each of the peers.

    Args:
        module: in evaluation mode.
        layer: path of the explained layer.
        x: images (n, 3, height, width).
    """
    from captum.attr import LayerGradCam
    from monai.visualize import GradCAM as Monai
    from pytorch_grad_cam import GradCAM
    from torchcam.methods import GradCAM as TorchCam

    explained = module.get_submodule(layer)
    usual = GradCAM(model=module, target_layers=[explained])
    captum = LayerGradCam(module, explained)
    monai = Monai(nn_module=module, target_layers=layer)
    targets = module(x).argmax(1)

    def torch_cam() -> object:
        with TorchCam(module, target_layer=layer) as extract:
            scores = module(x)
            return extract(targets.tolist(), scores)

    return {
        "captum": lambda: captum.attribute(x, target=targets, relu_attributions=True),
        "pytorch-grad-cam": lambda: usual(input_tensor=x, targets=None),
        "torch-cam": torch_cam,
        "MONAI": lambda: monai(x=x),
    }


def eager_attention(x: Tensor) -> Run:
    """Return a pass of a ViT-Ti of transformers that gives out its attention; no map is made."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=192,
        num_attention_heads=3,
        intermediate_size=768,
        num_labels=2,
        attn_implementation="eager",
    )
    model = ViTForImageClassification(config).eval()

    def run() -> object:
        with torch.inference_mode():
            return model(x, output_attentions=True).attentions

    return run
