"""A trained classifier as everything else here sees it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xattn.errors import ImageError, MethodError, UsageError, XattnError
from xattn.images.cells import Cells
from xattn.images.channels import COLOURS
from xattn.images.levels import LevelError, Levels, channels_to_levels, to_levels
from xattn.images.preprocessing import Preprocessing
from xattn.models.attention import AttentionLayer
from xattn.models.checkpoints.programs import shows_no_layers, ways_without_layers
from xattn.models.probing.attention_layers import find_attention_layers, find_unread_attention
from xattn.models.probing.cell_places import find_cells
from xattn.models.probing.find_outputs import find_outputs
from xattn.models.probing.forward import evaluating, model_dtype, way_out
from xattn.models.probing.outputs import Network, Outputs, check_kind
from xattn.models.probing.probe import Layout, Seen, check_target_layer, find_target_layer, probe
from xattn.notebook import facts_html

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")


def class_names(classes: Sequence[str]) -> list[str]:
    """Return class names as a list.

    Raises:
        UsageError: one of them is there twice, or they are one text instead of several.
    """
    if isinstance(classes, str):
        raise UsageError(f"Expected a list of class names, but got the text {classes!r}")
    if twice := [name for i, name in enumerate(classes) if name in list(classes)[:i]]:
        raise UsageError(
            f"Expected every class once, but got {twice[0]!r} more than once in "
            f"{', '.join(classes)}; give outputs of one name names of their own with --classes"
        )
    return list(classes)


class Model:
    """A classifier with its classes, its preprocessing, and what can be explained of it.

    Nothing about the module is changed by wrapping it, nor by anything that is asked of it here:
    flags, gradients, buffers and hooks are afterwards as they were.

    Attributes:
        module: the classifier, mapping (n, channels, height, width) to logits (n, classes), or to
            what `Outputs` makes logits of.
        classes: names in the order of the logits.
        preprocessing: how an image becomes an input.
        architecture: its name, or "custom".
        options: what the architecture was built with.
        source: facts about where it came from, for the record: path, sha256, format.
        unfused: whether attention layers that are hooked may form their weights in the open,
            which moves the logits by rounding; set on private copies alone.
        engine, engine_note: what a private copy's layers run in, and why not in what was wanted.
        trunk: what runs a private copy's layers up to the explained one; None for torch.
        precision, precision_note: what these layers compute in, "32", "bf16" or "16" (of an
            ensemble those of its members), and why not in what was wanted.
        lowered: what pauses a precision below 32; None where there is none.
        members: the models of an ensemble; none otherwise.
        on_pixels: whether maps of the explained layer lie on the input's pixels, as the mean of
            maps of unlike layers does.
        outputs_note: what was assumed of the outputs, once they were looked at; "" if nothing.
    """

    unfused = False
    engine = engine_note = ""
    trunk: Any = None
    precision = "32"
    precision_note = ""
    lowered: Any = None
    outputs_note = ""
    members: tuple[Model, ...] = ()
    on_pixels = False

    def __init__(
        self,
        module: nn.Module,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        *,
        architecture: str = "custom",
        options: dict[str, Any] | None = None,
        target_layer: str | None = None,
        source: dict[str, Any] | None = None,
        outputs: str = "auto",
        output: str | int | None = None,
    ) -> None:
        self.module = module
        self.classes = class_names(classes)
        self.preprocessing = preprocessing
        self.architecture = architecture
        self.options = dict(options or {})
        self.source = dict(source or {})
        self._wanted_layer = target_layer
        self._cells: dict[str, Cells] = {}
        self._wanted_outputs = check_kind(outputs), output

    def __repr__(self) -> str:
        h, w = self.preprocessing.size
        return f"<xattn.Model {self.architecture}, {len(self.classes)} classes, {h} x {w}>"

    def _repr_html_(self) -> str:
        pre = self.preprocessing
        outputs = ""
        try:  # a probing forward; what cannot be explained can still be shown
            outputs = self.outputs.describe(self.classes)
            layer = f"{self.target_layer} ({self.target_layout.grid[0]} x "
            layer += f"{self.target_layout.grid[1]}, {self.target_layout.kind})"
            attention = ", ".join(one.name for one in self.attention_layers) or "none"
        except XattnError as err:
            layer, attention = f"none: {err}", ""
        source = self.source.get("normalisation")
        said = f" ({source})" if source else ""
        return facts_html(
            f"Model {self.architecture}",
            {
                "classes": ", ".join(self.classes),
                "outputs": outputs,
                "input": f"{pre.size[0]} x {pre.size[1]} pixels (height x width), {pre.scaling}",
                "mean, std": f"{list(pre.mean)}, {list(pre.std)}{said}",
                "target layer": layer,
                "attention layers": attention,
            },
        )

    def preprocess(self, image: Image.Image | NDArray[Any]) -> Tensor:
        """Turn one upright image into an input of this model.

        Args:
            image: a PIL image of any mode, or an array (H, W) or (H, W, 3) of 8 or 16 bits.
                Deeper ones are scaled as `explain` scales a file, and not rounded. For a model of
                another number of channels, (H, W, channels), or a PIL image of as many bands.

        Returns:
            (channels, height, width), normalised, on the CPU, of the model's type.

        Raises:
            ImageError: it is no image, or of a depth that cannot be shown.
        """
        from PIL import Image

        given = image if isinstance(image, Image.Image) else np.asarray(image)
        if not isinstance(given, Image.Image) and not _are_pixels(
            given, self.preprocessing.channels
        ):
            raise ImageError(_no_image(image))
        try:
            levels = self._levels(given)
        except LevelError as err:
            raise ImageError(str(err)) from None
        pixels = self.preprocessing.pixels(levels)
        return self.normalise(torch.tensor(pixels))  # a copy: Pillow's memory is read-only

    def _levels(self, image: Image.Image | NDArray[Any]) -> Levels:
        window, channels = self.preprocessing.window, self.preprocessing.channels
        if channels == COLOURS:
            return to_levels(image, window)[0]
        values = np.atleast_3d(np.asarray(image))
        if values.shape[2] != channels:
            raise ImageError(
                f"Expected an array (H, W, {channels}), as the network takes {channels} channels, "
                f"but got {np.asarray(image).shape}"
            )
        return channels_to_levels(values, window)[0]

    def normalise(self, pixels: Tensor) -> Tensor:
        """Scale and normalise pixels of 0 to 255 (..., height, width, channels), 8 bits or float.

        Args:
            pixels: as `Preprocessing.pixels` gives them.

        Returns:
            (..., channels, height, width), of the model's type.
        """
        dtype, _ = model_dtype(self.module)
        mean = torch.tensor(self.preprocessing.mean, dtype=dtype, device=pixels.device)
        std = torch.tensor(self.preprocessing.std, dtype=dtype, device=pixels.device)
        return ((pixels.to(dtype) / 255 - mean) / std).movedim(-1, -3).contiguous()

    def logits(self, batch: Tensor) -> Tensor:
        """Map inputs (n, 3, height, width) to logits (n, classes), in evaluation mode."""
        with evaluating(self.module):
            return self.outputs.logits(self.network(batch.to(self.device)))

    def probabilities(self, batch: Tensor) -> Tensor:
        """Map inputs (n, 3, height, width) to probabilities (n, classes), in float64."""
        return self.outputs.probabilities(self.logits(batch).double())

    @property
    def network(self) -> nn.Module:
        """What maps inputs to scores (n, classes), each what its class's maps explain.

        The module itself, where it gives logits of classes; else the module with what makes
        scores of its outputs after it. See `Outputs.logits` for what a score is.
        """
        outputs = self.outputs
        if outputs.plain:
            return self.module
        dtype, device = model_dtype(self.module)
        return Network(self.module, outputs, torch.empty(0, dtype=dtype, device=device))

    @cached_property
    def outputs(self) -> Outputs:
        """What the module's outputs are, by a few probing passes.

        Raises:
            MethodError: it takes no inputs of this size, or gives no logits.
            CheckpointError: its outputs do not fit the classes, or what was said of them.
        """
        kind, output = self._wanted_outputs
        found, self.outputs_note = self._foreign(
            lambda: find_outputs(
                self.module,
                self.preprocessing.size,
                self.classes,
                kind=kind,
                output=output,
                channels=self.preprocessing.channels,
            )
        )
        return found

    def outputs_in_words(self) -> str:
        """Say what the outputs are, and what was assumed of them; "" for two usual logits."""
        usual = self.outputs.plain and self.outputs.exclusive
        if usual:
            return self.outputs_note
        said = self.outputs.describe(self.classes)
        return said if self.outputs_note in ("", said) else f"{said}; {self.outputs_note}"

    def _foreign(self, run: Callable[[], T]) -> T:
        """Run what runs the module, and name what its forward raises."""
        try:
            return run()
        except XattnError:
            raise
        except Exception as err:  # whatever a foreign forward may raise
            (h, w), channels = self.preprocessing.size, self.preprocessing.channels
            first = (str(err).splitlines() or [""])[0]
            raise MethodError(
                f"Expected a model of inputs (n, {channels}, {h}, {w}), but its forward raised "
                f"{type(err).__name__}: {first}{way_out(err)}"
            ) from err

    @property
    def device(self) -> torch.device:
        """Where the module's parameters are."""
        return model_dtype(self.module)[1]

    @cached_property
    def seen(self) -> list[Seen]:
        """Every layer of one probing forward pass, in order.

        Raises:
            MethodError: nothing in the model can be looked at or differentiated, or it does not
                take inputs of this size.
            CheckpointError: it gives another number of logits than there are classes.
        """
        hidden = shows_no_layers(self.module)
        if hidden is not None:
            raise MethodError(
                f"Expected layers to look into, but {hidden} shows none"
                "; name its architecture with --arch, then its weights are moved there; maps "
                f"without layers: --method {ways_without_layers(self.module)}; predictions "
                "alone: --method none"
            )
        if any(parameter.is_inference() for parameter in self.module.parameters()):
            raise MethodError(
                "Expected weights that gradients can pass, but the model was made under "
                "torch.inference_mode; make it outside"
            )
        read = self.outputs.tensor  # found first: it says what is wrong with them
        return self._foreign(lambda: self._probe(read))

    def _probe(self, read: Callable[[Any], Tensor]) -> list[Seen]:
        return probe(self.module, self.preprocessing.size, read, self.preprocessing.channels)

    @cached_property
    def target(self) -> Seen:
        """The layer that the CAM family explains, as the probe saw it."""
        if self.outputs.kind == "probabilities" and not any(one.reach for one in self.seen):
            raise MethodError(
                "Expected probabilities that gradients can pass, but those of the model are "
                "saturated: 0 and 1 in its arithmetic, and what is inside it cannot be seen"
                "; give it without its last softmax or sigmoid"
            )
        if self._wanted_layer is not None:
            return check_target_layer(self.seen, self._wanted_layer)
        return find_target_layer(self.seen)

    @property
    def target_layer(self) -> str:
        """Path of the layer that the CAM family explains."""
        return self.target.name

    @property
    def target_layout(self) -> Layout:
        """Layout and grid of the explained layer."""
        assert self.target.layout is not None  # both ways to `target` made sure of it
        return self.target.layout

    def at_layer(self, layer: str) -> Model:
        """Return this model with another layer to explain; the module is shared.

        Args:
            layer: path of a layer with a grid.
        """
        other = copy.copy(self)
        other._wanted_layer = layer
        other.__dict__.pop("target", None)
        return other

    def cells(self, layer: str | None = None) -> Cells:
        """Return where the cells of a layer's map lie in the input.

        Args:
            layer: path of a layer with a grid; the explained one if not given.

        Raises:
            MethodError: the layer has no grid.
        """
        name = self.target_layer if layer is None else layer
        if name not in self._cells:
            seen = [one for one in self.seen if one.name == name and one.layout]
            if not seen:
                raise MethodError(f"Expected a layer with a grid, but {name!r} has none")
            self._cells |= find_cells(
                self.module, self.preprocessing.size, seen, self.preprocessing.channels
            )
        return self._cells[name]

    @cached_property
    def attention_layers(self) -> tuple[AttentionLayer, ...]:
        """The attention layers whose weights can be read, in order of execution."""
        if shows_no_layers(self.module) is not None:
            return ()
        return find_attention_layers(self.module, self.seen)

    @cached_property
    def unread_attention(self) -> tuple[str, ...]:
        """Paths of the modules that attend, but whose weights cannot be read."""
        if shows_no_layers(self.module) is not None:
            return ()
        read = [layer.name for layer in self.attention_layers]
        return find_unread_attention(
            self.module, self.preprocessing.size, read, self.preprocessing.channels
        )

    def unread_in_words(self) -> str:
        """Name the kinds of attention that cannot be read: "TalkingHeadAttn (blocks.0.attn, ...)".

        "" if there is none.
        """
        kinds: dict[str, list[str]] = {}
        for name in self.unread_attention:
            kinds.setdefault(type(self.module.get_submodule(name)).__name__, []).append(name)
        return ", ".join(
            f"{kind} ({names[0] or 'the network itself'}{', ...' if len(names) > 1 else ''})"
            for kind, names in kinds.items()
        )


def _are_pixels(array: NDArray[Any], channels: int) -> bool:
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3):
        return False
    with_alpha = array.shape[2:] == (4,) and array.dtype.kind == "u"
    return array.ndim == 2 or channels != COLOURS or array.shape[2] == COLOURS or with_alpha


def _no_image(given: Any) -> str:
    expected = "Expected a PIL image, or an array (H, W, 3) or (H, W)"
    if isinstance(given, str | PathLike):
        return f"{expected}, but got the path {given}; open it with PIL.Image.open"
    array = np.asarray(given)
    return f"{expected}, but got {type(given).__name__} of shape {array.shape} and {array.dtype}"
