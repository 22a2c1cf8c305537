"""OpenVINO (`pip install 'xattn[fast]'`), on processors of x86-64 and ARM."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import Any

import torch
from torch import Tensor

from xattn.attribution.passes.engines.registry import EngineError, Extract, Run, engine

_HINTS = {"32": "f32", "bf16": "bf16", "16": "f16"}
"""Precisions as OpenVINO calls them."""


@engine(
    "openvino", package="openvino", extra="fast", seconds=6.0, saves=0.45,
    precisions=("bf16", "16"),
)  # fmt: skip
def build(extract: Extract, example: Tensor, precision: str = "32") -> Run:
    """Trace the layers and compile them with OpenVINO, by default in float32.

    Raises:
        EngineError: an operation is none that OpenVINO knows, `held_back` says why not, or it
            takes another precision on this processor, which it does without a word.
    """
    if why_not := held_back():
        raise EngineError(why_not)
    openvino = silent_openvino()
    try:
        with torch.no_grad():
            converted = openvino.convert_model(
                extract, example_input=example, input=list(example.shape)
            )
        hints = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        compiled = _core().compile_model(converted, "CPU", hints)
    except Exception as err:  # whatever its converter makes of a foreign network
        raise EngineError(_first_line(err)) from err
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != _HINTS[precision]:
        raise EngineError(f"on this processor it computes in {taken} where {precision} is wanted")
    request = compiled.create_infer_request()
    order = [compiled.output(i) for i in range(len(extract.names))]

    def run(batch: Tensor) -> list[Tensor]:
        found = request.infer([batch.contiguous().numpy()])
        return [torch.from_numpy(found[one]) for one in order]

    return run


def held_back() -> str:
    """Say why OpenVINO is not to be trusted in this process; "" if it is.

    Held to older instructions than the processor has, OpenVINO 2026.4 reads memory that it has not
    written: means over a map are off by their own size or NaN, in some calls and not in others.
    """
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        value = os.environ.get(name, "")
        if value.upper() not in ("", "ALL", "DEFAULT"):
            return f"OpenVINO computes wrongly under {name}={value}; unset it"
    return ""


def silent_openvino() -> Any:
    """Import OpenVINO without what reports its use to its makers.

    Its converter would send, from a hospital's machine too, that and how it was called, unless
    everyone who runs it had opted out before.
    """
    name = "openvino_telemetry"
    missing = object()
    before = sys.modules.get(name, missing)
    sys.modules[name] = None  # type: ignore[assignment]  # an import of it now fails
    try:
        openvino = importlib.import_module("openvino")
        importlib.import_module("openvino.tools.ovc.convert_impl")
    finally:
        if before is missing:
            del sys.modules[name]
        else:
            sys.modules[name] = before  # type: ignore[assignment]
    stub = importlib.import_module("openvino.tools.ovc.telemetry_stub")
    for place in ("telemetry_utils", "convert_impl"):  # if somebody imported it before
        importlib.import_module(f"openvino.tools.ovc.{place}").tm = stub  # type: ignore[attr-defined]
    return openvino


@functools.cache
def _core() -> Any:
    """Return OpenVINO's devices, which stay until the process ends.

    The device that computes on the CPU gives the thread that loads it memory to handle signals in,
    and frees it with the last network compiled for it. If another thread lets go of that one, the
    first thread is left with freed memory, and its next signal ends the process by SIGSEGV.
    """
    return silent_openvino().Core()


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return f"{type(err).__name__}: {lines[0] if lines else ''}"
