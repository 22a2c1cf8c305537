"""Reads images and masks of a run, and edits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.pixels import Mask, moved, shift_to_free, widened
from xattn.analysis.interventions.registry import Case, Edited, Intervention
from xattn.analysis.interventions.shown import Rows, detected_mask
from xattn.errors import ImageError, XattnError
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.decode import read_image
from xattn.images.levels import Pixels
from xattn.runs import RunFolder
from xattn.stats.seeds import generator_for

CONTROL = "control-patch"
"""Feature whose row inpaints one patch of plain skin against another, and must show nothing."""


@dataclass(frozen=True)
class Job:
    """One intervention on one feature, and the images it is done to.

    Attributes:
        feature, kind: what is edited.
        intervention: how.
        rows: all images that it could be done to, in the random order in which they are tried.
        donors: images whose feature, or whose mask's shape, can be taken.
        references: images known to be without the feature, for controls.
        detector: whose masks are taken; "" for those of the annotation.
    """

    feature: str
    kind: str
    intervention: Intervention
    rows: Rows
    donors: Rows
    references: Rows
    detector: str = ""


@dataclass(frozen=True)
class Trial:
    """One image before and after."""

    row: int
    before: Pixels
    edited: Edited


class Editor:
    """Does jobs, image by image; may be called from several threads."""

    def __init__(self, run: RunFolder, features: FeatureSet, seed: int) -> None:
        self.run, self.features, self.seed = run, features, seed
        self.arrays = {name: features.masks(name) for name in features.masked}
        self.covering = [n for n in features.masked if features.kinds[n] == "artifact"]
        self.blocking = [n for n in (*self.covering, LESION) if n in self.arrays]
        self.skin = lru_cache(maxsize=4096)(self._skin)
        # A mask is asked for many times, and reading one costs as much as its whole chunk. At a
        # bit a pixel, 2,048 chunks take a quarter of a gigabyte.
        self.chunk = lru_cache(maxsize=2048)(self._chunk)

    def trial(self, job: Job) -> Callable[[int], Trial | None]:
        """Return the function that edits one image of a job, or gives None where it cannot.

        Args:
            job: which feature, how, and in which images.
        """
        work = self._control if job.feature == CONTROL else self._trial
        return lambda row: work(job, int(row))

    def _trial(self, job: Job, row: int) -> Trial | None:
        rng = generator_for(self.seed, job.feature, job.intervention.name, row)
        image = self.image(row)
        inserting = job.intervention.needs == "absent"
        donor = int(rng.choice(job.donors)) if inserting and len(job.donors) else None
        if image is None or (inserting and donor is None):
            return None
        skin = self.skin(row)
        if job.detector:
            mask = detected_mask(job.detector, image)
            if mask is None:
                return None
            skin = skin & ~widened(mask)
        else:
            mask = self.mask(job.feature, row if donor is None else donor)
        case = Case(
            image=image,
            mask=mask,
            lesion=self.mask(LESION, row) if LESION in self.arrays else None,
            skin=skin,
            inside=job.kind == "structure",
            rng=rng,
            donor=None if donor is None else self.image(donor),
            donor_skin=None if donor is None else self.skin(donor),
            reference=partial(self._reference, job, row, rng),
        )
        edited = _edited(job, case)
        return None if edited is None else Trial(row, image, edited)

    def _reference(self, job: Job, row: int, rng: np.random.Generator) -> Pixels | None:
        """Draw another image without the feature, but for edits of what every image has."""
        others = job.references[job.references != row]
        return self.image(int(rng.choice(others))) if len(others) else None

    def _control(self, job: Job, row: int) -> Trial | None:
        """Inpaint plain skin in the shape of some artifact, against the same elsewhere."""
        rng = generator_for(self.seed, CONTROL, row)
        image, skin = self.image(row), self.skin(row)
        donor = int(rng.choice(job.donors))
        shapes = [self.mask(n, donor) for n in self.blocking if n != LESION]
        shape = next((s for s in rng.permutation(np.array(shapes)) if s.any()), None)
        if image is None or shape is None:
            return None
        shift = shift_to_free(shape, skin, rng)
        if shift is None:
            return None
        patch = np.asarray(moved(shape, shift), dtype=bool)
        edited = _edited(job, Case(image, patch, None, skin, inside=False, rng=rng))
        return None if edited is None else Trial(row, image, edited)

    def mask(self, feature: str, row: int) -> Mask:
        """Return one mask in the run's view.

        Args:
            feature: its name.
            row: of the predictions.
        """
        size = self.run.preprocessing.size
        chunk, place = divmod(row, self.arrays[feature].chunks[0])
        bits = self.chunk(feature, chunk)[place]
        return np.unpackbits(bits, count=size[0] * size[1]).reshape(size).astype(bool)

    def _chunk(self, feature: str, chunk: int) -> NDArray[np.uint8]:
        """Read a run of masks, packed to bits: (rows, bytes)."""
        array = self.arrays[feature]
        rows = array.chunks[0]
        masks = np.asarray(array[chunk * rows : (chunk + 1) * rows], dtype=bool)
        return np.packbits(masks.reshape(len(masks), -1), axis=1)

    def _skin(self, row: int) -> Mask:
        """Return where there is neither lesion nor artifact, with some room about both."""
        blocked = np.zeros(self.run.preprocessing.size, dtype=bool)
        for name in self.blocking:
            blocked |= self.mask(name, row)
        return ~widened(blocked)

    def artifacts(self, row: int) -> Mask | None:
        """Return where artifacts lie; None if no image of the run has masks of any.

        Args:
            row: of the predictions.
        """
        masks = [self.mask(name, row) for name in self.covering]
        return np.any(masks, axis=0) if masks else None

    def image(self, row: int) -> Pixels | None:
        """Return one image in the run's view; None if it cannot be read any more.

        Args:
            row: of the predictions.
        """
        try:
            seen = self.run.preprocessing
            decoded = read_image(
                self.run.image_path(row), window=seen.window, channels=seen.channels
            )
            return seen.pixels(decoded.levels)
        except ImageError:  # the folder lost a file since the run: its image is left out
            return None


def _edited(job: Job, case: Case) -> Edited | None:
    """Edit one image.

    Raises:
        XattnError: the edit changed its depth, so that rounding would count as an effect.
    """
    edited = job.intervention.edit(case)
    if edited is None:
        return None
    before = case.image if edited.compared is None else edited.compared
    for given, after in ((case.image, edited.treated), (before, edited.control)):
        if after is not None and after.dtype != given.dtype:
            raise XattnError(
                f"Expected the intervention {job.intervention.name!r} to keep the depth of an "
                f"image, {given.dtype}, but it gave {after.dtype}; see "
                "xattn.images.levels.like"
            )
    return edited
