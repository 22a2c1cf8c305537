"""Maps here, in each engine, and in the peers, as ratios to a bare forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.benchmarks.harness import Ratio, Table, interleave, peak
from tests.benchmarks.peers import eager_attention, grad_cams
from xattn.attribution.attribute import attribute_each
from xattn.attribution.passes.engines.choose import NONE, TORCH, Wanted
from xattn.attribution.passes.engines.registry import ENGINES
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.run.plan import make_plan
from xattn.models import build, wrap

BATCH, ROUNDS = 16, 9
SIZE = 224

CONVOLUTIONAL = ("resnet18", "efficientnet_b0")
ATTENDING = ("resnet18-ga", "resnet18-la", "resnet18-ela", "vit_tiny_patch16_224")
FIVE = ("gradcam", "gradcam++", "hirescam", "xgradcam", "layercam")
BARE = "bare forward"

Run = Callable[[], object]


def grad_cam_table() -> Table:
    """Compare Grad-CAM for convolutional networks, 224 x 224, batches of 16, fp32."""
    columns = {name: _interleaved(_grad_cams(name)) for name in CONVOLUTIONAL}
    note = (
        "In brackets the engine of the layers up to the explained one. Peers as their pages write "
        "it: captum's map is not enlarged, the others' are; ours has the resolution of the layer."
    )
    return Table(f"Grad-CAM, B{BATCH}, {SIZE} x {SIZE}, {BARE} = 1", columns, note)


def attention_table() -> Table:
    """Compare Grad-CAM and attention maps for networks that attend."""
    columns = {name: _interleaved(_attention(name)) for name in ATTENDING}
    note = (
        "torch.compile, which takes minutes for each of these, is in the table above alone. "
        "transformers: a ViT-Ti of its own with eager attention, which it needs to give attention "
        "out; no map is made of it."
    )
    title = f"Maps of attending networks, B{BATCH}, {SIZE} x {SIZE}, {BARE} = 1"
    return Table(title, columns, note)


def limit_table() -> Table:
    """Compare a bare forward with its multiply-adds as one matrix product, the processor's rate."""
    columns = {}
    for name in (*CONVOLUTIONAL, *ATTENDING):
        module, x, bare = _setup(name)
        flops = _flops(module, x)
        candidates = {BARE: bare, "its multiply-adds as one matrix product": _product(flops)}
        columns[name] = _interleaved(candidates)
    note = "A product of float32 matrices of 1,024 columns, with as many rows as it takes."
    return Table(f"What the processor allows, B{BATCH}, {SIZE} x {SIZE}, {BARE} = 1", columns, note)


def memory_table() -> Table:
    """Compare the peak memory of Grad-CAM with the bare forward's, ResNet18."""
    module, x, bare = _setup("resnet18")
    candidates = {
        BARE: bare,
        "xattn [torch]": _ours(module, x, "gradcam"),
        "xattn [torch], five CAMs at once": _ours(module, x, *FIVE),
        **_peers(module, x),
    }
    held = peak(bare)
    ratios = [Ratio(name, *3 * (peak(run) / held,)) for name, run in candidates.items()]
    note = (
        "The highest sum of what PyTorch's allocator has handed out and not got back during a "
        "batch, by its profiler; other engines allocate past it. The weights are not in it; the "
        f"private copy has its own, 45 MB for ResNet18, {45 * 2**20 / held:.2f} of the bare "
        "forward's peak."
    )
    title = f"Peak memory, B{BATCH}, {SIZE} x {SIZE}, {BARE} = 1"
    return Table(title, {"resnet18": ratios}, note)


def _setup(name: str) -> tuple[nn.Module, Tensor, Run]:
    torch.manual_seed(0)
    module = build(name, 2).eval()
    x = torch.randn(BATCH, 3, SIZE, SIZE)

    def bare() -> object:
        with torch.inference_mode():
            return module(x)

    return module, x, bare


def _ours(module: nn.Module, x: Tensor, *names: str, engine: str = TORCH) -> Run:
    """As `xattn explain` makes maps of a batch: on the private copy, all methods from one pass."""
    model = wrap(module, classes=["a", "b"])
    plan = make_plan(model, names, ["predicted"], {})
    copied = make_fast_copy(model, wanted=Wanted(engine, batch=len(x)))
    assert (copied.engine or NONE) == engine, copied.engine_note
    return lambda: attribute_each(copied, x, plan.jobs, [None])


def engines() -> list[str]:
    """Return torch and what else is installed."""
    return [TORCH, *(name for name, one in ENGINES.items() if one.installed)]


def _grad_cams(name: str) -> dict[str, Run]:
    module, x, bare = _setup(name)
    candidates = {BARE: bare}
    for engine in engines():
        candidates[f"xattn [{engine}]"] = _ours(module, x, "gradcam", engine=engine)
    for engine in engines():
        candidates[f"xattn [{engine}], five CAMs at once"] = _ours(module, x, *FIVE, engine=engine)
    return candidates | _peers(module, x)


def _peers(module: nn.Module, x: Tensor) -> dict[str, Run]:
    return grad_cams(module, wrap(module, classes=["a", "b"]).target_layer, x)


def _attention(name: str) -> dict[str, Run]:
    module, x, bare = _setup(name)
    candidates = {BARE: bare}
    transformer = name.startswith("vit")
    for method in ("gradcam", "attention", *(["rollout"] if transformer else [])):
        for engine in (one for one in engines() if one != "compile"):
            candidates[f"xattn {method} [{engine}]"] = _ours(module, x, method, engine=engine)
    if transformer:
        candidates["transformers, eager attention"] = eager_attention(x)
    return candidates


def _interleaved(candidates: dict[str, Run]) -> list[Ratio]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interleave(BARE, candidates, ROUNDS)


def _flops(module: nn.Module, x: Tensor) -> int:
    """Count the operations of a pass, two a multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted, torch.no_grad():
        module(x)
    return counted.get_total_flops()


def _product(flops: int, side: int = 1024) -> Run:
    rows = max(1, round(flops / (2 * side * side)))
    left, right = torch.randn(rows, side), torch.randn(side, side)
    return lambda: left @ right
