"""The command line: one thin function per verb, wired into one typer application."""

from __future__ import annotations

import inspect
import logging
import sys
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer

from mage_stac import __version__
from mage_stac.errors import MageStacError

VERBS = (
    "search",
    "ingest",
    "render",
    "translate",
    "train",
    "adapt",
    "predict",
    "water",
    "areas",
    "access",
    "report",
    "score",
    "compare",
    "check",
    "push",
    "show",
    "serve",
    "demo",
)
"""Order of the help page: the order of the work."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def _application() -> typer.Typer:
    app = typer.Typer(
        name="mage-stac",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(help="Maps disaster damage where no labels exist: search, render, train, predict. STAC in, STAC out.")
    def root(
        *,
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        del version

    for verb in VERBS:
        module: Any = import_module(f".{verb}", __package__)
        command = getattr(module, verb)
        app.command(name=verb, help=_flowing(command.__doc__))(command)
    return app


def _flowing(text: str) -> str:
    """A docstring whose paragraphs are one line each: a terminal breaks them where it ends."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app = _application()


INTERRUPTED = 130
"""Exit code of a shell command stopped by Ctrl-C: 128 + SIGINT."""


def _fail(message: str) -> None:
    sys.stderr.write(f"mage-stac: {' '.join(message.split())}\n")


class Lines(logging.Handler):
    """Shows what the library logs as lines on stderr, where a progress bar makes room for them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        typer.echo(f"warning: {' '.join(record.getMessage().split())}", err=True)


LINES = Lines(logging.WARNING)


def main() -> None:
    """Run one verb; bad input ends as one line on stderr and exit code 1, Ctrl-C as 130, wrong usage as 2."""
    # Libraries' logs and warnings are for developers: a user meets our own lines.
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger("mage_stac").addHandler(LINES)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    status = _status()
    if status == INTERRUPTED:
        _fail("stopped by Ctrl-C; what was complete is kept, run the same command again to go on")
    sys.exit(status)


def _status() -> int:
    try:
        # Typer turns Ctrl-C into this return value, and a typer.Exit into its code.
        status = app(standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except MageStacError as error:
        _fail(str(error))
        return 1
    except OSError as error:  # a full disk, a missing folder: the system's own words name the file
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        usage = getattr(error, "format_message", None)  # click's usage errors
        if usage is None:
            raise
        _fail(usage())
        return 2
    return status if isinstance(status, int) else 0
