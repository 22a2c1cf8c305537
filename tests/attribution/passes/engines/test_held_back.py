"""OpenVINO is not taken where an environment variable makes it compute wrongly."""

from __future__ import annotations

import pytest

from tests.models.nets import wrapped
from xattn.attribution.passes.engines.choose import Wanted
from xattn.attribution.passes.engines.with_openvino import held_back
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.models import build

NAMES = ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"]


@pytest.fixture(autouse=True)
def free(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_runs_on_torch_and_says_why(name, monkeypatch):
    pytest.importorskip("openvino", reason="the extra `fast` is not installed")
    monkeypatch.setenv(name, "AVX2")
    model = wrapped(build("test_resnet", 2).eval(), (32, 32))
    copied = make_fast_copy(model, wanted=Wanted("openvino", batch=2))
    assert copied.engine == "torch"
    assert copied.engine_note == (
        f"openvino: OpenVINO computes wrongly under {name}=AVX2; unset it"
    )


@pytest.mark.parametrize("value", ["", "ALL", "default"])
def test_what_holds_nothing_back_is_no_reason(value, monkeypatch):
    monkeypatch.setenv(NAMES[0], value)
    assert held_back() == ""
