"""Names in a recipe that nothing knows: found before anything is done, not days later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from xattn.analysis.settings import BACKBONE
from xattn.errors import UsageError, XattnError, near
from xattn.runs import ComparisonFolder, RunFolder, TableFolder
from xattn.settings import names
from xattn.study.claims.settings import NO_MORE, matching

if TYPE_CHECKING:
    from xattn.study.declared import Declared
    from xattn.study.recipe import StudyRecipe
    from xattn.training.recipe import Recipe


def require_known_names(recipe: StudyRecipe, models: Collection[str]) -> None:
    """Make sure that methods, figures, tables and the like are known.

    Args:
        recipe: of the study.
        models: names of its recipes of trainings.

    Raises:
        XattnError: one is not; the table of the recipe is named.
    """
    for table, check in _checks(recipe, models):
        try:
            check()
        except UsageError as err:
            raise XattnError(f"{err}, in {_place(table)} in {recipe.source}") from None


def require_buildable(recipe: StudyRecipe, trainings: Mapping[str, Recipe]) -> None:
    """Make sure that the networks of all trainings can be built; none gets weights here.

    Args:
        recipe: of the study.
        trainings: recipe of each training by its name.

    Raises:
        XattnError: one cannot; its recipe is named.
    """
    import torch

    from xattn.models import build

    for name, one in trainings.items():
        try:
            with torch.device("meta"):
                build(one.model.architecture, 2, **one.model.options)
        except XattnError as err:
            raise XattnError(f"{err}, in the training {name} of {recipe.source}") from None


def require_known_features(recipe: StudyRecipe, known: Declared) -> None:
    """Make sure that the data declare the features and classes that a recipe names.

    Args:
        recipe: of the study.
        known: what its data declare.

    Raises:
        XattnError: they do not declare one.
    """
    from xattn.annotations.records import LESION
    from xattn.features.computed.registry import COMPUTED_FEATURES

    usage, scored, own = recipe.feature_usage, recipe.evaluate, list(known.features)
    beside = [*own, *COMPUTED_FEATURES]
    trap = () if recipe.splits is None else recipe.splits.trap
    asked: list[tuple[str, Collection[str], Collection[str]]] = [
        ("splits", names(trap), own),
        ("feature_usage", names(usage.label_column), own),
        ("feature_usage", _split(usage.positive), known.labels),
        ("evaluate", names(scored.domain), own),
        ("evaluate", names(scored.trap), [*own, "all"]),
        ("evaluate", _split(scored.positive), known.labels),
    ]
    if usage.more_features is None and not usage.detect:  # which bring names of their own
        asked.append(("feature_usage", _split(usage.given), [*beside, "others", "none"]))
    for i, claim in enumerate(recipe.claims, 1):
        for pattern in claim.features:
            if not matching(pattern, [*beside, LESION]):
                raise XattnError(
                    f"Expected features of {known.place} in [[claims]] {i} in {recipe.source}, but "
                    f"got {pattern!r}{near(pattern, beside)}"
                )
    for table, given, may_be in asked:
        for name in given:
            if name not in may_be:
                raise XattnError(
                    f"Expected names of {known.place} in [{table}] in {recipe.source}, but "
                    f"got {name!r}{near(name, may_be)}"
                )


def _checks(
    recipe: StudyRecipe, models: Collection[str]
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield tables of the recipe, each with a function that raises if a name is not known."""
    from xattn.analysis.dependence.decisions import find_decision
    from xattn.annotations.layouts.registry import LAYOUTS
    from xattn.attribution.registry import method
    from xattn.attribution.run.settings import NO_METHODS
    from xattn.figures.registry import FORMATS
    from xattn.figures.tables.save import printed_tables
    from xattn.figures.venues import VENUES
    from xattn.images.domains import DOMAINS

    data, figures, tables = recipe.data, recipe.figures, recipe.tables
    if data.layout is not None:
        yield "data", partial(LAYOUTS.find, data.layout)
    if data.domain is not None:
        yield "data", partial(DOMAINS.find, data.domain)
    for name in names(recipe.explain.methods):
        if name != NO_METHODS:
            yield "explain", partial(method, name.partition("@")[0])
    yield "feature_usage", partial(find_decision, recipe.feature_usage.decision)
    for name in names(recipe.compare.baseline):
        known = [*models, BACKBONE]
        yield "compare", partial(_among, "a model of [models] as baseline", name, known)
    for i, claim in enumerate(recipe.claims, 1):
        for name in claim.models:
            yield f"claims {i}", partial(_some_of, name, models)
        for name in (claim.method, claim.against) if claim.says == NO_MORE else ():
            yield f"claims {i}", partial(method, name.partition("@")[0])
    for table, kind in (("runs", RunFolder), ("comparison", ComparisonFolder)):
        for name in names(getattr(figures, table)):
            yield "figures", partial(_figure_of, kind, table, name)
    for name in figures.formats:
        yield "figures", partial(_among, "a figure format", name, FORMATS)
    yield "figures", partial(_among, "a venue", figures.venue, VENUES)
    for name in (*names(tables.runs), *names(tables.comparison)):
        yield "tables", partial(_among, "a table of papers", name, printed_tables())


def _figure_of(kind: type[TableFolder], table: str, name: str) -> None:
    """Make sure that a figure is there and drawn from what its key stands for."""
    from xattn.figures.folders import KnownFolder
    from xattn.figures.registry import FIGURES

    of = FIGURES.find(name).of
    if of is not kind:
        places = {RunFolder: "runs", ComparisonFolder: "comparison"}
        place = places.get(of) if of is not None else None
        way_out = f"it belongs in {place}" if place else "no study has what it is drawn from"
        if of is KnownFolder:
            way_out = "a recipe with [known] has it drawn without being asked"
        raise UsageError(f"Expected figures of {table} in {table}, but got {name!r}; {way_out}")


def _place(table: str) -> str:
    """Return a table as it stands in a recipe; of [[claims]] there are several, counted from 1."""
    name, _, number = table.partition(" ")
    return f"[[{name}]] {number}" if number else f"[{name}]"


def _some_of(pattern: str, models: Collection[str]) -> None:
    if not matching(pattern, models):
        raise UsageError(
            f"Expected models of [models] as models, but none is called {pattern!r}"
            f"{near(pattern, models)}"
        )


def _among(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UsageError(f"Expected {what}, but got {name!r}{near(name, known)}")


def _split(given: str | Sequence[str] | None) -> list[str]:
    """Return names of which several may stand in one text between commas."""
    return [one.strip() for name in names(given) for one in name.split(",") if one.strip()]
