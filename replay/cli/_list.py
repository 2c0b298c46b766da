"""`replay list`: which cassettes there are, what is in them, and how old they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click

from replay.adapters import hosts
from replay.canon import JsonObject
from replay.cassette import Cassette, Run
from replay.errors import ReplayError
from replay.names import PENDING
from replay.printable import printable
from replay.store import read_cassette

from ._files import cassettes_in, shown_path
from ._out import say, say_json
from ._project import dir_option

__all__ = ('list_command', 'tokens_of')


@click.command('list')
@click.argument('paths', nargs=-1, type=click.Path(path_type=Path), metavar='[PATH ...]')
@dir_option
@click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.')
@click.pass_context
def list_command(ctx: click.Context, *, paths: tuple[Path, ...], folder: Path, as_json: bool) -> None:
    """List cassettes, or all cassettes below folders; without PATH all there are.

    Shown are the numbers of runs, nodes and tokens, the age in days, marks that a reviewer must see, and whether a
    recording is pending. Exit code 1 if one of them cannot be read.
    """
    today = date.fromisoformat(str(hosts()[0].recorded()['on']))
    entries = [_entry(path, today) for path in cassettes_in(paths, folder)]
    if as_json:
        say_json({'cassettes': [entry.as_json() for entry in entries]})
    else:
        for line in _table(entries):
            say(line)
    ctx.exit(int(any(entry.error is not None for entry in entries)))


def tokens_of(run: Run) -> int:
    """How many tokens, in and out, the responses of a run took as recorded."""
    found = 0
    for message in run.new_messages:
        usage = message.get('usage')
        counts = [usage.get(key) for key in ('input_tokens', 'output_tokens')] if isinstance(usage, dict) else []
        found += sum(count for count in counts if isinstance(count, int))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One cassette of the list."""

    path: Path
    cassette: Cassette | None = None
    error: ReplayError | None = None
    """Why it could not be read."""
    days: int | None = None
    """Its age, if it says when it was recorded."""
    pending: bool = False

    @property
    def runs(self) -> tuple[Run, ...]:
        return self.cassette.runs if self.cassette else ()

    @property
    def nodes(self) -> int:
        return sum(len(run.nodes) for run in self.runs)

    @property
    def tokens(self) -> int:
        return sum(map(tokens_of, self.runs))

    @property
    def marks(self) -> list[str]:
        return sorted({mark for run in self.runs for mark in run.marks})

    def as_json(self) -> JsonObject:
        """All of it for a machine."""
        return {
            'cassette': shown_path(self.path),
            'test': self.cassette and self.cassette.test,
            'recorded': self.cassette.recorded if self.cassette else {},
            'runs': [run.name for run in self.runs],
            'nodes': self.nodes,
            'tokens': self.tokens,
            'days': self.days,
            'marks': list(self.marks),
            'pending': self.pending,
            'error': self.error and self.error.render(),
        }

    def row(self) -> tuple[str, ...]:
        """The columns of its line."""
        if self.error is not None:
            return shown_path(self.path), '-', '-', '-', '-', f'damaged: {printable(self.error.headline)}'
        notes = [*map(printable, self.marks), *(['pending'] if self.pending else [])]
        age = '-' if self.days is None else f'{self.days} d'
        return shown_path(self.path), str(len(self.runs)), str(self.nodes), str(self.tokens), age, ', '.join(notes)


def _entry(path: Path, today: date) -> _Entry:
    pending = path.with_name(f'{path.name}{PENDING}').is_file()
    try:
        cassette = read_cassette(path)
    except ReplayError as error:
        return _Entry(path=path, error=error, pending=pending)
    return _Entry(path=path, cassette=cassette, days=_days(cassette, today), pending=pending)


def _days(cassette: Cassette, today: date) -> int | None:
    try:
        return (today - date.fromisoformat(str(cassette.recorded.get('on')))).days
    except ValueError:  # an imported one has no date, and an edited one may have anything
        return None


def _table(entries: Sequence[_Entry]) -> list[str]:
    head = ('cassette', 'runs', 'nodes', 'tokens', 'age', '')
    rows = [head, *(entry.row() for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        '  '.join([row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in range(1, 5)), row[5]])
        for row in rows
    ]
    total = f'{len(entries)} cassette{"" if len(entries) == 1 else "s"}'
    damaged = sum(entry.error is not None for entry in entries)
    tail = f', {damaged} damaged' if damaged else ''
    tokens = sum(entry.tokens for entry in entries)
    return [*(line.rstrip() for line in lines), f'{total}, {tokens} tokens as recorded{tail}']
