"""pytorch-grad-cam's other methods give what the library gives when it runs the model itself."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from tests.models.nets import Conv, vit, with_statistics, wrapped
from xattn.attribution.passes.capture import capture
from xattn.attribution.registry import METHODS
from xattn.attribution.run.pipeline import explain
from xattn.errors import MethodError
from xattn.models import Model

FORMULAS = {
    name: m.library_class
    for name, m in METHODS.items()
    if name.startswith("pytorch-") and hasattr(m, "library_class")
}


def resnet() -> Model:
    torch.manual_seed(0)
    net = with_statistics(timm.create_model("test_resnet", num_classes=2)).double().eval()
    return wrapped(net, (96, 160))


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestTheLibrary:
    @pytest.mark.parametrize("name", FORMULAS)
    def test_gives_the_same_before_it_scales(self, name):
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        model = resnet()
        x, targets = torch.randn(2, 3, 96, 160, dtype=torch.float64), torch.tensor([0, 1])
        raw = []

        class Raw(getattr(pytorch_grad_cam, FORMULAS[name])):
            def get_cam_image(self, *arguments: object) -> np.ndarray:
                raw.append(super().get_cam_image(*arguments))
                return raw[-1]

        ours = METHODS[name].maps(model, capture(model, x, targets)).numpy()
        layer = model.module.get_submodule(model.target_layer)
        with Raw(model.module, [layer]) as library:
            library(x, [ClassifierOutputTarget(int(t)) for t in targets])
        assert np.abs(raw[0]).max() > 0
        np.testing.assert_allclose(np.abs(ours), np.abs(raw[0]), rtol=1e-5, atol=1e-8)

    def test_gives_the_same_fullgrad(self):
        from pytorch_grad_cam import FullGrad
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        model = resnet()
        x, targets = torch.randn(1, 3, 96, 160, dtype=torch.float64), torch.tensor([1])
        captured = capture(model, x, targets, gradients=False)
        ours = METHODS["pytorch-grad-cam/fullgrad"].maps(model, captured).numpy()
        with FullGrad(model.module, []) as library:
            theirs = library(x, [ClassifierOutputTarget(1)])
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_fullgrad_is_refused_where_it_would_ignore_biases():
    with pytest.raises(MethodError, match=r"ignores the bias of .*use integrated-gradients"):
        METHODS["pytorch-grad-cam/fullgrad"].check(wrapped(vit()))


def test_names_with_a_slash_are_stored_and_read_back(tmp_path):
    from PIL import Image

    Image.new("RGB", (60, 40), (90, 50, 20)).save(tmp_path / "a.png")
    names = ["gradcam", "pytorch-grad-cam/fem", "pytorch-grad-cam/gradcam-elementwise"]
    model = wrapped(resnet().module.float(), (96, 160))
    run = explain(model, tmp_path / "a.png", methods=names, out=tmp_path / "run", target="all")
    assert run.methods[:3] == names
    for name in run.methods:
        assert run.maps(name).shape == (1, 3, 5)
        assert (run.path / "overlays" / name / "a.png").is_file()
    again = explain(model, tmp_path / "a.png", methods=names, out=tmp_path / "run", target="all")
    assert again.methods == run.methods


def test_fullgrad_is_refused_where_layers_run_out_of_their_order():
    """It would put one layer's bias with another's gradient."""

    class Backwards(Conv):
        def __init__(self) -> None:
            super().__init__()
            self.conv0 = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.conv0(x))

    with pytest.raises(MethodError, match="'conv0' runs before 'conv1'"):
        METHODS["pytorch-grad-cam/fullgrad"].check(wrapped(Backwards().eval()))
