import json

import numpy as np
import pytest

from tests.features.computed.shapes import comma, disc, on_skin
from xattn.features.computed import COMPUTED_FEATURES, Subject, measure_all
from xattn.synthetic.tissue.drawing import render_tissue
from xattn.synthetic.tissue.plan import TissuePlan


@pytest.mark.parametrize("feature", COMPUTED_FEATURES.values(), ids=list(COMPUTED_FEATURES))
def test_every_feature_says_what_it_is_and_its_range_holds(feature):
    assert feature.kind == "computed"
    assert feature.unit
    assert feature.source
    assert feature.meaning
    assert feature.function.__doc__
    json.dumps(feature.to_dict(), allow_nan=False)
    rng = np.random.default_rng(0)
    noisy = on_skin(comma())
    noisy.pixels[:] = np.clip(noisy.pixels + rng.normal(0, 12, noisy.pixels.shape), 0, 255)
    stained = render_tissue(TissuePlan().draw(0))
    tissue = Subject(stained.image, stained.lesion)
    outlined = (on_skin(disc(60)), on_skin(comma()), noisy)
    for subject in outlined if feature.needs_lesion else (tissue,):
        assert feature.low <= feature(subject) <= feature.high


def test_what_cannot_be_measured_is_nan_with_a_reason():
    of_lesions = {name: card for name, card in COMPUTED_FEATURES.items() if card.needs_lesion}
    values, reasons = measure_all(on_skin(disc(60, shift=(90.0, 0.0))), of_lesions)
    assert set(values) == set(of_lesions)
    unknown = {name for name, value in values.items() if np.isnan(value)}
    assert unknown == set(reasons) == {name for name, card in of_lesions.items() if card.whole}


def test_the_same_image_gives_the_same_numbers():
    assert measure_all(on_skin(comma())) == measure_all(on_skin(comma()))
