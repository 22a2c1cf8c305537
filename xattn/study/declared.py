"""What the data of a study declare, as far as that is known before any step has run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.errors import UsageError, XattnError

if TYPE_CHECKING:
    from xattn.annotations import Annotations
    from xattn.study.recipe import StudyRecipe, SynthesizeSettings


@dataclass(frozen=True)
class Declared:
    """Features and classes that a recipe may name.

    Attributes:
        place: where they are declared, for messages.
        features, labels: their names.
        images: how many images there are.
    """

    place: str
    features: Collection[str]
    labels: Collection[str]
    images: int

    @classmethod
    def of(cls, known: Annotations) -> Declared:
        """Return what an annotation file declares."""
        return cls(str(known.path), list(known.features), known.labels, len(known.images))


def declared(recipe: StudyRecipe) -> Declared | None:
    """Return what generated images will declare, or the annotation file that is there does.

    Args:
        recipe: of the study.

    Returns:
        None where a step has to build the annotation file first, or it is not there.

    Raises:
        XattnError: the annotation file cannot be read, or an effect is none of generated images.
    """
    if recipe.synthesize is not None:
        try:
            return _generated(recipe.synthesize, recipe)
        except UsageError as err:
            raise XattnError(f"{err}, in [synthesize.effects] in {recipe.source}") from None
    file = recipe.data.annotations
    if not file or not Path(file).is_file():
        return None
    from xattn.annotations import read_annotations

    return Declared.of(read_annotations(file))


def images_in(recipe: StudyRecipe, known: Declared | None) -> int:
    """Return how many images a study has; 0 if that is not known yet.

    Args:
        recipe: of the study.
        known: what `declared` says of it.
    """
    folder = recipe.data.folder
    if known is not None or not folder or not Path(folder).is_dir():
        return 0 if known is None else known.images
    from xattn.images.find import find_images

    try:
        return len(find_images(folder))
    except XattnError:  # the layout may know better where they are
        return 0


def _generated(settings: SynthesizeSettings, recipe: StudyRecipe) -> Declared:
    from xattn.synthetic import plan
    from xattn.synthetic.spec import LABELS
    from xattn.synthetic.tissue import plan as tissue

    for name, effect in recipe.effects.items():
        if not isinstance(effect, int | float):
            raise UsageError(f"Expected a number as effect of {name}, but got {effect!r}")
    kind, labels = (tissue, tissue.LABELS) if settings.tissue else (plan, LABELS)
    (tissue.TissuePlan if settings.tissue else plan.Plan)(effects=recipe.effects or None)
    return Declared("the generated images", kind.kinds(), labels, settings.n)
