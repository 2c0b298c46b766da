"""`replay accept` and `replay reject`: what becomes of recordings that wait."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from replay.names import PENDING

from ._files import DEFAULT_FOLDER, Found, pending_in, shown_path
from ._out import say, say_json

__all__ = ('accept_command', 'reject_command')


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands take."""
    folder = click.Path(path_type=Path)
    for option in (
        click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.'),
        click.option('--dir', 'folder', type=folder, default=DEFAULT_FOLDER, show_default=True, help='The cassettes.'),
        click.argument('targets', nargs=-1, metavar='[NAME | PATH ...]'),
    ):
        command = option(command)
    return command


@click.command('accept')
@_options
def accept_command(*, targets: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """Put pending recordings in the place of their cassettes: those that are named, or all."""
    found = pending_in(targets, folder)
    # All are read before one is moved, so that a damaged one changes nothing.
    for store, name in found:
        store.read(name, pending=True)
    for store, name in found:
        store.accept(name)
    _tell('accepted', found, folder, as_json=as_json)


@click.command('reject')
@_options
def reject_command(*, targets: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """Throw pending recordings away: those that are named, or all. The accepted cassettes stay."""
    found = pending_in(targets, folder)
    for store, name in found:
        store.reject(name)
    _tell('rejected', found, folder, as_json=as_json)


def _tell(done: str, found: list[Found], folder: Path, *, as_json: bool) -> None:
    paths = [shown_path(store.path(name)) for store, name in found]
    if as_json:
        say_json({done: list(paths)})
        return
    for path in paths:
        say(f'{done} {path if done == "accepted" else f"{path}{PENDING}"}')
    if not paths:
        say(f'nothing is pending below {shown_path(folder)}')
