"""Checkpoint files: telling the formats apart, reading them without running their code, ours.

This project's own checkpoint is a dict that `torch.load(weights_only=True)` accepts, or a
safetensors file whose metadata holds the same facts as JSON under the key `xattn`.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xattn.documents import parse_json
from xattn.errors import CheckpointError
from xattn.images.preprocessing import Preprocessing
from xattn.runs.atomic import replacing

SCHEMA = "xattn-checkpoint/1"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, before it becomes a model.

    Attributes:
        path: the file.
        format: "xattn", "state-dict", "lightning", "torchscript" or "pickle".
        sha256: of the file.
        state: weights by key.
        facts: architecture, options, classes, preprocessing and extra, where the file says them.
        module: the whole module, for TorchScript and unpickled ones.
    """

    path: Path
    format: str
    sha256: str
    state: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None


def save_checkpoint(
    path: str | Path,
    module: nn.Module,
    *,
    architecture: str,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    options: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write this project's own checkpoint, whole or not at all.

    Args:
        path: ends in `.safetensors` for that format; anything else is a `weights_only` dict.
        module: its weights are stored, on the CPU.
        architecture, options: what `build` needs to make it again.
        classes: names in the order of the logits.
        preprocessing: how images become inputs.
        extra: anything JSON can hold.
    """
    path = Path(path)
    facts = {
        "schema": SCHEMA,
        "architecture": architecture,
        "options": dict(options or {}),
        "classes": list(classes),
        "preprocessing": preprocessing.to_dict(),
        "extra": dict(extra or {}),
    }
    facts = json.loads(json.dumps(facts))  # refuses now what could not be read back later
    state = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    with replacing(path) as scratch:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(state, scratch, metadata={"xattn": json.dumps(facts)})
        else:
            torch.save({**facts, "state_dict": state}, scratch)
    return path


def read_checkpoint(path: str | Path, *, unsafe_pickle: bool = False) -> Checkpoint:
    """Read a checkpoint of any known format onto the CPU.

    Args:
        path: the file.
        unsafe_pickle: allow files that can only be read by running what is pickled in them.

    Raises:
        CheckpointError: no such file, unknown content, or it would need `unsafe_pickle`.
    """
    path = Path(path)
    if not path.is_file():
        there = "a folder" if path.is_dir() else "nothing"
        raise CheckpointError(f"Expected a checkpoint file at {path}, but got {there} there")
    sha256 = _sha256(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path, sha256)
    if _is_torchscript(path):
        module = _load_torchscript(path)
        return Checkpoint(path, "torchscript", sha256, dict(module.state_dict()), module=module)
    content = _load_torch(path, unsafe_pickle)
    if isinstance(content, nn.Module):
        return Checkpoint(path, "pickle", sha256, dict(content.state_dict()), module=content)
    if not isinstance(content, Mapping):
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
    return Checkpoint(path, "xattn", sha256, dict(state), dict(facts))


def _from_mapping(path: Path, sha256: str, content: Mapping[str, Any]) -> Checkpoint:
    """Take a bare state dict, or the one that training frameworks nest under a known key."""
    for key in ("state_dict", "model_state_dict", "model_state", "model", "net", "weights"):
        inner = content.get(key)
        if isinstance(inner, nn.Module):
            return Checkpoint(path, "pickle", sha256, dict(inner.state_dict()), module=inner)
        if isinstance(inner, Mapping) and any(isinstance(v, Tensor) for v in inner.values()):
            state = {str(k): v for k, v in inner.items() if isinstance(v, Tensor)}
            return Checkpoint(path, "lightning", sha256, state)
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        keys = ", ".join(str(k) for k in list(content)[:6])
        raise CheckpointError(f"Expected weights in {path}, but got only the keys {keys}")
    return Checkpoint(path, "state-dict", sha256, state)


def _read_safetensors(path: Path, sha256: str) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- no dict
    except (SafetensorError, OSError) as err:
        raise CheckpointError(f"Expected a safetensors file in {path}, but got: {err}") from err
    if "xattn" in metadata:
        facts = parse_json(metadata["xattn"], f"the record inside {path}", CheckpointError)
        return _own(path, sha256, state, facts)
    return Checkpoint(path, "state-dict", sha256, state)


def _load_torch(path: Path, unsafe_pickle: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:  # damaged bytes make it raise anything
        pickled = isinstance(err, pickle.UnpicklingError) and any(w in str(err) for w in _REFUSED)
        if not pickled:
            raise _unreadable(path, err) from err
        if not unsafe_pickle:
            raise CheckpointError(
                f"Expected plain weights in {path}, but it holds pickled Python objects, which "
                "run code when read; pass --unsafe-pickle if you trust it, or save "
                "`model.state_dict()` instead"
            ) from err
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as err:
        # Unpickling runs foreign code: it may raise anything, most often for a missing module.
        raise CheckpointError(f"Unpickling {path} failed: {type(err).__name__}: {err}") from err


_REFUSED = ("GLOBAL", "unrecognized function", "Can only build")
"""Words of torch's refusal of an object that is no plain weight."""


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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
