"""Any classifier in memory, behind the common interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from xattn.errors import UsageError
from xattn.images.preprocessing import Preprocessing
from xattn.models.checkpoints.published import published_by
from xattn.models.checkpoints.transforms import to_preprocessing
from xattn.models.interface import Model, class_names
from xattn.models.probing.outputs import VALUE
from xattn.settings.load import LoadSettings


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
) -> Model:
    """Give any classifier the common interface, leaving it as it is.

    Args:
        module: maps (n, 3, height, width) to logits (n, classes); or to one logit or probability
            of two classes, to probabilities, to independent outputs, or to a tuple, dict or object
            that holds them. What it is, a few probing passes tell (`Model.outputs`).
        classes: names in the order of the logits; of one output two, the negative first. Of values
            one each, and for a single value "value" if left out.
        preprocessing: a `Preprocessing`, or the evaluation transform of torchvision or timm, which
            is read. Default: as timm's record in the module says; without one 224 x 224, the
            shorter side scaled to 256 and cropped, ImageNet mean and standard deviation, as
            torchvision evaluates.
        target_layer: path of the layer to explain; found by a probing forward if not given.
        arch: name of the architecture, for the record.
        outputs: "softmax" for logits of classes that exclude each other, "sigmoid" for independent
            logits, "probabilities", "value" for numbers that are measured (a regression), or
            "auto": found by probing, and logits are of classes.
        output: which part of what the module returns holds the logits, by key, attribute or index;
            "logits" if there is one. Of a tensor, the index of a column.
        transform: another name of `preprocessing`.

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
    """
    if preprocessing is not None and transform is not None:
        raise UsageError("Expected preprocessing or transform, but got both")
    if classes is None and outputs != VALUE:
        raise UsageError("Expected the names of the classes (classes=[...]), but got none")
    classes = (VALUE,) if classes is None else classes
    given = preprocessing if transform is None else transform
    if given is None:
        read, source = published_by(arch, module)
    else:
        read = to_preprocessing(given)
        source = "the call" if isinstance(given, Preprocessing) else "the transform in the call"
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
