"""Activations and gradients of every kind of outputs, and captum's TCAV as a reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.concept import TCAV, Classifier, Concept
from torch import nn

from tests.analysis.concepts.hand_set import _Asked
from tests.models.nets import SIZE, Conv, plain, vit, with_statistics, wrapped
from xattn.analysis.concepts.pooled import PooledLayer, pool
from xattn.analysis.concepts.vectors import FOLDS, concept_vectors, projected
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.models import Model, ensemble, wrap


def net(outputs: int, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = with_statistics(Conv()).eval()
        # Bent after the layer, so that gradients differ from image to image.
        made.fc = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, outputs))
        return made


def images(n: int = 5) -> torch.Tensor:
    return torch.rand(n, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def numbers(classes: int, outputs: str = "auto", given: int | None = None, seed: int = 0) -> Model:
    names = [f"c{i}" for i in range(classes)]
    module = net(given or classes, seed)
    return wrap(module, classes=names, preprocessing=plain(SIZE), outputs=outputs)


def layer_of(model: Model, x: torch.Tensor) -> PooledLayer:
    return PooledLayer("", tuple(model.classes), np.arange(len(x)), *pool(model, x))


def shifted_logits(model: Model, x: torch.Tensor, channel: int, by: float) -> torch.Tensor:
    """Run the model with one channel of the explained layer shifted at every position."""
    layout = model.target_layout

    def shift(_part, _inputs, output):
        moved = output.clone()
        layout.spatial(moved)[:, channel] += by
        return moved

    handle = model.module.get_submodule(model.target_layer).register_forward_hook(shift)
    with torch.no_grad():
        found = model.logits(x)
    handle.remove()
    return found.double()


@pytest.mark.parametrize(
    "make",
    [
        lambda: numbers(2),
        lambda: numbers(2, given=1),
        lambda: numbers(4),
        lambda: numbers(3, "sigmoid"),
        lambda: numbers(2, "value"),
        lambda: wrapped(vit()),
        lambda: ensemble([numbers(2), numbers(2, seed=1)]),
    ],
    ids=["two", "one-logit", "four", "independent", "values", "tokens", "ensemble"],
)
def test_gradients_say_what_logits_do_if_a_channel_shifts_everywhere(make):
    torch.manual_seed(0)
    model, x = make(), images()
    activations, gradients, logits = pool(model, x)
    assert logits.shape == (5, len(model.classes))
    assert gradients.shape == (5, len(model.classes), activations.shape[1])
    np.testing.assert_allclose(logits, model.logits(x).detach().double(), atol=1e-5)
    if model.members:
        return  # channels of both members, side by side
    for channel in (0, activations.shape[1] - 1):
        up, down = (shifted_logits(model, x, channel, by) for by in (0.002, -0.002))
        slow = ((up - down) / 0.004).numpy()
        scale = np.abs(gradients).max()
        np.testing.assert_allclose(
            gradients[:, :, channel], slow, atol=5e-2 * scale
        )  # of ReLUs that turn


def test_a_score_is_differentiated_as_the_log_odds_of_its_classes():
    model, x = numbers(4), images()
    layer = layer_of(model, x)
    asked = Question(_Asked.__new__(_Asked), Positive.of(model.classes, ["c1", "c3"]))
    (score,) = layer.scores_of(asked)
    assert score.name == "c1 or c3"
    step = 1e-3
    moved = layer.logits + step * layer.gradients[:, :, 2]
    slow = (asked.positive.log_odds(moved) - asked.positive.log_odds(layer.logits)) / step
    np.testing.assert_allclose(score.gradients[:, 2], slow, atol=1e-3)
    each = layer.scores_of(Question(_Asked.__new__(_Asked), Positive.of(model.classes)))
    assert [one.name for one in each] == list(model.classes)


class Differences(Classifier):
    """A concept's vector as a linear classifier: the difference of the two sets' pooled means."""

    grid = 8 * 12

    def __init__(self) -> None:
        self.vector = torch.empty(0)

    def train_and_eval(self, dataloader, **_):
        inputs, labels = (torch.cat(part) for part in zip(*dataloader, strict=True))
        pooled = inputs.reshape(len(inputs), -1, self.grid).mean(2)
        difference = pooled[labels == 0].mean(0) - pooled[labels == 1].mean(0)
        self.vector = difference.repeat_interleave(self.grid)

    def weights(self):
        return torch.stack([self.vector, -self.vector])

    def classes(self):
        return [0, 1]


def test_signs_and_means_of_derivatives_are_those_of_captums_tcav(tmp_path):
    model, x = numbers(2), images(40)
    has = np.arange(40) % 3 == 0
    layer = layer_of(model, x)
    # One label and no cross-fitting: every fold's vector is made of the same images.
    label = np.zeros(40, dtype=np.intp)
    (vector,) = concept_vectors(
        np.tile(layer.activations, (FOLDS, 1)), np.tile(has, FOLDS)[None],
        np.tile(label, FOLDS), np.repeat(np.arange(FOLDS), 40),
    )  # fmt: skip
    ours = projected(layer.gradients[:, 1], vector[None], np.arange(40) % FOLDS)[0]
    concepts = [Concept(i, str(i), [x[i_has]]) for i, i_has in enumerate((has, ~has))]
    theirs = TCAV(
        model.module, model.target_layer, classifier=Differences(), save_path=str(tmp_path)
    ).interpret(x, [concepts], target=1)
    scores = theirs["0-1"][model.target_layer]
    assert float(scores["sign_count"][0]) == pytest.approx((ours > 0).mean())
    assert float(scores["magnitude"][0]) == pytest.approx(ours.mean(), rel=1e-4)
