from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from tests.training.recipes import tiny_recipe
from xattn.errors import XattnError
from xattn.models import build, wrap
from xattn.splits.samples import Sample
from xattn.training.augmentations import AUGMENTATIONS, Augmentation
from xattn.training.dataset import Dataset
from xattn.training.decoding import DecodedImages
from xattn.training.module import Classifier, balanced_weights


def dataset(n: int = 24, size: int = 16) -> Dataset:
    rng = np.random.default_rng(0)
    samples = tuple(Sample(f"i{i}", Path(), int(i % 4 == 0)) for i in range(n))
    pixels = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    names = ["train", "train", "val", "test"]
    splits = {s.id: names[i // 4 % 4] for i, s in enumerate(samples)}
    return Dataset(Path(), ("benign", "malignant"), DecodedImages(samples, pixels, {}, ()), splits)


def classifier(**changes) -> Classifier:
    torch.manual_seed(0)
    return Classifier(build("tiny", 2), tiny_recipe(**changes), dataset())


@pytest.mark.parametrize("counts", [(5, 5), (90, 10), (1, 2, 7)])
def test_balanced_weights_equal_scikit_learns(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    assert balanced_weights(labels, len(counts)).numpy() == pytest.approx(expected)


def test_class_weights_come_from_the_training_images_alone_and_can_be_off():
    labels = dataset().labels("train")
    assert torch.equal(classifier().class_weights, balanced_weights(labels, 2))
    assert torch.equal(classifier(class_weights="none").class_weights, torch.ones(2))


def test_the_loss_is_weighted_cross_entropy():
    module = classifier()
    logits, labels = torch.randn(6, 2), torch.tensor([0, 1, 0, 0, 0, 1])
    each = F.cross_entropy(logits, labels, reduction="none")
    weights = module.class_weights[labels]
    expected = (weights * each).sum() / weights.sum()
    assert torch.allclose(module._loss(logits, labels, ""), expected)


def test_training_sees_the_same_input_as_the_checkpoint_will():
    module = classifier().eval()
    stored = module.dataset.images.pixels[:3]
    pixels, _ = next(iter(module.batches(np.arange(3))))
    model = wrap(
        module.network.eval(), classes=("a", "b"), preprocessing=module.recipe.preprocessing
    )
    with torch.no_grad():
        again = model.logits(model.normalise(torch.from_numpy(stored)))
        assert torch.allclose(module.predict_step((pixels, None)), again, atol=1e-5)


def test_a_step_follows_from_seed_epoch_and_batch_whatever_was_drawn_before(monkeypatch):
    module = classifier(augment="dermoscopy")
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    batch = next(iter(module.train_dataloader()))

    def loss(batch_idx: int) -> float:
        module.on_train_batch_start(batch, batch_idx)
        return module.training_step(batch, batch_idx).item()

    first = loss(0)
    torch.rand(5)
    assert loss(0) == first
    assert loss(1) != first  # the same images, otherwise augmented and dropped out


def test_vectors_and_scalars_are_spared_from_decay():
    module = classifier(weight_decay=0.3)
    groups = module.configure_optimizers()["optimizer"].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in module.network.named_parameters():
        assert decay[id(parameter)] == (0.3 if parameter.ndim > 1 else 0.0), name


def test_position_embeddings_are_spared_from_decay_wherever_they_are():
    network = build("test_resnet-la", 2)
    module = Classifier(network, tiny_recipe(weight_decay=0.3), dataset())
    groups = module.configure_optimizers()["optimizer"].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    block = network.layer4.la
    assert decay[id(block.row)] == decay[id(block.column)] == decay[id(block.gate)] == 0
    assert decay[id(block.query.weight)] == 0.3


def test_a_loss_that_is_no_number_names_the_place_and_the_way_out():
    module = classifier(lr=0.7)
    with pytest.raises(XattnError, match=r"nan in epoch 1, batch 3: .*lower `lr`.*now 0\.7"):
        module._loss(torch.full((2, 2), torch.nan), torch.tensor([0, 1]), "batch 3")


def test_an_augmentation_that_was_registered_can_be_named_in_a_recipe(monkeypatch):
    seen = []

    def inverted(images, generator):
        seen.append(generator.initial_seed())
        return 1 - images

    entry = Augmentation("inverted", "Bright where it was dark.", inverted)
    monkeypatch.setitem(AUGMENTATIONS, "inverted", entry)
    module = classifier(augment="inverted")
    module.log = lambda *_args, **_options: None
    batch = next(iter(module.batches(np.arange(4))))
    module.eval()
    loss = module.training_step(batch, 0)
    plain = classifier(augment="none").eval()
    assert torch.equal(loss, plain._loss(plain(1 - batch[0].float() / 255), batch[1], ""))
    assert len(seen) == 1
