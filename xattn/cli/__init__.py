"""The command line: a thin shell over the library's functions.

Nothing heavy is imported here or in the modules of the commands; each command fetches what it
needs when it runs, so that `xattn --help` answers at once.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Sequence

import rich_click as click

from xattn._version import __version__
from xattn.addresses.outgoing import sending_all
from xattn.cli import (
    annotate,
    compare,
    demo,
    evaluate,
    explain,
    feature_usage,
    merge,
    models,
    report,
    search,
    study,
    synthesize,
    train,
    verify,
)
from xattn.cli.options import plugin_option
from xattn.cli.signals import Terminated, terminable
from xattn.cli.text import visible_lines
from xattn.disk import disk_error
from xattn.errors import XattnError

click.rich_click.TEXT_MARKUP = "rich"
click.rich_click.MAX_WIDTH = 100
click.rich_click.COMMAND_GROUPS = {
    "xattn": [
        {"name": "The main job", "commands": ["explain", "feature-usage", "report", "figures"]},
        {
            "name": "Models",
            "commands": ["models", "inspect", "train", "search", "evaluate", "compare"],
        },
        {"name": "All of it", "commands": ["study", "merge", "verify"]},
        {"name": "Data", "commands": ["annotations", "synthesize", "demo"]},
    ]
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xattn")
@plugin_option
def app() -> None:
    """What does a medical image classifier look at: the medicine, or the ruler in the corner?

    [bold]xattn explain[/] --ckpt model.pt --images dir/   then
    [bold]xattn feature-usage[/] --annotations isic_attributes.json
    """


COMMANDS = (
    explain.command,
    feature_usage.command,
    report.report_command,
    report.figures_command,
    models.models_command,
    models.inspect_command,
    train.command,
    search.command,
    evaluate.command,
    compare.command,
    study.command,
    merge.command,
    verify.command,
    annotate.command,
    synthesize.command,
    demo.command,
)
for command in COMMANDS:
    app.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done; 1 nothing could be done; 2 wrong usage; 3 some inputs were skipped and `--strict` was
    given; 130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        _settle(debug="--debug" in given)
    try:
        with terminable(), sending_all():
            code = app.main(given, prog_name="xattn", standalone_mode=False)
    except click.ClickException as err:
        vars(err)["message"] = visible_lines(err.message)
        err.show()
        return err.exit_code
    except (click.Abort, KeyboardInterrupt) as err:
        if isinstance(err.__cause__, EOFError):  # click takes it for an end of the user's input
            if "--debug" in given:
                raise err.__cause__ from None
            _say("Error: Expected whole files, but one ended too early; --debug says which")
            return 1
        _say("Interrupted; what was written is kept, repeat the command to go on")
        return 130
    except Terminated as err:
        _say(f"Ended by {err.signal.name}; what was written is kept, repeat the command to go on")
        return err.code
    except (XattnError, OSError) as err:
        if "--debug" in given:
            raise
        told = err if isinstance(err, XattnError) else disk_error(err)
        _say(f"Error: {told}")
        return XattnError.exit_code if told is None else told.exit_code
    return code if isinstance(code, int) else 0


def _say(text: str) -> None:
    click.echo(visible_lines(text), err=True)


def _settle(debug: bool) -> None:
    """Let names that the terminal has no letters for be written out, and libraries be quiet."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not (debug or sys.warnoptions):
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(logging.NullHandler())  # else warnings go to stderr
