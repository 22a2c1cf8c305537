"""List the words that this project does not use, where they stand in the meaning given here.

`python tools/check_words.py [PATHS]` prints one line a place and exits with 1 if there is any. The
words of the field stand in docs/glossary.md; this is the other side: words that once stood for
them, or would come to mind, each with what to say instead. Words are found in prose, in
identifiers (`whole_picture`, `PictureRow`) and over line ends.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READ = "xattn tests docs models analysis figures tools README.md CONTRIBUTING.md CHANGELOG.md"
ENDINGS = {".py", ".md", ".toml", ".j2", ".js", ".css", ".csv", ".yaml", ".yml", ".cff"}
NOT_READ = {"tools/check_words.py", "tests/test_check_words.py"}  # they hold the words themselves

_GAP = (
    r"(?:[\s#_]|\\n|\"\s*f?\")+"  # between two words: also a line end, in comments and in strings
)


@dataclass(frozen=True)
class Word:
    """A word in a meaning.

    Attributes:
        today: regular expression of the word; blanks stand for any white space. It is found as a
            whole word, part of an identifier or not, in any case.
        say: what the field says.
        unless: what the word is part of where it means something else, such as the name of a
            column.
    """

    today: str
    say: str
    unless: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The word in lower case, whatever stands around it."""
        return re.compile(_spaced(self.today))

    @cached_property
    def exceptions(self) -> re.Pattern[str] | None:
        """All that the word may be part of, in lower case."""
        return re.compile("|".join(map(_spaced, self.unless))) if self.unless else None

    def places(self, text: str, lower: str) -> Iterator[re.Match[str]]:
        """Yield where the word stands in this meaning; `lower` is the text in lower case."""
        fine: list[tuple[int, int]] | None = None
        for match in self.pattern.finditer(lower):
            if not _whole(text, *match.span()):
                continue
            if fine is None:
                fine = [m.span() for m in self.exceptions.finditer(lower)] if self.unless else []
            if not any(start <= match.start() and match.end() <= end for start, end in fine):
                yield match


def _whole(text: str, start: int, end: int) -> bool:
    """Whether a word ends on both sides here, by itself or in a snake_case or CamelCase name."""
    before, first, after = text[start - 1 : start], text[start], text[end : end + 1]
    opens = not before.isalpha() or (before.islower() and first.isupper())
    return opens and not (after.isalpha() and after.islower() == text[end - 1].islower())


def _spaced(pattern: str) -> str:
    return pattern.replace(" ", _GAP)


# What follows or goes before "share" where it is a verb.
_SHARED = (
    r"(?<!the\x20)(?<!a\x20)shares? (?:an?|the|one|its|their|theirs|no|it|them|nothing|this|these"
    r"|all|what|two|any|each|every|images|permutations|neighbours|labels?|ids?)(?![a-z])(?! of)",
    r"\b(?:to|that|which|who|can|may|must|not|they|all|both|others?) share(?![a-z])(?! of)",
    r"\b(?!its|this|as|less|class|has|was|is)\w+s share(?![a-z])(?! of)",
    r"\b(?:several|none) share\b",
)

# Names of columns, options and keys of files, which stay.
_COLUMNS = (
    r"trap[_-]share", "variance_share", "road_shares", "[\"'`]share[\"'`]", r"\.share\b",
    r"\bshare: (?:float|fraction)",
)  # fmt: skip

