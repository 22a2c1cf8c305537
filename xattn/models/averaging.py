"""Several networks as one: their probabilities or their logits, averaged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xattn.errors import UsageError, near
from xattn.images.cells import Cells
from xattn.images.preprocessing import Preprocessing
from xattn.models.attention import AttentionLayer
from xattn.models.interface import Model
from xattn.models.probing.outputs import VALUE, Outputs
from xattn.models.probing.probe import Seen
from xattn.settings.load import AVERAGES, Average, LoadSettings


class Averaged(nn.Module):
    """Networks of scores (n, classes), averaged to logits (n, classes).

    The mean of probabilities is formed from their logarithms, so that it has a gradient where all
    of them are near 0 or 1. Its logits are log p where classes exclude each other, else the log
    odds of each p.
    """

    def __init__(self, members: Sequence[Model], average: Average) -> None:
        super().__init__()
        self.members = nn.ModuleList(member.module for member in members)
        self._models = tuple(members)
        self.average = average
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of inputs (n, 3, height, width), normalised for the first."""
        first = self._models[0].preprocessing
        logits = []
        for model in self._models:
            scores = model.network(renormalised(x, first, model.preprocessing))
            logits.append(model.outputs.logits(scores))
        return combined(torch.stack(logits), self.average, self._models[0].outputs)


def combined(logits: Tensor, average: Average, outputs: Outputs) -> Tensor:
    """Average logits (members, n, classes) to logits (n, classes); of values those themselves.

    Args:
        logits: of each member.
        average: "logits", or "probabilities".
        outputs: of the members: whether probabilities are those of a softmax, or each of a sigmoid.
    """
    if average == "logits" or outputs.of_value:
        return logits.mean(dim=0)
    if outputs.exclusive:
        return logits.log_softmax(dim=2).logsumexp(dim=0) - torch.tensor(float(len(logits))).log()
    return F.logsigmoid(logits).logsumexp(dim=0) - F.logsigmoid(-logits).logsumexp(dim=0)


def renormalised(x: Tensor, given: Preprocessing, wanted: Preprocessing) -> Tensor:
    """Bring inputs (n, 3, height, width) from one mean and standard deviation to another.

    Args:
        x: the inputs.
        given: how they are normalised.
        wanted: how they shall be.
    """
    if (given.mean, given.std) == (wanted.mean, wanted.std):
        return x
    mean, std, to_mean, to_std = (
        torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None]
        for values in (given.mean, given.std, wanted.mean, wanted.std)
    )
    return (x * std + mean - to_mean) / to_std


class Ensemble(Model):
    """Several models, averaged; made by `ensemble`.

    What it explains is the average: see `alike` for the maps that go through it.

    Attributes:
        members: the models.
        average: "probabilities" or "logits".
    """

    def __init__(self, members: Sequence[Model], average: Average) -> None:
        self.members = tuple(members)
        self.average = average
        first = members[0]
        names = list(dict.fromkeys(member.architecture for member in members))
        super().__init__(
            Averaged(members, average),
            first.classes,
            first.preprocessing,
            architecture=f"ensemble of {len(members)} {' and '.join(names)}",
            source=_source(members, average),
        )
        outputs = [member.outputs for member in members]
        references = {one.reference for one in outputs}
        still = references.pop() if average == "logits" and len(references) == 1 else None
        exclusive, values = outputs[0].exclusive, outputs[0].of_value
        kind = "softmax" if exclusive else "sigmoid"
        self.outputs = Outputs(
            kind=VALUE if values else kind,
            exclusive=exclusive,
            given=len(first.classes),
            reference=still,
        )
        notes = [member.outputs_note for member in members if member.outputs_note]
        self.outputs_note = "; ".join([*dict.fromkeys(notes), self.in_words])

    def outputs_in_words(self) -> str:
        """Say what the outputs are and what is averaged."""
        usual = self.outputs.exclusive and not self.outputs.of_value
        return self.in_words if usual else f"{self.outputs.describe(self.classes)}; {self.in_words}"

    @property
    def in_words(self) -> str:
        """What is averaged, and of how many."""
        what = "values" if self.outputs.of_value else self.average
        return f"ensemble of {len(self.members)} models: the mean of their {what}"

    @property
    def on_pixels(self) -> bool:  # type: ignore[override]
        """Whether maps of the explained layer lie on the input's pixels: of unlike members."""
        return not self.alike

    @cached_property
    def alike(self) -> bool:
        """Whether the members share the explained layer: name, layout and where its cells look.

        Maps of that layer then go through the average: its activations are those of all members
        side by side, with the gradient of the averaged score. Else they are the mean of the
        members' maps.
        """
        first = self.members[0]
        return all(
            (member.target_layer, member.target_layout) == (first.target_layer, first.target_layout)
            and member.cells().is_near(first.cells())
            for member in self.members
        )

    @property
    def seen(self) -> list[Seen]:
        """Every layer of one probing forward pass of the first member."""
        return self.members[0].seen

    @property
    def target(self) -> Seen:
        """The explained layer of the first member."""
        return self.members[0].target

    @property
    def target_layer(self) -> str:
        """Path of the layer that the CAM family explains, within each member."""
        return " and ".join(dict.fromkeys(member.target_layer for member in self.members))

    def cells(self, layer: str | None = None) -> Cells:
        """Return where the cells of a layer's map lie in the input, in the first member.

        Args:
            layer: path of a layer with a grid; the explained one if not given.
        """
        return self.members[0].cells(None if layer == self.target_layer else layer)

    @property
    def attention_layers(self) -> tuple[AttentionLayer, ...]:
        """The attention layers that all members have and that can be read."""
        first = self.members[0].attention_layers
        rest = [set(member.attention_layers) for member in self.members[1:]]
        return tuple(layer for layer in first if all(layer in others for others in rest))

    def with_members(self, members: Sequence[Model]) -> Ensemble:
        """Return an ensemble of other members, such as faster copies.

        Args:
            members: as many.
        """
        made = Ensemble(members, self.average)
        made.source = self.source
        return made


