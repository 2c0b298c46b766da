"""What a person or a pipe sees: colours and progress on a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from replay.errors import ReplayError
from replay.printable import printable_lines

from ._steps import Steps

if TYPE_CHECKING:
    from replay.canon import Json

__all__ = ('fail', 'note', 'progress', 'say', 'say_json')


def say(text: str = '', *, colour: str | None = None, bold: bool = False) -> None:
    """Write one line to the output, coloured if it is a terminal. The text is safe already (see `printable`)."""
    click.secho(text, fg=colour, bold=bold or None, color=_color())


def say_json(value: 'Json') -> None:
    """Write one line of JSON to the output.

    Raises:
        ReplayError: If a text in it is none that JSON can hold: half of a surrogate pair.
    """
    from replay.canon import CanonError, dumps

    try:
        data = dumps(value)
    except CanonError as error:
        raise ReplayError('the result cannot be written as JSON', expected='Unicode text', got=str(error)) from None
    click.echo(data, color=False)


def note(text: str) -> None:
    """Write one line beside the output: what a person wants to know and a pipe does not want to read."""
    click.echo(text, err=True, color=_color())


def fail(error: ReplayError) -> int:
    """Write an error beside the output.

    Args:
        error: Its text may quote what came from a file.

    Returns:
        The exit code that it earns.
    """
    headline, *rows = error.render().split('\n')
    click.secho(printable_lines(headline)[0], fg='red', err=True, color=_color())
    for row in rows:
        click.echo(printable_lines(row)[0], err=True)
    return _code(error)


@contextmanager
def progress(first: str) -> Generator[Steps]:
    """Show progress beside the output while the block runs, if that is a terminal; nothing at all elsewhere.

    Args:
        first: What is done first.

    Yields:
        What to tell of each step.
    """
    if not _is_terminal():
        yield Steps()
        return
    from ._progress import shown

    with shown(first) as steps:
        yield steps


def _code(error: ReplayError) -> int:
    """1 if a run was not as recorded, 2 if something given was no good."""
    from replay.match import Diverged
    from replay.verdicts import RunLacking, RunUnfinished, Unplayed

    return 1 if isinstance(error, Diverged | RunLacking | RunUnfinished | Unplayed) else 2


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get('TERM') != 'dumb'


def _color() -> bool | None:
    """False where colours are unwanted; None lets click strip them where the output is no terminal."""
    return False if os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb' else None
