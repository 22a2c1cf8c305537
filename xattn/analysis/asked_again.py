"""The model of a run, asked again: loaded if it is needed, and copied for speed once for all."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from xattn.attribution.passes.engines.choose import AUTO, NONE, Wanted, choices
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.run.provenance import model_of_run
from xattn.models.interface import Model
from xattn.runs import RunFolder
from xattn.settings.precision import FULL


class AskedAgain:
    """A run's model, and the private copy that answers for it.

    Args:
        run: the run.
        model: the one that made it; default loaded from the checkpoint that the run names.
        accelerate: engine of the copy, as for `explain`.
        precision: of its layers; default that of the run.
        images: about so many will be passed, by which "auto" chooses.
        batch: images of a pass.
    """

    def __init__(
        self,
        run: RunFolder,
        model: Model | None = None,
        *,
        accelerate: str = AUTO,
        precision: str | None = None,
        images: int = 0,
        batch: int = 16,
    ) -> None:
        self._run, self.given = run, model
        wanted = precision or run.settings.get("precision", FULL)
        self._exact = bool(run.settings.get("exact")) and wanted == FULL
        self._wanted = Wanted(accelerate, images, batch, wanted)

    @classmethod
    def alike(cls, run: RunFolder, model: Model | None, wanted: Wanted) -> AskedAgain:
        """Return what answers as in another process.

        Args:
            run, model: as there.
            wanted: `wanted_of_all` of that.
        """
        return cls(
            run, model, accelerate=wanted.accelerate, precision=wanted.precision,
            images=wanted.images, batch=wanted.batch,
        )  # fmt: skip

    @cached_property
    def model(self) -> Model:
        """The user's, which stays as it is.

        Raises:
            RunError: the run does not lead to it.
        """
        return self.given or model_of_run(self._run)

    @cached_property
    def fast(self) -> Model:
        """The copy, to the tolerance of its precision; the model itself if the run was `--exact`.

        Raises:
            RunError: the run does not lead to the model.
        """
        return self.model if self._exact else make_fast_copy(self.model, wanted=self._wanted)

    @property
    def wanted_of_all(self) -> Wanted:
        """By what another process makes the same copy, whatever "auto" would find there."""
        chosen = self.fast.engine or NONE
        # Members of an ensemble may run in several.
        return replace(self._wanted, accelerate=chosen) if chosen in choices() else self._wanted

    @property
    def engine(self) -> str | None:
        """What the copy's layers run in; None if it was never asked."""
        return (self.fast.engine or NONE) if "fast" in self.__dict__ else None

    @property
    def precision(self) -> str | None:
        """What they compute in; None if the copy was never asked."""
        return self.fast.precision if "fast" in self.__dict__ else None
