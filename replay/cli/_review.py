"""`replay review`: pending recordings gone through one by one, each node by node, with the keys of cargo-insta.

What is decided about is a recording as a whole. Its runs were made together: they share minted values and histories,
and some of them beside others of another day would be a recording of something that never happened.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from replay.canon import JsonObject
from replay.diff import CassetteDiff
from replay.diff_formats import Line, change_pages, diff_to_json
from replay.errors import ReplayError
from replay.names import PENDING
from replay.printable import printable, printable_lines

from ._diff import say_diff, say_lines
from ._files import Found, pending_in, shown_path
from ._list import tokens_of
from ._out import say, say_json
from ._pending import compared
from ._project import dir_option
from ._show import told

__all__ = ('review_command',)

_TURNS = {'n': 1, ' ': 1, '\x1b[C': 1, '\x1b[B': 1, 'p': -1, 'b': -1, '\x1b[D': -1, '\x1b[A': -1}
"""Keys that turn pages, those with arrows too."""

KEYS = 'a accept  r reject  s skip  A R S same for all that are left  d diff/whole  i info'
_PAGING = 'n next change  p previous  '


@click.command('review')
@click.argument('targets', nargs=-1, metavar='[NAME | PATH ...]')
@dir_option
@click.option('--list', 'listed', is_flag=True, help='Only show them, as without a terminal.')
@click.option('--json', 'as_json', is_flag=True, help='Only show them, as one object.')
@click.pass_context
def review_command(ctx: click.Context, *, targets: tuple[str, ...], folder: Path, listed: bool, as_json: bool) -> None:
    """Go through pending recordings, those that are named or all, node by node. A key decides about each.

    n (or space) shows the next node that differs, with those around it, p (or b) the one before. a accepts the
    recording, r rejects it, s leaves it for later; A, R and S do so with all that are left. d shows the whole recording
    instead of what changed, and back; i tells when, by whom and by which test it was recorded. What was decided before
    Ctrl-C stays decided. Without a terminal all are shown and none is decided; the exit code is 1 if there are any.
    """
    found = pending_in(targets, folder)
    if as_json:
        say_json(_as_json(found))
    elif not found:
        say(f'nothing is pending below {shown_path(folder)}')
    elif listed or not (sys.stdin.isatty() and sys.stdout.isatty()):
        for each in found:
            _Pending(each).say()
            say()
        say(f'{len(found)} pending   next: replay accept NAME, replay reject NAME')
    else:
        _ask_for_all(found)
        return
    ctx.exit(int(bool(found)))


class _Pending:
    """One recording, and how it is shown."""

    def __init__(self, found: Found) -> None:
        self.store, self.name = found
        self.whole = self.informed = False
        self.diff: CassetteDiff | None = None
        self.fault: ReplayError | None = None
        self._pages: list[list[Line]] = []
        self._page = 0
        try:
            self.diff = compared(self.store, self.name)
            self._pages = change_pages(self.diff)
        except ReplayError as error:
            self.fault = error

    @property
    def path(self) -> str:
        return shown_path(self.store.path(self.name))

    @property
    def keys(self) -> str:
        """The keys that mean something now."""
        return f'{_PAGING if len(self._pages) > 1 and not self.whole else ""}{KEYS}'

    def turn(self, by: int) -> None:
        """Turn the pages by some changes, the first following on the last."""
        self._page = (self._page + by) % len(self._pages) if self._pages else 0

    def say(self) -> None:
        """Show all of it in the form that is chosen now."""
        if self._said_first() and self.diff is not None:
            say_diff(self.diff)

    def say_page(self) -> None:
        """Show one change of it, or the whole if that is chosen now."""
        if not self._said_first() or self.diff is None:
            return
        if len(self._pages) < 2:
            say_diff(self.diff)
            return
        say(f'{self.path}   change {self._page + 1} of {len(self._pages)}', bold=True)
        say_lines(self._pages[self._page])

    def _said_first(self) -> bool:
        """Show what goes before the difference; whether that is still to come."""
        if self.diff is None:
            self._say_fault()
            return False
        recording = self.store.read(self.name, pending=True)
        if self.informed:
            self._say_info()
        if self.whole:
            say(f'{self.path}{PENDING}', bold=True)
            for text, colour in told(recording):
                say(text, colour=colour)
        return not self.whole

    def accept(self) -> bool:
        """Put it in the place of its cassette; say so, or why not."""
        try:
            self.store.accept(self.name)
        except ReplayError as error:
            self.fault = error
            self._say_fault()
            return False
        say(f'accepted {self.path}', colour='green')
        return True

    def reject(self) -> bool:
        """Throw it away."""
        self.store.reject(self.name)
        say(f'rejected {self.path}{PENDING}', colour='red')
        return True

    def skip(self) -> bool:
        """Leave it for later."""
        say(f'skipped  {self.path}{PENDING}')
        return False

    def _say_fault(self) -> None:
        for line in printable_lines(self.fault.render() if self.fault else ''):
            say(line, colour='red')

    def _say_info(self) -> None:
        recording = self.store.read(self.name, pending=True)
        say(f'test      {printable(recording.test or "none")}')
        for key, value in recording.recorded.items():
            say(f'{printable(key):<10}{printable(str(value))}')
        for run in recording.runs:
            marks = f', {", ".join(map(printable, run.marks))}' if run.marks else ''
            say(f'run       {printable(run.name)}: {len(run.nodes)} nodes, {tokens_of(run)} tokens{marks}')


@dataclass(slots=True)
class _Tally:
    """What was decided so far."""

    accepted: int = 0
    rejected: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f'{self.accepted} accepted, {self.rejected} rejected, {self.skipped} left for later'


def _ask_for_all(found: Sequence[Found]) -> None:
    """Show each and ask for a key; an upper-case one decides all that are left."""
    tally = _Tally()
    key = ''
    for number, each in enumerate(found, 1):
        pending = _Pending(each)
        if not key.isupper():
            say(f'{number}/{len(found)}', colour='cyan')
            pending.say_page()
            key = _asked(pending)
        _decide(pending, key.lower(), tally)
    say(str(tally))


def _asked(pending: _Pending) -> str:
    """Ask until a key decides."""
    while True:
        say(pending.keys, bold=True)
        key = click.getchar()
        if key and key in 'arsARS':
            return key
        if key in _TURNS:
            pending.turn(_TURNS[key])
        elif key == 'd':
            pending.whole = not pending.whole
        elif key == 'i':
            pending.informed = not pending.informed
        else:
            continue
        pending.say_page()


def _decide(pending: _Pending, key: str, tally: _Tally) -> None:
    """Carry out one decision; what cannot be accepted is left for later."""
    deeds: dict[str, Callable[[], bool]] = {'a': pending.accept, 'r': pending.reject, 's': pending.skip}
    if not deeds[key]():
        tally.skipped += 1
    elif key == 'a':
        tally.accepted += 1
    else:
        tally.rejected += 1


def _as_json(found: Sequence[Found]) -> JsonObject:
    every = [_Pending(each) for each in found]
    return {
        'pending': [
            {
                'cassette': each.path,
                'diff': None if each.diff is None else diff_to_json([each.diff]),
                'error': None if each.fault is None else each.fault.render(),
            }
            for each in every
        ]
    }
