"""Every kind of checkpoint that docs/models.md lists is built here: none is wrong in silence."""

from __future__ import annotations

import pytest
import torch

import xattn
from tests.models.kinds.kind import PREDICTS, REFUSED, WORKS
from tests.models.kinds.page import KINDS, PAGE, markdown
from xattn.errors import MethodError, XattnError


def built(kind, folder, monkeypatch):
    for package in kind.packages:
        pytest.importorskip(package)
    # What is in the hub's cache of this machine must not count, nor can anything be fetched.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return kind.build(folder)


def of(verdict):
    return pytest.mark.parametrize(
        "kind", [k for k in KINDS if k.verdict == verdict], ids=lambda kind: kind.name
    )


@of(WORKS)
def test_what_works_has_the_logits_of_its_library_and_maps(kind, tmp_path, monkeypatch):
    path, host = built(kind, tmp_path, monkeypatch)
    model = xattn.load(path, **kind.options)
    seen = model.preprocessing
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, seen.channels, *seen.size, generator=generator)
    torch.testing.assert_close(model.logits(x), host(x).float(), atol=1e-4, rtol=1e-4)
    maps = xattn.attribute(model, x, method="gradcam", target=1)
    assert maps.shape[0] == 2
    assert maps.isfinite().all()
    assert model.classes == (kind.options.get("classes") or ["benign", "malignant"])


@of(PREDICTS)
def test_what_predicts_only_has_the_logits_and_says_why_there_is_no_map(
    kind, tmp_path, monkeypatch
):
    path, host = built(kind, tmp_path, monkeypatch)
    model = xattn.load(path, **kind.options)
    x = torch.randn(2, 3, *model.preprocessing.size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.logits(x), host(x), atol=1e-4, rtol=1e-4)
    with pytest.raises(MethodError, match="shows none"):
        xattn.attribute(model, x, method="gradcam")


@of(REFUSED)
def test_what_is_refused_says_in_a_line_why(kind, tmp_path, monkeypatch):
    path, _ = built(kind, tmp_path, monkeypatch)
    with pytest.raises(XattnError) as refused:
        xattn.load(path, **kind.options)
    assert kind.because in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_page_shows_every_kind():
    assert markdown() in PAGE.read_text()
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 40
