"""What a run's model holds of every image at its explained layer, and how that moves its logits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.attribution.passes.capture import capture_each
from xattn.attribution.passes.side_by_side import capture_side_by_side
from xattn.attribution.run.sources import DecodedImage, Named, decode
from xattn.errors import MethodError, RunError
from xattn.features.masks import Progress
from xattn.images.prefetch import prefetch
from xattn.models.averaging import Ensemble
from xattn.models.interface import Model
from xattn.runs import RunFolder

_BATCH = 16

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ClassScore:
    """The score that a question is about, for one class.

    Attributes:
        name: of the class, or of the output.
        values: (k,) the log odds of the class; of a value itself.
        gradients: (k, C) of each by the layer's mean activations.
    """

    name: str
    values: NDArray[np.float64]
    gradients: Float32


@dataclass(frozen=True, eq=False)
class PooledLayer:
    """Activations of one layer, averaged over its positions, of k images of a run.

    Attributes:
        name: path of the layer.
        classes: of the model.
        rows: (k,) which rows of the predictions.
        activations: (k, C), means over positions.
        gradients: (k, classes, C), of each logit by a shift of all positions alike.
        logits: (k, classes).
    """

    name: str
    classes: tuple[str, ...]
    rows: NDArray[np.intp]
    activations: Float32
    gradients: Float32
    logits: NDArray[np.float64]

    def scores_of(self, question: Question) -> list[ClassScore]:
        """Return the scores of a question: of the positive class, of each class, or of the output.

        Args:
            question: what the run is asked.
        """
        if question.output:
            index = self.classes.index(question.output)
            return [ClassScore(question.output, self.logits[:, index], self.gradients[:, index])]
        spoken = question.positive
        if not spoken.each:
            return [self._log_odds(spoken)]
        return [self._log_odds(Positive.of(self.classes, [name])) for name in self.classes]

    def _log_odds(self, positive: Positive) -> ClassScore:
        """Differentiate the log odds: the softmax within the positive classes, less that without.

        d log sum exp(z) / dA is the mean of the dz / dA, weighted by the softmax of the z.
        """
        inside = np.isin(self.classes, positive.members)
        weights = np.empty_like(self.logits)
        for some, sign in ((inside, 1.0), (~inside, -1.0)):
            own = self.logits[:, some]
            e = np.exp(own - own.max(axis=1, keepdims=True))
            weights[:, some] = sign * e / e.sum(axis=1, keepdims=True)
        gradients = np.einsum("kj,kjc->kc", weights.astype(np.float32), self.gradients)
        return ClassScore(positive.name, positive.log_odds(self.logits), gradients)


def pool(model: Model, inputs: Tensor) -> tuple[Float32, Float32, NDArray[np.float64]]:
    """Return activations (n, C), gradients (n, classes, C) and logits (n, classes) of a batch.

    One forward pass, and for each logit one backward pass through what follows the layer. The
    gradients are summed over positions: what the logit does if all of them shift alike.

    Args:
        model: stays as it is.
        inputs: (n, 3, height, width).

    Raises:
        MethodError: the explained layer did not run, or the logits do not depend on it.
    """
    targets = [torch.full((len(inputs),), i) for i in range(len(model.classes))]
    captured = (
        capture_side_by_side(model, inputs, targets)
        if isinstance(model, Ensemble)
        else capture_each(model, inputs, targets)
    )
    activations = captured[0].at_layer()[0].mean(dim=(2, 3))
    scores = torch.stack([one.at_layer()[1].sum(dim=(2, 3)) for one in captured], dim=2)
    n, channels, classes = scores.shape
    # Scores are a linear function of logits, and so are their gradients.
    logits = model.outputs.logits(scores.reshape(-1, classes)).reshape(n, channels, classes)
    return (
        _float32(activations),
        _float32(logits.transpose(1, 2)),
        captured[0].logits.to("cpu", torch.float64).numpy(),
    )


def _float32(values: Tensor) -> Float32:
    return np.ascontiguousarray(values.detach().to("cpu", torch.float32).numpy())


def pooled_layer(
    run: RunFolder,
    model: Model,
    engine: Model,
    rows: Sequence[int] | NDArray[np.intp],
    workers: int,
    progress: Progress | None = None,
) -> PooledLayer:
    """Run a model once more over images of its run.

    Args:
        run: the run.
        model: the one that made it.
        engine: what is asked in its place: a private copy of it, or itself.
        rows: of the predictions; images that cannot be read any more are left out.
        workers: threads that decode.
        progress: called as progress(done, total).

    Raises:
        MethodError: no layer can be explained, or the members of an ensemble have none in common.
        RunError: no image can be read.
    """
    if model.on_pixels:
        raise MethodError("Expected members that share the explained layer, but they do not")
    name = model.target_layer
    ids, files = (run.predictions[column].astype(str) for column in ("image_id", "file"))
    named = [Named(ids.iloc[row], run.image_path(int(row)), files.iloc[row]) for row in rows]
    reading = partial(
        decode, preprocessing=run.preprocessing, exact=bool(run.settings.get("exact"))
    )
    decoded = zip(rows, prefetch(reading, named, workers, ahead=3 * _BATCH), strict=True)
    kept: list[int] = []
    parts: list[tuple[Float32, Float32, NDArray[np.float64]]] = []
    done = 0
    while batch := list(itertools.islice(decoded, _BATCH)):
        good = [(int(row), one) for row, one in batch if isinstance(one, DecodedImage)]
        done += len(batch)
        if good:
            pixels = torch.from_numpy(np.stack([one.pixels for _, one in good]))
            parts.append(pool(engine, engine.normalise(pixels.to(engine.device))))
            kept += [row for row, _ in good]
        if progress is not None:
            progress(done, len(named))
    if not parts:
        raise RunError(f"Expected the images of {run.path} where they were, but none can be read")
    activations, gradients, logits = (np.concatenate(each) for each in zip(*parts, strict=True))
    finite = np.isfinite(logits).all(axis=1) & np.isfinite(activations).all(axis=1)
    finite &= np.isfinite(gradients).all(axis=(1, 2))
    return PooledLayer(
        name,
        tuple(model.classes),
        np.array(kept, dtype=np.intp)[finite],
        activations[finite],
        gradients[finite],
        logits[finite],
    )
