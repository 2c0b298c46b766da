"""`replay pending`, `accept` and `reject`: which recordings wait, and what becomes of them."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from replay.canon import JsonObject
from replay.diff import CassetteDiff, RunDiff, diff_cassettes
from replay.errors import ReplayError
from replay.names import PENDING
from replay.printable import printable
from replay.store import Store

from ._files import Found, pending_in, shown_path
from ._out import say, say_json
from ._project import dir_option

__all__ = ('accept_command', 'compared', 'pending_command', 'reject_command')


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What all of them take."""
    for option in (
        click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.'),
        dir_option,
        click.argument('targets', nargs=-1, metavar='[NAME | PATH ...]'),
    ):
        command = option(command)
    return command


@click.command('pending')
@_options
def pending_command(*, targets: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """List the recordings that wait for a decision, all or those that are named, and what each of them changes."""
    found = pending_in(targets, folder)
    if as_json:
        say_json({'pending': [_as_json(store, name) for store, name in found]})
        return
    for store, name in found:
        say(f'{shown_path(store.path(name))}   {_change(store, name)}')
    if found:
        say(f'{len(found)} pending   next: replay review, or replay accept NAME, replay reject NAME')
    else:
        say(f'nothing is pending below {shown_path(folder)}')


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


def compared(store: Store, name: str) -> CassetteDiff:
    """Compare a pending recording with its cassette, one that is damaged with nothing.

    Raises:
        ReplayError: If the recording itself cannot be read.
    """
    old = None
    if store.exists(name):
        with suppress(ReplayError):  # a damaged one is no reason to refuse its successor
            old = store.read(name)
    label = shown_path(store.path(name))
    new = store.read(name, pending=True)
    return diff_cassettes(old, new, old_label=label if old else None, new_label=f'{label}{PENDING}')


def _change(store: Store, name: str) -> str:
    """What a pending recording changes, in one line."""
    try:
        diff = compared(store, name)
    except ReplayError as error:
        return f'damaged: {printable(error.headline)}'
    if diff.old is None:
        return f'new: {_count(len(diff.runs), "run")}'
    return '; '.join(_run_change(run) for run in diff.runs if run.status != 'same') or 'no node differs'


def _run_change(run: RunDiff) -> str:
    name = printable(run.name)
    if run.status != 'changed':
        return f'run {name} {run.status}'
    counts = [f'{run.count(status)} {status}' for status in ('changed', 'added', 'removed') if run.count(status)]
    nodes = f'{", ".join(counts)} of {_count(len(run.nodes), "node")}' if counts else 'its facts changed'
    first = next((node.item for node in run.nodes if node.status != 'same'), None)
    return f'run {name}: {nodes}{f", first {first.index} {first.kind}" if first else ""}'


def _as_json(store: Store, name: str) -> JsonObject:
    return {'cassette': shown_path(store.path(name)), 'change': _change(store, name)}


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def _tell(done: str, found: list[Found], folder: Path, *, as_json: bool) -> None:
    paths = [shown_path(store.path(name)) for store, name in found]
    if as_json:
        say_json({done: list(paths)})
        return
    for path in paths:
        say(f'{done} {path if done == "accepted" else f"{path}{PENDING}"}')
    if not paths:
        say(f'nothing is pending below {shown_path(folder)}')
