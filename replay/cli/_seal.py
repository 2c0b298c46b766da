"""`replay seal`: a deliberate edit by hand, checked, laid out, sealed again and marked."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from replay.canon import JsonObject
from replay.cassette import Cassette, Run
from replay.codec import loads, loads_edited
from replay.errors import CassetteDamaged, ReplayError
from replay.printable import printable
from replay.store import read_bytes

from . import _git
from ._files import cassette_at, shown_path, split_path
from ._out import say, say_json

__all__ = ('seal_command',)

EDITED = 'edited'
"""Mark of a run that somebody has edited; the next recording of it has none."""


@click.command('seal')
@click.argument('cassettes', nargs=-1, required=True, type=cassette_at, metavar='CASSETTE ...')
@click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.')
def seal_command(*, cassettes: tuple[Path, ...], as_json: bool) -> None:
    """Seal cassettes again that you have edited by hand, and mark the runs that you changed as edited.

    Each is read strictly first: nothing is written unless all of them are cassettes. Which runs changed is told by the
    last commit; where git does not know the cassette, all of its runs are marked.
    """
    edits = [(path, *_edited(path)) for path in cassettes]
    for path, cassette, changed in edits:
        if changed is not None:
            store, name = split_path(path)
            store.write(name, cassette, pending=path.name != name)
    if as_json:
        say_json({'sealed': [_as_json(path, changed) for path, _, changed in edits]})
        return
    for path, _, changed in edits:
        say(_told(path, changed))


def _edited(path: Path) -> tuple[Cassette, list[str] | None]:
    """Read a cassette, and tell which of its runs were edited; None if its seal holds, so that none was."""
    text = read_bytes(path)
    with suppress(CassetteDamaged):
        return loads(text, name=path.as_posix()), None
    now = loads_edited(text, name=path.as_posix())
    before = _committed(path)
    changed = [run.name for run in now.runs if not _is_there(run, before)]
    runs = tuple(_marked(run) if run.name in changed else run for run in now.runs)
    return replace(now, runs=runs), changed


def _committed(path: Path) -> Sequence[Run]:
    """The runs of a cassette as it was last committed; none if that is not known."""
    with suppress(ReplayError):
        commit = _git.resolve('HEAD')
        for file in _git.changed_files(commit, (path,)):
            if file.in_revision:
                return loads(_git.content_at(commit, file.in_revision), name=path.as_posix()).runs
    return ()


def _is_there(run: Run, before: Sequence[Run]) -> bool:
    return any(replace(run, marks=()) == replace(other, marks=()) for other in before)


def _marked(run: Run) -> Run:
    return run if EDITED in run.marks else replace(run, marks=(*run.marks, EDITED))


def _as_json(path: Path, changed: list[str] | None) -> JsonObject:
    return {'cassette': shown_path(path), 'edited': None if changed is None else list(changed)}


def _told(path: Path, changed: list[str] | None) -> str:
    if changed is None:
        return f'unchanged {shown_path(path)}   its seal holds'
    runs = f'marked edited: {", ".join(map(printable, changed))}' if changed else 'no run differs from the last commit'
    return f'sealed    {shown_path(path)}   {runs}'
