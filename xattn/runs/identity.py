"""What two calls must share to write into one run folder, and how what differs is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xattn.errors import RunError
from xattn.runs.another_folder import another_folder

IDENTITY = (
    "checkpoint_sha256",
    "weights",
    "classes",
    "outputs",
    "output",
    "preprocessing",
    "target",
    "target_layer",
)
"""What results of a model depend on; a command adds those of its settings that it marks so.

A key that one of the two records lacks is not compared: another version wrote that record. Methods
are not among them, for a run is added to; nor is the batch size, which changes rounding alone.
"""

VERSIONS = ("xattn", "torch", "torchvision", "timm", "numpy", "pillow")
"""Packages that results depend on: a run is gone on with in other versions, but it is said."""


def require_same(
    old: Mapping[str, Any], new: Mapping[str, Any], folder: Path, more: Sequence[str] = ()
) -> None:
    """Make sure that a run folder can be gone on with.

    Args:
        old, new: its run.json, and the settings of this call.
        folder: for the message.
        more: keys that must not differ beside those of `IDENTITY`.

    Raises:
        RunError: some of them differ; each is named with both values.
    """
    found = [
        one
        for key in (*IDENTITY, *more)
        if key in old and key in new and not (key == "overlay" and not old.get("methods"))
        for one in differences(old[key], new[key], key)
    ]
    if found:
        was = " and ".join(f"{key} {_shown(then)}" for key, then, _ in found)
        now = " and ".join(_shown(value) for _, _, value in found)
        raise RunError(
            f"Expected {was} as in the run folder {folder}, but got {now}; {another_folder()}"
        )


def kept(old: Mapping[str, Any], more: Sequence[str] = ()) -> dict[str, Any]:
    """Return the settings that a call on a run folder takes over from it."""
    named = [key for key in (*IDENTITY, *more) if key in old]
    keys = [key for key in named if key != "overlay" or old.get("methods")]
    return {key: old[key] for key in keys}


def other_versions(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say in which versions the two records differ: "torch 2.7, was 2.6"; "" if in none."""
    was, now = old.get("versions", {}), new.get("versions", {})
    return ", ".join(
        f"{name} {now[name]}, was {was[name]}"
        for name in VERSIONS
        if name in was and name in now and was[name] != now[name]
    )


def differences(then: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted key, then, now) of every value that differs."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*then, *now]):
            yield from differences(then.get(key), now.get(key), f"{place}.{key}" if place else key)
    elif then != now:
        yield place, then, now


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def join_settings(settings: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a call with what the record says of earlier ones taken over."""
    both = dict(settings)
    left_out = {**old.get("left_out", {}), **both.get("left_out", {})}
    if left_out or "left_out" in both:
        kept_out = {name: why for name, why in left_out.items() if name not in both["methods"]}
        both["left_out"] = kept_out
    if "targets" in old and "targets" in both:
        both["targets"] = list(dict.fromkeys([*old["targets"], *both["targets"]]))
    if calls := both.get("calls"):
        before = list(old.get("calls", []))
        both["calls"] = before + [call for call in calls if call not in before]
    since = list(old.get("versions_since", []))
    now = both.get("versions")
    if "versions" in old and now is not None:
        if other_versions(old, both) and now not in since:
            since.append(now)
        both["versions"] = old["versions"]
    if since:
        both["versions_since"] = since
    return both
