"""Every edit says for which images it is, and is done to no others."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xattn.analysis.interventions.doses.jobs import dose_jobs
from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.of_domain import edits_of_other_domains
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.features.computed import COMPUTED_FEATURES
from xattn.images.domains import DOMAINS, SKIN, STAINED, applies

OF_LESIONS = {
    "border-sharpness", "colour-asymmetry", "colour-variance", "diameter", "shape-asymmetry",
    "skin-tone",
}  # fmt: skip
OF_TISSUE = {"nuclear-density", "nuclear-size", "sharpness", "stain"}
EVERYWHERE = {"distance", "light", "opacity", "size"}


def features_of(domain):
    """All computed features, a masked artifact, and a flag of hair without masks."""
    kinds = dict.fromkeys(COMPUTED_FEATURES, "computed")
    kinds |= {"lesion": "structure", "marker": "artifact", "hair": "artifact"}
    columns = defaultdict(lambda: np.ones(4), {name: np.arange(4.0) for name in COMPUTED_FEATURES})
    names = [*kinds, "lesion.area", "marker.area"]
    table = pd.DataFrame({name: columns[name] for name in names})
    return SimpleNamespace(
        table=table, kinds=kinds, masked=["lesion", "marker"], domain=domain
    )  # what the lists read of a FeatureSet


def edits(domain):
    return {job.edit.name for job in dose_jobs(features_of(domain), 0)}


@pytest.mark.parametrize("domain", list(DOMAINS))
def test_edits_of_lesions_are_for_skin_of_stain_for_tissue_and_grey_images_have_no_cast(domain):
    wanted = EVERYWHERE | (OF_LESIONS if domain in SKIN else set())
    wanted |= {"dermoscopic-colours"} if domain == "dermoscopy" else set()
    wanted |= OF_TISSUE if domain in STAINED else set()
    wanted |= set() if domain == "radiograph" else {"colour-cast"}
    assert edits(domain) == wanted
    assert set(edits_of_other_domains(features_of(domain))) == set(GRADED_EDITS) - wanted


def test_where_the_domain_is_not_known_no_edit_is_left_out():
    assert edits(None) == set(GRADED_EDITS)
    assert edits_of_other_domains(features_of(None)) == []


@pytest.mark.parametrize("registry", [INTERVENTIONS, GRADED_EDITS])
def test_every_edit_names_domains_that_there_are(registry):
    for edit in registry.values():
        assert set(edit.domains) <= set(DOMAINS), edit.name


@pytest.mark.parametrize("domain", list(DOMAINS))
def test_no_feature_is_edited_where_it_is_not_measured(domain):
    for edit in GRADED_EDITS.values():
        if edit.feature in COMPUTED_FEATURES and applies(edit.domains, domain):
            assert applies(COMPUTED_FEATURES[edit.feature].domains, domain), edit.name


@pytest.mark.parametrize(("domain", "looked_for"), [("clinical", True), ("radiograph", False)])
def test_no_detector_of_skin_gives_masks_to_other_images(domain, looked_for):
    found = {job.detector for job in dose_jobs(features_of(domain), 0)}
    assert ("hair" in found) == looked_for
