"""Keys of a state dict against those of an architecture."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from xattn.models import build
from xattn.models.matching.heads import classifier_of
from xattn.models.matching.keys import best_reading, readings
from xattn.models.matching.state import CANDIDATES, likely_architecture, match_state, skeleton

ONE = torch.ones(1)


class TestReadings:
    def test_begin_with_the_keys_as_they_are(self):
        assert next(readings({"fc.weight": ONE}, {})).state == {"fc.weight": ONE}

    @pytest.mark.parametrize("prefix", ["model.module.", "module.model.", "a.b_1.c.", "0."])
    def test_take_any_prefix_off_and_keep_what_lacks_it_apart(self, prefix):
        found = best_reading({f"{prefix}fc.weight": ONE, "loss.weight": ONE}, {"fc.weight": ONE})
        assert found.state == {"fc.weight": ONE}
        assert (found.prefix, found.rest) == (prefix, {"loss.weight": ONE})

    def test_of_nothing_are_nothing(self):
        assert [reading.state for reading in readings({}, {})] == [{}]

    def test_are_chosen_by_what_agrees_not_by_majority(self):
        """As in volo, whose own modules are called `network`."""
        expected = {"network.0": ONE, "network.1": ONE, "stem": ONE}
        assert best_reading(expected, expected).state == expected
        prefixed = {"model." + k: ONE for k in expected}
        assert best_reading(prefixed, expected).state == expected

    def test_that_agree_as_well_are_chosen_by_a_usual_prefix(self):
        state = {"aux.fc": ONE, "net.fc": ONE, "teacher.fc": ONE}
        assert best_reading(state, {"fc": ONE}).prefix == "net."

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("features.denseblock1.denselayer2.norm.1.weight",
             "features.denseblock1.denselayer2.norm1.weight"),
            ("m.features.denseblock1.denselayer2.layers.conv2.weight",
             "features.denseblock1.denselayer2.conv2.weight"),
        ],
    )  # fmt: skip
    def test_know_the_names_that_densenets_had(self, old, new):
        assert best_reading({old: ONE}, {new: ONE}, nn.Identity()).state == {new: ONE}


class TestComparing:
    def test_finds_each_kind_of_misfit(self):
        match = match_state(
            {"a": torch.ones(2), "b": torch.ones(3), "x": ONE},
            {"a": torch.ones(2), "b": torch.ones(4), "c": ONE},
        )
        assert match.missing == ("c",)
        assert match.unexpected == ("x",)
        assert match.reshaped == ("b: (3,) instead of (4,)",)
        assert match.agreeing == 1
        assert not match.perfect

    def test_does_not_miss_batch_counters(self):
        assert match_state({"a": ONE}, {"a": ONE, "bn.num_batches_tracked": ONE}).perfect

    def test_names_four_keys_at_most(self):
        match = match_state({}, {str(i): ONE for i in range(6)})
        assert match.describe() == "6 missing (0, 1, 2, 3, ...); 0 agree"


class TestTheLikelyArchitecture:
    def test_does_not_depend_on_the_number_of_classes(self):
        for n in (2, 1000):
            state = torchvision.models.resnet18(num_classes=n).state_dict()
            assert likely_architecture(state) == "resnet18"

    def test_is_seen_through_prefixes(self):
        state = build("efficientnet_b0", 2).state_dict()
        assert likely_architecture({"model.net." + k: v for k, v in state.items()}) == (
            "efficientnet_b0"
        )

    @pytest.mark.slow
    def test_tells_a_hybrid_from_its_backbone(self):
        assert likely_architecture(build("resnet18-ga", 2).state_dict()) == "resnet18-ga"

    @pytest.mark.slow
    def test_is_none_for_a_net_of_ones_own(self):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
        assert likely_architecture(net.state_dict()) is None

    @pytest.mark.slow
    @pytest.mark.parametrize("name", CANDIDATES)
    def test_is_found_among_all_candidates(self, name):
        with torch.device("meta"):
            state = build(name, 2).state_dict()
        assert likely_architecture(state) == name


class TestTheClassifier:
    @pytest.mark.parametrize(
        ("name", "classifier"),
        [("resnet18", "fc"), ("efficientnet_b0-ga", "classifier"), ("vit_tiny_patch16_224", "head"),
         ("torchvision/vit_b_16", "heads.head"), ("convnext_tiny-la", "head.fc")],
    )  # fmt: skip
    def test_is_found_beside_the_blocks_of_a_hybrid(self, name, classifier):
        assert classifier_of(skeleton(name, 7)) == classifier

    def test_is_a_convolution_where_there_is_no_linear_layer_or_none(self):
        assert classifier_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1))) == "1"
        assert classifier_of(nn.Sequential(nn.Conv2d(3, 2, 3))) is None


def test_a_skeleton_takes_no_memory_also_where_building_reads_tensors():
    for name in ("torchvision/regnet_y_400mf", "regnety_008", "resnet18"):
        assert all(value.is_meta for value in skeleton(name, 2).state_dict().values())