def ensemble(models: Sequence[Model], *, average: Average = "probabilities") -> Ensemble:
    """Average several models, as people submit them.

    Maps are those of the average. Where the members share the explained layer, maps of the CAM
    family go through the average: the activations of all members side by side, weighted by the
    gradient of the averaged score. Saliency, integrated gradients, gradient SHAP and occlusion go
    through it in any case. All other maps are the mean of the members' maps.

    Args:
        models: two or more of the same classes in the same order, with inputs of one size that
            show the same part of an image; mean and standard deviation may differ.
        average: "probabilities" or "logits".

    Returns:
        A model like any other.

    Raises:
        UsageError: there are fewer than two, or they do not go together.

    Examples:
        >>> both = xattn.ensemble([xattn.load("model.pt"), xattn.load("model.pt")])
        >>> both
        <xattn.Model ensemble of 2 resnet18-ga, 2 classes, 112 x 144>
    """
    members = list(models)
    if average not in AVERAGES:
        raise UsageError(f"Unknown average {average!r}{near(average, AVERAGES)}")
    if len(members) < 2:
        raise UsageError(f"Expected two models or more for an ensemble, but got {len(members)}")
    first = members[0]
    for other in members[1:]:
        for what, ours, theirs in _compared(first, other):
            if ours != theirs:
                turned = what == "classes" and sorted(first.classes) == sorted(other.classes)
                way_out = _TURNED if turned else _WAYS_OUT.get(what, "")
                raise UsageError(
                    f"Expected members of an ensemble with the same {what}, but got {ours} of "
                    f"{_name(first)} and {theirs} of {_name(other)}{way_out}"
                )
    return Ensemble(members, average)


_WAYS_OUT = {
    "classes": "; --classes names the outputs of all of them",
    "input size": "; --size resamples those that can take another",
    "part of the image": "; --input-mode says it for all of them",
}


_TURNED = (
    "; their outputs stand in another order: save one of them with its classifier's rows in the "
    "order of the other"
)


def _compared(first: Model, other: Model) -> list[tuple[str, Any, Any]]:
    """Return what members share: its name, and that of two of them."""
    ours, theirs = first.preprocessing, other.preprocessing
    return [
        ("classes", ", ".join(first.classes), ", ".join(other.classes)),
        ("kind of outputs", _kind(first), _kind(other)),
        ("input size", f"{ours.size[0]} x {ours.size[1]}", f"{theirs.size[0]} x {theirs.size[1]}"),
        ("part of the image", ours.scaling, theirs.scaling),
        ("interpolation", ours.interpolation, theirs.interpolation),
        ("window", ours.window, theirs.window),
        ("device", str(first.device), str(other.device)),
    ]


def _kind(model: Model) -> str:
    if model.outputs.of_value:
        return "values"
    return "classes that exclude each other" if model.outputs.exclusive else "independent outputs"


def _name(model: Model) -> str:
    return str(model.source.get("path", model.architecture))


def _source(members: Sequence[Model], average: Average) -> dict[str, Any]:
    """Return the facts of where the members came from, as one model has them."""
    of_each = [member.source for member in members]
    said = dict.fromkeys(one.get("normalisation") for one in of_each)
    asked = [one.get("asked", LoadSettings()) for one in of_each]
    shared = all(one == asked[0] for one in asked)
    hashed = [one.get("sha256") for one in of_each]
    source: dict[str, Any] = {
        "members": of_each,
        "normalisation": "; ".join(str(text) for text in said if text),
        "notes": [],
        "guesses": [],
        "format": "ensemble",
        "asked": replace(asked[0] if shared else LoadSettings(), ensemble=average),
        "asked_alike": shared,
    }
    if all(hashed):
        text = " ".join([average, *map(str, hashed)])
        source["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return source
