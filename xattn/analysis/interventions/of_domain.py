"""Which edits are left out of a run, since they are for images of another domain."""

from __future__ import annotations

from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.doses.trials import suited
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.domains import applies


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
