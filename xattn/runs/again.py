"""The command that makes something in a folder anew: for messages, as it is to be typed.

A record holds the call that made it. Where it does not, as of an earlier version, what else is
known of the folder is filled into an example: where it lies, its checkpoint, the annotation file.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xattn.addresses.address import is_address
from xattn.errors import RunError
from xattn.runs.atomic import read_record
from xattn.runs.tables import TABLES, records
from xattn.runs.tables.table import Source

Call = Mapping[str, Any]

EXPLAIN = Source("xattn explain --ckpt model.pt --images dir/", "run.json")
_TRAIN = Source("xattn train RECIPE --annotations isic_attributes.json", "train.json")
_STUDY = Source("xattn study RECIPE", "study.json")


def command(*words: str | Path) -> str:
    """Write a command as it is typed, in backquotes.

    >>> command("xattn", "report", Path("my run"))
    "`xattn report 'my run'`"
    """
    return f"`{shlex.join(map(str, words))}`"


def run_again(folder: Path, *, last: bool = False, more: Sequence[str] = ()) -> str:
    """Return the commands that made a run, in backquotes.

    Args:
        folder: of the run.
        last: only the last of them, which is enough to go on, or to make maps that images lack.
        more: further words of each.
    """
    calls: list[Call] = list(_facts(folder, "run.json").get("calls", []))
    lines = dict.fromkeys(_line(call, folder, more) for call in (calls[-1:] if last else calls))
    if not lines or "" in lines:
        return f"`{_example(EXPLAIN, folder, more)}`"
    return " and ".join(f"`{line}`" for line in lines)


def record_again(folder: Path, name: str, *, more: Sequence[str] = (), here: bool = True) -> str:
    """Return the command that makes a record and its tables anew, in backquotes.

    Args:
        folder: that holds the record, or lacks it.
        name: of the record, such as "analysis.json".
        more: words that the call may have lacked.
        here: as it is typed here; else in the folder that holds this one, for pages that are read
            elsewhere.
    """
    source = records()[name]
    if name == "claims.json":  # of a study, of which this folder is a part
        return study_again(folder.parent)
    call, model = _facts(folder, name).get("call"), True
    if name == "analysis.json":  # of a run that knows its model
        model = False
    if name == "faithfulness.json":  # made by an option of another command
        more = ["--evaluate", *(call or {}).get("words", []), *more]
        source = EXPLAIN
        explained = [one for one in _facts(folder, "run.json").get("calls", [])
                     if one["command"] == "explain"]  # fmt: skip
        call = explained[-1] if explained else None
    line = "" if call is None else _line(call, folder, more, here=here, model=model)
    return f"`{line or _example(source, folder, more, here=here)}`"


def written_anew(folder: Path) -> str:
    """Return the way out where a file of an analysis is damaged."""
    return f"repeat {record_again(folder, 'analysis.json')}, which writes it anew"


def table_again(folder: Path, name: str, *, here: bool = True) -> str:
    """Return the command that writes a table, in backquotes.

    Args:
        folder: that lacks the table.
        name: of the table.
        here: as for `record_again`.
    """
    source = TABLES.find(name).source
    if source is None or not source.record:
        return f"`{TABLES[name].written_by}`"
    return record_again(folder, source.record, more=source.option.split(), here=here)


def training_again(folder: Path) -> str:
    """Return the command that repeats a training in another folder, in backquotes."""
    return f"`{_example(_TRAIN, folder, into=folder.with_name(f'{folder.name}-again'))}`"


def study_again(folder: Path, *more: str) -> str:
    """Return the command that goes on with a study, in backquotes.

    Args:
        folder: of the study.
        more: options.
    """
    call = _facts(folder, "study.json").get("call")
    line = "" if call is None else _line(call, folder, more)
    return f"`{line or _example(_STUDY, folder, more)}`"


def _facts(folder: Path, name: str) -> dict[str, Any]:
    """Read a record, {} if it is not there or damaged: a message must not fail for it."""
    path = folder / name
    try:
        return read_record(path) if path.is_file() else {}
    except (RunError, OSError):
        return {}


def _line(
    call: Call, folder: Path, more: Sequence[Any] = (), *, here: bool = True, model: bool = True
) -> str:
    """Write a call as one line; "" where its record does not tell, or no command could say it."""
    words, loading = call.get("words"), call.get("model") if model else None
    loaded: list[Any] = []
    if loading is not None:
        files = loading["checkpoint"]
        if files is None or loading.get("words") is None:
            return ""
        for file in [files] if isinstance(files, str) else files:
            loaded += ["--ckpt", {"path": file}]
        loaded += loading["words"]
    if words is None:
        return ""
    plugins = [word for one in call.get("plugins", ())
               for word in ("--plugin", {"path": one["file"]})]  # fmt: skip
    marked = ["xattn", *plugins, call["command"], *loaded, *words, *more]
    flag = "--run" if call["command"] == "feature-usage" else "--out"
    typed = shlex.join(_typed(word, folder, here) for word in marked)
    return f"{typed}{_folder_words(folder, flag, here)}"


def _example(
    source: Source,
    folder: Path,
    more: Sequence[Any] = (),
    *,
    here: bool = True,
    into: Path | None = None,
) -> str:
    """Fill what is known of a folder into the example of a command."""
    known = _known(source, folder)
    marked = [{"path": known[word]} if known.get(word) else word for word in source.command.split()]
    typed = shlex.join(_typed(word, folder, here) for word in (*marked, *more))
    flag = "--run" if "feature-usage" in marked else "--out"
    return f"{typed}{_folder_words(into or folder, flag, here)}"


def _known(source: Source, folder: Path) -> dict[str, str | None]:
    """Return files by what stands for them in examples, from the folder that holds this one."""
    run, own = _facts(folder, "run.json"), _facts(folder, source.record)
    calls = [*run.get("calls", ()), own.get("call") or {}]
    named = [(call.get("inputs") or {}).get("annotations") for call in calls]
    training = source is _TRAIN
    recipe = training and (folder / "recipe.toml").is_file()
    return {
        "model.pt": run.get("checkpoint_file"),
        "isic_attributes.json": own.get("annotations") if training
        else next(filter(None, reversed(named)), None),
        "RECIPE": f"{folder.name}/recipe.toml" if recipe else None,
    }  # fmt: skip


def _typed(word: Any, folder: Path, here: bool) -> str:
    """Return a word of a record as it is typed; of a path where it lies from here."""
    if isinstance(word, str):
        return word
    path = str(word["path"])
    if here and not is_address(path):
        place = folder.absolute().parent
        place = place if folder.is_absolute() else Path(os.path.relpath(place))
        path = Path(os.path.normpath(place / path)).as_posix()
    return f"{word.get('before', '')}{path}"


def _folder_words(folder: Path, flag: str, here: bool = True) -> str:
    return f" {shlex.join([flag, str(folder) if here else folder.resolve().name])}"
