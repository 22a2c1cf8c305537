"""Which edits are left out of a run, since they are for images of another domain."""

from __future__ import annotations

from xattn.analysis.interventions.doses.jobs import suited
from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.channels import COLOURS
from xattn.images.domains import applies


def note_of_left_out(features: FeatureSet, channels: int) -> str:
    """Say which edits are not done, since they are for other images; "" if none.

    Args:
        features: of a run.
        channels: of the network's inputs.
    """
    if channels != COLOURS:
        graded = [
            one.name
            for one in GRADED_EDITS.values()
            if one.domains and any(True for _ in suited(one, features))
        ]
        return (
            f"A network of {channels} channels: not done, since made for colours, are the edits "
            f"{', '.join(graded)}"
            if graded
            else ""
        )
    if others := edits_of_other_domains(features):
        return (
            f"Images of the domain {features.domain!r}: not done, since made for others, are the "
            f"edits {', '.join(others)}; --domain names another"
        )
    return ""


def edits_of_other_domains(features: FeatureSet) -> list[str]:
    """Name the edits that some feature would have, were the images of another domain.

    Args:
        features: of a run.

    Returns:
        Names of edits, none where the domain is not known.
    """
    kinds = {"lesion" if name == LESION else features.kinds[name] for name in features.masked}
    single = [
        one.name
        for one in INTERVENTIONS.values()
        if kinds.intersection(one.features) and not applies(one.domains, features.domain)
    ]
    graded = [
        one.name
        for one in GRADED_EDITS.values()
        if not applies(one.domains, features.domain) and any(True for _ in suited(one, features))
    ]
    return [*single, *graded]
