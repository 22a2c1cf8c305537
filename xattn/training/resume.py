"""Where an unfinished training stands, so that the same call can go on from there."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xattn.errors import RunError, XattnError
from xattn.runs.atomic import read_record, write_json
from xattn.runs.identity import differences


@dataclass(frozen=True)
class Bookmark:
    """OUT/.progress: the state after the last finished epoch, and what the training was begun with.

    Attributes:
        out: folder of the training.
    """

    out: Path

    @property
    def state(self) -> Path:
        """Weights, optimiser, schedule and history after the last finished epoch."""
        return self.out / ".progress" / "last.ckpt"

    @property
    def pending(self) -> bool:
        """Whether an epoch was finished and the training was not."""
        return self.state.is_file()

    @property
    def _arguments(self) -> Path:
        return self.out / ".progress" / "arguments.json"

    def check(self, **arguments: Any) -> None:
        """Make sure that a training to go on with was begun with these arguments.

        Args:
            arguments: anything JSON can hold; those that are not named here are not compared.

        Raises:
            RunError: one differs; it is named.
        """
        if not self.pending:
            return
        try:
            begun = read_record(self._arguments, "what it was begun with")
        except XattnError as err:
            raise RunError(
                f"Expected what the training in {self.out} was begun with, but {err}; "
                f"delete {self.state.parent} to begin anew"
            ) from None
        now = json.loads(json.dumps(arguments))
        then = {key: begun.get(key) for key in now}
        for key, old, new in differences(then, now):
            raise RunError(
                f"Expected the arguments that the unfinished training in {self.out} was begun "
                f"with, but got another {key} ({_shown(old)} then, {_shown(new)} now); repeat the "
                f"first call to go on, name another folder with --out, or delete "
                f"{self.state.parent} to begin anew"
            )

    def begin(self, **arguments: Any) -> None:
        """Write what the training is begun with, unless there is one to go on with."""
        if not self.pending:
            self.clear()
            self._arguments.parent.mkdir(parents=True)
            write_json(self._arguments, arguments)

    def clear(self) -> None:
        """Forget the training's progress."""
        shutil.rmtree(self.state.parent, ignore_errors=True)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}..."
