"""Checkpoint files: telling the formats apart, reading them without running their code, ours.

This project's own checkpoint is a dict that `torch.load(weights_only=True)` accepts, or a
safetensors file whose metadata holds the same facts as JSON under the key `xattn`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xattn.disk import replacing
from xattn.documents import parse_json
from xattn.errors import CheckpointError
from xattn.images.preprocessing import Preprocessing
from xattn.models.checkpoints.containers import Weights, find_weights, is_passed_over
from xattn.models.checkpoints.exported import is_exported, read_weights
from xattn.models.checkpoints.folders import find_file, read_safetensors, read_shards
from xattn.models.checkpoints.formats import is_onnx, is_safetensors, refuse_others
from xattn.models.checkpoints.own_format import SCHEMA, checked_facts
from xattn.models.checkpoints.pickled_networks import (
    learner_network,
    learner_record,
    network_record,
)
from xattn.models.checkpoints.pickles import Inert, NeedsPickleError, read_inert
from xattn.models.checkpoints.programs import read_onnx, read_program
from xattn.paths import as_path
from xattn.runs.record import file_sha256


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, before it becomes a model.

    Attributes:
        path: the file.
        format: "xattn", "state-dict", "lightning" (weights beside other things), "torchscript",
            "exported" (of torch.export), "onnx" or "pickle".
        sha256: of the file.
        state: weights by key; of several sets the first that is no average.
        facts: architecture, options, classes, preprocessing and extra, where the file says them.
        module: the whole module, for programs and unpickled ones.
        sets: every set of weights in the file.
        content: what else is in it, by name: arguments of the training, epoch, scores.
    """

    path: Path
    format: str
    sha256: str
    state: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    sets: tuple[Weights, ...] = ()
    content: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: str | Path,
    module: nn.Module,
    *,
    architecture: str,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    options: Mapping[str, Any] | None = None,
    outputs: str = "softmax",
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write this project's own checkpoint, whole or not at all.

    Args:
        path: ends in `.safetensors` for that format; anything else is a `weights_only` dict.
        module: its weights are stored, on the CPU.
        architecture, options: what `build` needs to make it again.
        classes: names in the order of the logits.
        preprocessing: how images become inputs.
        outputs: "softmax" where classes exclude each other, "sigmoid" where each is a question of
            its own.
        extra: anything JSON can hold.
    """
    path = as_path(path, "a checkpoint")
    facts = {
        "schema": SCHEMA,
        "architecture": architecture,
        "options": dict(options or {}),
        "classes": list(classes),
        "preprocessing": preprocessing.to_dict(),
        **({} if outputs == "softmax" else {"outputs": outputs}),
        "extra": dict(extra or {}),
    }
    facts = json.loads(json.dumps(facts))  # refuses now what could not be read back later
    state = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    with replacing(path) as scratch:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(state, scratch, metadata={"xattn": json.dumps(facts)})
        else:
            with scratch.open("wb") as file:  # a disk's refusal is Python's own then
                torch.save({**facts, "state_dict": state}, file)
    return path


def read_checkpoint(path: str | Path, *, unsafe_pickle: bool = False) -> Checkpoint:
    """Read a checkpoint of any known format onto the CPU.

    Args:
        path: the file, or a folder that holds one.
        unsafe_pickle: allow files that can only be read by running what is pickled in them.

    Raises:
        CheckpointError: no such file, unknown content, or it would need `unsafe_pickle`.
    """
    path = find_file(Path(path))
    try:
        sha256 = file_sha256(path)
    except OSError as err:
        raise CheckpointError(
            f"Expected to read {path}, but got: {err.strerror or type(err).__name__}"
        ) from err
    if path.name.endswith(".index.json"):
        return _bare(path, sha256, read_shards(path))
    if is_safetensors(path):
        return _read_safetensors(path, sha256)
    if is_onnx(path):
        network, state, said = read_onnx(path)
        return Checkpoint(path, "onnx", sha256, state, module=network, content={"metadata": said})
    if is_exported(path):
        program = read_program(path) if unsafe_pickle else None
        return Checkpoint(path, "exported", sha256, read_weights(path), module=program)
    refuse_others(path)
    if _is_torchscript(path):
        module = _load_torchscript(path)
        return Checkpoint(path, "torchscript", sha256, dict(module.state_dict()), module=module)
    content = _load_torch(path, unsafe_pickle)
    if isinstance(content, nn.Module):
        return _of_module(path, sha256, content, {})
    if not isinstance(content, Mapping):
        inner = learner_network(content)
        if inner is not None:
            return _of_module(path, sha256, inner, {"learner": learner_record(content)})
        raise CheckpointError(
            f"Expected weights in {path}, but got an object of type {type(content).__name__}"
        )
    if str(content.get("schema", "")).startswith("xattn-checkpoint/"):
        facts = {k: v for k, v in content.items() if k != "state_dict"}
        return _own(path, sha256, content.get("state_dict"), facts)
    return _from_mapping(path, sha256, content)


def _own(path: Path, sha256: str, state: Any, facts: Any) -> Checkpoint:
    """Take this project's own checkpoint, if it says all that it should."""
    schema = facts.get("schema") if isinstance(facts, Mapping) else None
    if schema != SCHEMA:
        raise CheckpointError(f"Expected schema {SCHEMA} in {path}, but got {schema}")
    missing = [key for key in ("architecture", "options", "classes") if key not in facts]
    if missing or not isinstance(state, Mapping):
        lacking = ", ".join(missing or ["state_dict"])
        raise CheckpointError(f"Expected a checkpoint of xattn in {path}, but it lacks {lacking}")
    return Checkpoint(path, "xattn", sha256, dict(state), checked_facts(facts, path))


