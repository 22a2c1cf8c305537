"""The precision of a run: when it is refused, what it was in the end, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from xattn.attribution.passes.engines.choose import seconds_per_image
from xattn.attribution.passes.fold_norms import probe_batch
from xattn.attribution.registry import Method
from xattn.attribution.run.settings import ExplainSettings
from xattn.errors import Remark, RunError, UsageError
from xattn.models.checkpoints.programs import shows_no_layers
from xattn.models.interface import Model
from xattn.models.probing.forward import model_dtype
from xattn.runs.another_folder import another_folder
from xattn.settings.precision import FULL

PREDICTIONS = "predictions"
"""What `computed_in` of run.json calls logits and probabilities, beside the maps by their names."""
SLOWER = 1.5
"""So many times as long as in float32 is worth a line."""


def require_precision(model: Model, settings: ExplainSettings) -> None:
    """Make sure that a model can be computed in the precision that is wanted.

    Args:
        model: the user's.
        settings: of the call, nothing left open.

    Raises:
        UsageError: it cannot: weights of another type, or no layers to be seen; or `exact` asks for
            the model itself.
    """
    wanted = settings.precision
    if wanted == FULL:
        return
    if settings.exact:
        raise UsageError(
            f"Expected --exact or --precision {wanted}, but got both; the model itself computes in "
            "its own precision"
        )
    for one in model.members or (model,):
        hidden = shows_no_layers(one.module)
        if hidden is not None:
            raise UsageError(
                f"Expected a network whose layers can be seen for --precision {wanted}, but got "
                f"{hidden}; leave the option out"
            )
        dtype, _ = model_dtype(one.module)
        if dtype != torch.float32:
            named = str(dtype).removeprefix("torch.")
            raise UsageError(
                f"Expected weights of float32 for --precision {wanted}, but got {named}; leave the "
                "option out"
            )


def require_known(old: Mapping[str, Any]) -> None:
    """Make sure that the precision of a run that is there is known.

    Args:
        old: its run.json, {} if there is none.

    Raises:
        RunError: an earlier version made it in half precision, which it had another option for.
    """
    if old.get("amp") and "precision" not in old and old.get("device", "cpu") != "cpu":
        raise RunError(
            "Expected a run in a precision that is known, but got one that an earlier version made "
            f"with --amp; {another_folder()}"
        )


def describe_precision(
    ran: Model, jobs: Mapping[str, tuple[Method, int]], old: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what run.json says beside the precision that was wanted.

    Args:
        ran: the copy that the run was made with.
        jobs: methods by the name under which their maps are stored.
        old: the run.json before this call, {} if there was none.

    Returns:
        `computed_in`, precision by "predictions" and by the names of maps, where several calls
        came to different ones both; `precision_note`, why it was not the one that was wanted.
    """
    now = {PREDICTIONS: ran.precision}
    now |= {name: FULL if each.in_float32 else ran.precision for name, (each, _) in jobs.items()}
    note = ran.precision_note
    trunk = [one.trunk.refused for one in (ran, *ran.members) if one.trunk is not None]
    if ran.lowered is not None and any(trunk):
        note = f"some passes were in float32: {next(filter(None, trunk))}"
    before = dict(old.get("computed_in", {}))
    both = {name: _joined(before.get(name, ""), value) for name, value in now.items()}
    return {"computed_in": before | both, "precision_note": note}


def _joined(before: str, now: str) -> str:
    return ", ".join(dict.fromkeys([*filter(None, before.split(", ")), *now.split(", ")]))


def precision_notes(
    model: Model, ran: Model, jobs: Mapping[str, tuple[Method, int]], settings: ExplainSettings
) -> Sequence[str]:
    """Say what a precision below 32 means here, or why it was not taken, a line each.

    Args:
        model: the user's.
        ran: the copy that the run is made with.
        jobs: methods by the name under which their maps are stored.
        settings: of the call.

    Returns:
        Remarks; that it was not taken is none, so that `--strict` does not pass.
    """
    wanted, found = settings.precision, list[str]()
    if ran.precision_note:
        found.append(f"--precision {wanted} not taken, but float32: {ran.precision_note}")
    if ran.precision == FULL:
        return found
    rest = [name for name, (each, _) in jobs.items() if each.in_float32]
    more = f", and {', '.join(rest)} as a whole" if rest else ""
    found.append(
        Remark(
            f"computed in {ran.precision} up to the explained layer, predictions included; in "
            f"float32 after it{more}"
        )
    )
    if model.device.type == "cpu":
        example = probe_batch(model, min(4, settings.batch_size))
        times = [seconds_per_image(one, example) for one in (ran, model)]
        if times[0] > SLOWER * times[1]:
            found.append(
                Remark(
                    f"--precision {wanted} takes {times[0] / times[1]:.1f} times as long as 32 on "
                    "this processor"
                )
            )
    return found
