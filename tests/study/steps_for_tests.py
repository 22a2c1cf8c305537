"""A study of steps that write a line each, so that what is done and what is not can be counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xattn.errors import XattnError
from xattn.study.inputs import Inputs
from xattn.study.steps import Step, Telling


class Chain:
    """Steps "make/NAME" of several names, and "gather" of all of them.

    Args:
        out: folder of the study.
        names: of the steps.
        settings: of each step.
        broken: names of steps that fail.
        source: a file whose content all steps depend on, or None.
        extra: names of files that each step writes beside its result.
        stands: whether the first steps' results still lead to files outside; None for not asked.
    """

    def __init__(
        self,
        out: Path,
        names: tuple[str, ...] = ("a", "b"),
        settings: Mapping[str, Any] | None = None,
        broken: tuple[str, ...] = (),
        source: Path | None = None,
        extra: tuple[str, ...] = (),
        stands: bool | None = None,
    ) -> None:
        self.out, self.ran = out, list[str]()
        self._settings, self._broken, self._source = settings or {}, broken, source
        self._names, self._extra, self._stands = names, extra, stands

    def steps(self) -> list[Step]:
        """Return the steps."""
        made = []
        for name in self._names:
            made.append(self._step(f"make/{name}", {"value": self._settings.get(name, 0)}))
            made.append(self._step(f"use/{name}", {}, needs=(f"make/{name}",)))
        return [*made, self._step("gather", {}, gathers=tuple(f"use/{n}" for n in self._names))]

    def _step(self, name: str, settings: Mapping[str, Any], **order: Any) -> Step:
        folder = self.out / name.replace("/", "-")

        def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
            if name.rpartition("/")[2] in self._broken and name.startswith("make"):
                raise ValueError("broken")
            self.ran.append(name)
            say.note(f"{name} takes {len(taken)}")
            folder.mkdir()
            for more in self._extra:
                (folder / more).parent.mkdir(exist_ok=True)
                (folder / more).write_text(more)
            written = folder / "result.csv"
            written.write_text(f"{settings} {sorted(taken)}\n")
            return [written]

        more: dict[str, Any] = {"shared": ("errors.csv",)}
        if name.startswith("make") and self._source is not None:
            more["files"] = self._outside
        if name.startswith("make") and self._stands is not None:
            more["stands"] = lambda: self._stands
        return Step(name, run, settings, folder, **order, **more)

    def _outside(self, inputs: Inputs) -> dict[str, Any]:
        source = self._source
        assert source is not None
        if not source.exists():
            raise XattnError(f"Expected a file at {source}, but got nothing there")
        return {"source": inputs.digest([source], source.parent)}
