"""Checkpoints that are folders, and safetensors in one file or spread over several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from xattn.errors import CheckpointError

WEIGHTS = ("model.safetensors", "model.pt", "pytorch_model.bin", "model.safetensors.index.json")
"""Names that hubs and this project give to the weights in a folder, the first found is taken."""

_ENDINGS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".pt2", ".onnx")
_ELSE = {
    ".metadata": (
        "shards of a distributed training; join them with "
        "`python -m torch.distributed.checkpoint.format_utils dcp_to_torch`"
    ),
    "zero_to_fp32.py": "shards of DeepSpeed; join them with the zero_to_fp32.py in it",
    "latest": "shards of DeepSpeed; join them with its zero_to_fp32.py",
    "saved_model.pb": "a model of TensorFlow; only PyTorch's are read",
    "data.pkl": "an unpacked file of torch.save; name the file it was unpacked from",
    "adapter_config.json": "an adapter without its model; merge it and save `model.state_dict()`",
}


def find_file(path: Path) -> Path:
    """Return the checkpoint file that is meant by a file or a folder.

    Raises:
        CheckpointError: there is nothing, or it is not clear which of a folder's files is meant.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        there = "something that is no file" if path.exists() else "nothing"
        raise CheckpointError(f"Expected a checkpoint file at {path}, but got {there} there")
    for name, what in _ELSE.items():
        if (path / name).exists():
            raise CheckpointError(f"Expected a checkpoint in the folder {path}, but got {what}")
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    found = sorted(p.name for p in path.iterdir() if p.is_file() and p.suffix in _ENDINGS)
    if len(found) == 1:
        return path / found[0]
    got = f"{len(found)}: {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}; name one"
    raise CheckpointError(
        f"Expected one checkpoint in the folder {path}, but got {got if found else 'none'}"
    )


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors by key, and the metadata of the file.

    Raises:
        CheckpointError: it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- no dict
            return state, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as err:
        raise CheckpointError(f"Expected a safetensors file in {path}, but got: {err}") from err


def read_shards(index: Path) -> dict[str, Tensor]:
    """Read the safetensors files that an index names, all beside it.

    Raises:
        CheckpointError: the index is damaged, or a file is missing.
    """
    content = read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise CheckpointError(f"Expected a 'weight_map' in {index}, but got none")
    state: dict[str, Tensor] = {}
    for name in sorted(set(names.values())):
        shard = index.parent / Path(name).name  # an index cannot lead out of its folder
        if not shard.is_file():
            raise CheckpointError(f"Expected {shard}, which {index.name} names, but got nothing")
        state |= read_safetensors(shard)[0]
    return state


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; None if it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
