"""Which of several sets of weights is taken, and what is said of the others."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tests.models.files import make, prefixed, same
from tests.models.nets import CLASSES
from xattn.errors import CheckpointError
from xattn.models import load


class TestAveragedWeights:
    def content(self, kind: str) -> tuple[Any, nn.Module, nn.Module]:
        raw, ema = make("test_resnet", 0), make("test_resnet", 1)
        for mine, theirs in zip(ema.buffers(), raw.buffers(), strict=True):
            if "parameters alone" in kind:
                mine.copy_(theirs)
        r, e = raw.state_dict(), ema.state_dict()
        parameters = {k: v.detach() for k, v in ema.named_parameters()}
        contents: dict[str, Any] = {
            "timm": {"state_dict": r, "state_dict_ema": e},
            "torchvision": {
                "model": r,
                "model_ema": {**prefixed("module.")(e), "n_averaged": torch.tensor(4)},
            },
            "prefix in one dict": {
                "state_dict": {**prefixed("model.")(r), **prefixed("ema_model.module.")(e)}
            },
            "ema": {"net": r, "ema": e},
            "swa": {"state_dict": r, "swa_state_dict": prefixed("module.")(e)},
            "lightning callback": {
                "state_dict": e,
                "current_model_state": r,
                "averaging_state": {"n_averaged": torch.tensor(3)},
            },
            "shadow, parameters alone": {"model": r, "ema": {"decay": 0.9, "shadow": parameters}},
            "list, parameters alone": {
                "model": r, "ema": {"decay": 0.9, "shadow_params": list(parameters.values())}
            },
            "without points, parameters alone": {
                "state_dict": {
                    **prefixed("model.")(r),
                    **{"model_ema." + k.replace(".", ""): v for k, v in parameters.items()},
                    "model_ema.decay": torch.tensor(0.9),
                }
            },
        }  # fmt: skip
        return contents[kind], raw, ema

    @pytest.mark.parametrize(
        "kind",
        ["timm", "torchvision", "prefix in one dict", "ema", "swa", "lightning callback",
         "shadow, parameters alone", "list, parameters alone", "without points, parameters alone"],
    )  # fmt: skip
    def test_are_found_said_and_taken_unless_the_others_are_asked_for(self, tmp_path, kind):
        content, raw, ema = self.content(kind)
        torch.save(content, tmp_path / "model.pt")
        get = partial(load, tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
        model = get()
        assert same(model, ema)
        assert model.source["weights"] == "ema"
        assert any("--weights raw takes the others" in note for note in model.source["notes"])
        other = get(weights="raw")
        assert same(other, raw)
        assert other.source["weights"] == "raw"
        assert any("--weights ema takes the others" in note for note in other.source["notes"])

    def test_alone_are_said_to_be_averages(self, tmp_path):
        net = make("test_resnet")
        averaged = torch.optim.swa_utils.AveragedModel(net)
        torch.save(averaged.state_dict(), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
        assert same(model, net)
        assert model.source["weights"] == "ema"
        with pytest.raises(CheckpointError, match="averaged ones alone; leave --weights out"):
            load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES, weights="raw")

    def test_that_are_not_there_are_not_invented(self, tmp_path):
        torch.save(make("test_resnet").state_dict(), tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match="for --weights ema, but got none"):
            load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES, weights="ema")


def counts(key: str) -> bool:
    return key.endswith("num_batches_tracked")


class TestSeveralSets:
    """A teacher and a student, or the best and the last: nothing says which is meant."""

    def written(self, kind: str, path: Any) -> tuple[nn.Module, nn.Module]:
        first, second = make("test_resnet", 0), make("test_resnet", 1)
        one, other = first.state_dict(), second.state_dict()
        content = {
            "sets": {"student": one, "teacher": other},
            "prefixes": {**prefixed("student.")(one), **prefixed("teacher.")(other)},
            "deeper": {
                "state_dict": {
                    **prefixed("student.net.")(one), **prefixed("teacher.net.")(other)
                }
            },
            "counters that both share": {
                **prefixed("student.")(one),
                **prefixed("teacher.")({k: one[k] if counts(k) else v for k, v in other.items()}),
            },
        }[kind]  # fmt: skip
        torch.save(content, path)
        return first, second

    @pytest.mark.parametrize("kind", ["sets", "prefixes", "deeper", "counters that both share"])
    def test_the_first_is_taken_and_the_other_is_named_and_can_be_had(self, tmp_path, kind):
        first, second = self.written(kind, tmp_path / "model.pt")
        get = partial(load, tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
        model = get()
        assert same(model, first)
        (note,) = [n for n in model.source["notes"] if "fit equally well" in n]
        assert "2 sets of weights" in note
        assert "student" in note.partition(" is taken")[0]
        assert note in model.source["guesses"]
        name = note.rpartition("--weights ")[2].split()[0]
        for asked in (name, "teacher"):
            other = get(weights=asked)
            assert same(other, second)
            assert other.source["weights"] == name
            assert not [n for n in other.source["guesses"] if "weights" in n]
            assert not [n for n in other.source["notes"] if "left out" in n]
        assert not [n for n in model.source["notes"] if "left out" in n]

    def test_the_same_weights_under_two_keys_are_one_set(self, tmp_path):
        state = make("test_resnet").state_dict()
        copy = {key: value.clone() for key, value in state.items()}
        torch.save({"model": state, "best": copy}, tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
        assert not [note for note in model.source["notes"] if "fit equally well" in note]

    def test_a_name_that_is_not_there_is_answered_by_those_that_are(self, tmp_path):
        self.written("sets", tmp_path / "model.pt")
        get = partial(load, tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
        with pytest.raises(CheckpointError, match=r"but got tutor; .* holds student, teacher$"):
            get(weights="tutor")

    def test_another_network_beside_it_is_no_second_choice(self, tmp_path):
        net, other = make("test_resnet"), make("test_vit")
        torch.save({"model": net.state_dict(), "critic": other.state_dict()}, tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
        assert same(model, net)
        assert not [note for note in model.source["notes"] if "fit equally well" in note]