WORDS = (
    # What captures and hooks do.
    Word("heard", "hooked, attention weights"),
    Word(r"listen(?:s|ed|ing|ers?)?", "hook", ("eventlistener",)),
    Word(r"len(?:t|ds?|ding)", "preserved (state); usable (images)"),
    Word(r"gather(?=\(model)", "capture"),
    Word("canonical(?:ly)?", "fx_rewrite; standard"),
    Word(r"replay(?:s|ed|ing)?", "partial forward; repeat"),
    Word("peer", "pytorch-grad-cam"),
    Word(r"perturbing cam", "gradient-free CAM"),
    Word(r"xattn[./]explain[./](?=\w)", "xattn.attribution"),
    # Images and their parts.
    Word("pictur(?:ed|es?)", "image; figure; overlay (of a map)", ("</?picture>",)),
    Word("rims?", "border"),
    Word("strangers?", "reference image without the feature"),
    Word("company", "the rest of the batch; correlation"),
    Word(r"sizes? of letters|letters of \d|letters, points", "text size, text"),
    # Data.
    Word("shares?", "fraction", (*_SHARED, *_COLUMNS)),
    Word("by lot", "at random"),
    Word("deal(?:t|s|ing)?", "split or assign at random", ("deal(?:s|t|ing)? with", "good deal")),
    Word("put(?:s|ting)? down", "write"),
    Word(r"(?<!i\.)i\.d\.|o\.o\.d\.", "in-distribution (ID), out-of-distribution (OOD)"),
    Word("divisions?", "split", ("zerodivisionerror", "divisions? (?:by|of numbers)")),
    Word("make-up", "composition"),
    Word("materials?", "dataset", ("supplementary materials?",)),
    Word("faults?", "problem", ("segmentation faults?", "at fault", "fault of the model")),
    # Riddles.
    Word("lies? more than (?:by )?chance", "exceeds chance"),
    Word("take care:", "Warning:"),
    Word("by its looks", "detected automatically if omitted"),
    Word("by commas", "comma-separated", ("(?:separated|joined|divided) by commas",)),
    Word("told from (?:all|the) others?", "all others are merged"),
    Word(r"sp(?:eaks?|oke|oken|eaking) of", "refer to, be about, hold for"),
    Word(r"chosen by (?:\d|\{|their|them|it\b|its)", "used for model selection"),
    Word("of a trial, instead of the recipe's", "epochs per trial; default: the recipe's"),
    Word("whose page", "journal style"),
    Word("seeds? (?:each )?cannot tell", "the number of seeds cannot resolve"),
)

# Files whose names say nothing to people of the field, with their rooms' names for them.
FILES = {
    r"evidence|heard": "capture (attribution), sources (figures)",
    "canonical": "fx_rewrite",
    "replay": "partial_forward",
    "readout": "short_vit",
    "engine": "fast_copy",
    "peer": "pytorch_grad_cam",
    "relevance": "lrp",
    "perturbing_cam": "gradient_free_cam",
    "register": "mask_orientation",
    "ties": "groups",
    "faults": "problems",
    "material": "dataset",
    "listed": "from_lists",
    "binding": "assign",
    "divide": "make",
    "start": "init_weights",
    "quiet": "lightning_quiet",
    "together": "aligned_runs, what is together",
    "pictures?": "image",
}

# One meaning a name: none of these is declared by two modules of the program.
ONCE = {"Evidence", "Card", "Finding", "compare", "stream", "gather", "sign_flip_p", "write_json"}


@dataclass
class Findings:
    """What was found, one line each."""

    lines: list[str] = field(default_factory=list)
    declared: dict[str, list[str]] = field(default_factory=dict)

    def read(self, path: Path) -> None:
        """Look through one file and at its name."""
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        if name in NOT_READ:
            return
        for stem, say in FILES.items():
            if path.suffix == ".py" and re.fullmatch(f"(?:test_)?(?:{stem})", path.stem):
                self.lines.append(f"{name}: name of the file -> {say}")
        text = path.read_text(encoding="utf-8")
        lower = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
        for word in WORDS:
            for match in word.places(text, lower):
                line = text.count("\n", 0, match.start()) + 1
                found = " ".join(match.group().split())
                self.lines.append(f"{name}:{line}: {found!r} -> {word.say}")
        if path.suffix == ".py" and name.startswith("xattn/"):
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in ONCE:
                    self.declared.setdefault(node.name, []).append(f"{name}:{node.lineno}")

    def finish(self) -> list[str]:
        """Return all lines, of each file in order, and the names that mean two things."""
        twice = (
            f"{places[0]}: {name} is declared in {', '.join(places[1:])} too"
            for name, places in sorted(self.declared.items())
            if len(places) > 1
        )
        return [*sorted(self.lines, key=_place), *twice]


def _place(line: str) -> tuple[str, int]:
    name, number, *_ = (*line.split(":", 2), "", "")
    return name, int(number) if number.isdigit() else 0


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield files of text, those of folders in order; what is hidden is passed over."""
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in inside:
            hidden = any(part.startswith((".", "__")) for part in one.relative_to(path).parts[:-1])
            if one.is_file() and one.suffix in ENDINGS and not hidden:
                yield one


def main(arguments: list[str] | None = None) -> int:
    """Print the places and return the exit code: 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, help="files and folders; default the project"
    )
    paths = parser.parse_args(arguments).paths or [ROOT / name for name in READ.split()]
    findings = Findings()
    for path in files([path.resolve() for path in paths if path.exists()]):
        findings.read(path)
    found = findings.finish()
    last = f"{len(found)} places" if found else "no word of the list"
    sys.stdout.write("\n".join([*found, last]) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
