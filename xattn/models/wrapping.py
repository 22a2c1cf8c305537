"""Any classifier in memory, behind the common interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from xattn.errors import UsageError
from xattn.images.preprocessing import Preprocessing
from xattn.models.checkpoints.published import published_by
from xattn.models.checkpoints.transforms import to_preprocessing
from xattn.models.interface import Model, class_names
from xattn.models.matching.channels import channels_of, of_channels, with_channels
from xattn.models.matching.one_channel import same_for_all, takes_one
from xattn.models.probing.grey import in_grey
from xattn.models.probing.normalisation import inner_normalisation
from xattn.models.probing.outputs import VALUE
from xattn.settings.load import LoadSettings


class Adapted(nn.Module):
    """A network and what makes its inputs of colour images.

    Attributes:
        module: the network.
        grey: whether it takes one channel.
    """

    def __init__(
        self, module: nn.Module, forward: Callable[[nn.Module, Tensor], Any], grey: bool = False
    ) -> None:
        super().__init__()
        self.module = module
        self.grey = grey
        self._forward = forward
        self.training = module.training

    def forward(self, x: Tensor) -> Any:
        """Return what the network gives for images (n, 3, height, width)."""
        return self._forward(self.module, x)


def _in_grey(module: nn.Module, x: Tensor) -> Any:
    return module(in_grey(x))


def _adapted(
    module: nn.Module, forward: Callable[[nn.Module, Tensor], Any] | None, size: tuple[int, int]
) -> nn.Module:
    if forward is not None:
        return Adapted(module, forward)
    return Adapted(module, _in_grey, grey=True) if takes_one(module, size) else module


def wrap(
    module: nn.Module,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | Any | None = None,
    target_layer: str | None = None,
    arch: str = "custom",
    outputs: str = "auto",
    output: str | int | None = None,
    transform: Any | None = None,
    forward: Callable[[nn.Module, Tensor], Any] | None = None,
) -> Model:
    """Give any classifier the common interface, leaving it as it is.

    Args:
        module: maps (n, 3, height, width) to logits (n, classes); or to one logit or probability
            of two classes, to probabilities, to independent outputs, or to a tuple, dict or object
            that holds them. What it is, a few probing passes tell (`Model.outputs`). One that
            takes one channel sees images in grey, 0.299 R + 0.587 G + 0.114 B.
        classes: names in the order of the logits; of one output two, the negative first. Of values
            one each, and for a single value "value" if left out.
        preprocessing: a `Preprocessing`, or the evaluation transform of torchvision or timm, which
            is read. Default: as timm's record in the module says; without one 224 x 224, the
            shorter side scaled to 256 and cropped, ImageNet mean and standard deviation, as
            torchvision evaluates; but none of them where a layer of the module normalises.
        target_layer: path of the layer to explain; found by a probing forward if not given.
        arch: name of the architecture, for the record.
        outputs: "softmax" for logits of classes that exclude each other, "sigmoid" for independent
            logits, "probabilities", "value" for numbers that are measured (a regression),
            "ordinal" or "corn" for thresholds between ordered classes, or "auto": found by
            probing, and logits are of classes.
        output: which part of what the module returns holds the logits, by key, attribute or index;
            "logits" if there is one. Of a tensor, the index of a column.
        transform: another name of `preprocessing`.
        forward: called with the module and a batch (n, 3, height, width), returns what the module
            gives for it: for networks of two inputs, or of other channels. Layers are then named
            with `module.` before their paths.

    Returns:
        The model: `logits(batch)` of shape (n, classes), `target_layer`, `attention_layers`.

    Raises:
        UsageError: a class is named twice, or the transform cannot be read.
        MethodError: there are no logits in what the module returns (when first asked).
        CheckpointError: it gives another number of logits (when first asked).

    Examples:
        >>> network = torchvision.models.resnet18(num_classes=2)
        >>> model = xattn.wrap(network, classes=["benign", "malignant"])
        >>> model.logits(torch.zeros(3, 3, 224, 224)).shape
        torch.Size([3, 2])

        A network of an image and metadata, explained at the metadata of one patient:

        >>> class Fusion(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.images = torchvision.models.resnet18(num_classes=8)
        ...         self.head = torch.nn.Linear(8 + 2, 2)
        ...
        ...     def forward(self, images, metadata):
        ...         return self.head(torch.cat([self.images(images), metadata], dim=1))
        >>> patient = torch.tensor([[61.0, 1.0]])  # age, sex
        >>> model = xattn.wrap(
        ...     Fusion(),
        ...     classes=["benign", "malignant"],
        ...     forward=lambda net, x: net(x, patient.expand(len(x), -1)),
        ... )
        >>> model.logits(torch.zeros(3, 3, 224, 224)).shape
        torch.Size([3, 2])
    """
    if preprocessing is not None and transform is not None:
        raise UsageError("Expected preprocessing or transform, but got both")
    if classes is None and outputs != VALUE:
        raise UsageError("Expected the names of the classes (classes=[...]), but got none")
    classes = (VALUE,) if classes is None else classes
    given = preprocessing if transform is None else transform
    if given is None:
        read, source = published_by(arch, module)
        module = _adapted(module, forward, read.size)
        channels = channels_of(module, read.size)
        if channels != read.channels:
            read, _ = with_channels(read, channels)
            source = f"none, for nothing says those of {channels} channels"
        inside = inner_normalisation(module, read.size)
        if inside is not None:
            read = replace(read, mean=(0.0, 0.0, 0.0), std=inside[0])
            source = f"the network, which normalises inside ({inside[1]})"
        elif isinstance(module, Adapted) and module.grey:
            read = replace(read, mean=same_for_all(read.mean), std=same_for_all(read.std))
    else:
        read = to_preprocessing(given)
        source = "the call" if isinstance(given, Preprocessing) else "the transform in the call"
        module = _adapted(module, forward, read.size)
        if forward is None:
            read = of_channels(read, channels_of(module, read.size))
    asked = LoadSettings(
        arch=None if arch == "custom" else arch, classes=class_names(classes),
        target_layer=target_layer, outputs=outputs, output=output,
    )  # fmt: skip
    return Model(
        module,
        classes,
        read,
        architecture=arch,
        target_layer=target_layer,
        source={"normalisation": source, "asked": asked},
        outputs=outputs,
        output=output,
    )