def _bare(path: Path, sha256: str, state: dict[str, Tensor]) -> Checkpoint:
    weights = Weights("", state, averaged=any(k.endswith("n_averaged") for k in state))
    return Checkpoint(path, "state-dict", sha256, state, sets=(weights,))


def _of_module(
    path: Path, sha256: str, module: nn.Module, content: Mapping[Any, Any]
) -> Checkpoint:
    said = {str(k): v for k, v in content.items() if not (v is module or is_passed_over(str(k)))}
    said = {"network": network_record(module), **said}
    return Checkpoint(
        path, "pickle", sha256, dict(module.state_dict()), module=module, content=said
    )


NESTS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "weights")
"""Keys under which trainings keep what they trained, the commonest first."""
_MODULES = (*NESTS, "ema")
"""Those under which a whole network may be pickled; Ultralytics' trainings keep the average."""


def _from_mapping(path: Path, sha256: str, content: Mapping[Any, Any]) -> Checkpoint:
    """Take a bare state dict, or those that training frameworks nest under other keys."""
    for key in _MODULES:
        if isinstance(content.get(key), nn.Module):
            return _of_module(path, sha256, content[key], content)
    sets = find_weights(content)
    if not sets:
        keys = ", ".join(str(k) for k in list(content)[:6])
        raise CheckpointError(f"Expected weights in {path}, but got only the keys {keys}")
    matrices = [v for one in sets for v in one.state.values() if v.ndim > 1]
    if matrices and all(v.numel() == 0 for v in matrices):
        raise CheckpointError(
            f"Expected weights in {path}, but its tensors are empty, as DeepSpeed leaves them "
            "where it spreads them over files; join them with its zero_to_fp32.py"
        )
    order = {key: i for i, key in enumerate(NESTS)}
    sets.sort(key=lambda one: (one.averaged, order.get(one.where, len(order))))
    format_ = "state-dict" if sets[0].where == "" else "lightning"
    inside = {one.where.partition(".")[0] for one in sets}
    said = {
        str(k): v
        for k, v in content.items()
        if not (isinstance(v, Tensor) or str(k) in inside or is_passed_over(str(k)))
    }
    return Checkpoint(path, format_, sha256, sets[0].state, sets=tuple(sets), content=said)


def _read_safetensors(path: Path, sha256: str) -> Checkpoint:
    state, metadata = read_safetensors(path)
    if "xattn" in metadata:
        facts = parse_json(metadata["xattn"], f"the record inside {path}", CheckpointError)
        return _own(path, sha256, state, facts)
    return _bare(path, sha256, state)


def _load_torch(path: Path, unsafe_pickle: bool) -> Any:
    try:
        content = read_inert(path)
    except NeedsPickleError as err:
        return _unpickle(path, unsafe_pickle, err)
    except Exception as err:  # damaged bytes make it raise anything
        raise _unreadable(path, err) from err
    if holds_objects(content):
        return _unpickle(path, unsafe_pickle, None)
    return content


def holds_objects(content: Any) -> bool:
    """Whether what should be weights is an object of a class that was not loaded."""
    if isinstance(content, Mapping):
        return any(isinstance(content.get(key), Inert) for key in _MODULES)
    return isinstance(content, Inert)


def _unpickle(path: Path, allowed: bool, cause: Exception | None) -> Any:
    if not allowed:
        raise CheckpointError(
            f"Expected plain weights in {path}, but it holds pickled Python objects, which "
            "run code when read; pass --unsafe-pickle if you trust it, or save "
            "`model.state_dict()` instead"
        ) from cause
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as err:
        # Unpickling runs foreign code: it may raise anything, most often for a missing module.
        first = (str(err).splitlines() or [""])[0]
        missing = (err.name or "").partition(".")[0] if isinstance(err, ModuleNotFoundError) else ""
        way_out = f"; install the package that {missing!r} is of" if missing else ""
        raise CheckpointError(
            f"Unpickling {path} failed: {type(err).__name__}: {first}{way_out}"
        ) from err


def _unreadable(path: Path, err: Exception) -> CheckpointError:
    return CheckpointError(
        f"Expected a checkpoint in {path}, but its content is damaged, cut short or of no known "
        f"format ({_first_sentence(err)})"
    )


def _first_sentence(err: Exception) -> str:
    text = f"{type(err).__name__}: {str(err).strip()}".removesuffix(": ")
    return text.splitlines()[0].split(". ")[0][:100]


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except Exception:  # no archive, or a damaged one: torch.load will say so
        return False


def _load_torchscript(path: Path) -> nn.Module:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "torch.jit.load is deprecated": the file is what it is
        try:
            module: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        except Exception as err:  # damaged bytes make it raise anything
            raise _unreadable(path, err) from err
    return module
