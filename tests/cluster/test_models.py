"""How a model gets to a worker."""

from __future__ import annotations

import torch

from tests.models.nets import wrapped
from xattn.cluster.models import received, to_send
from xattn.models import build, load, save_checkpoint


def test_a_model_from_a_file_is_loaded_by_the_worker_and_another_travels(tmp_path):
    torch.manual_seed(0)
    model = wrapped(build("test_resnet-ga", 2).eval(), (32, 32))
    assert received(to_send(model)) is model
    path = tmp_path / "model.pt"
    save_checkpoint(
        path, model.module, architecture="test_resnet-ga", classes=model.classes,
        preprocessing=model.preprocessing,
    )  # fmt: skip
    sent = to_send(load(path))
    assert sent[0] == str(path)
    assert received(sent).classes == model.classes
