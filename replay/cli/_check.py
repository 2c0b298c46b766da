"""`replay check`: cassettes that are intact, laid out as today, played to the same bytes, and owned by a test."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import click

from replay.canon import Json, JsonObject
from replay.cassette import Cassette
from replay.check import Checked, check_cassette
from replay.codec import dumps, loads
from replay.errors import ReplayError
from replay.match import ABSENT, Divergence
from replay.outline import compact
from replay.printable import printable, printable_lines
from replay.redact import Redactor
from replay.store import read_bytes
from replay.veil import Leak, leaks_of

from ._files import cassettes_in, shown_path
from ._out import fail, note, progress, say, say_json
from ._owners import orphaned
from ._project import dir_option

__all__ = ('check_command',)

State: TypeAlias = Literal['ok', 'orphan', 'differs', 'refused', 'unusual', 'secret', 'damaged']
"""The core comes to the recorded bytes; it does, but the test is gone; it comes to others; cannot play a run of this
kind; the text is not what would be written today; it holds a secret; the file cannot be read as a cassette."""

Orphans: TypeAlias = Literal['ignore', 'warn', 'fail']

_CODES: dict[State, int] = {'ok': 0, 'orphan': 1, 'differs': 1, 'refused': 1, 'unusual': 1, 'secret': 1, 'damaged': 2}
_COLOURS: dict[State, str] = {
    'ok': 'green',
    'orphan': 'yellow',
    'differs': 'red',
    'refused': 'yellow',
    'unusual': 'yellow',
    'secret': 'red',
    'damaged': 'red',
}

VALUE_LIMIT = 300
"""Most characters of a value that text shows; JSON has all."""


@click.command('check')
@click.argument('paths', nargs=-1, type=click.Path(path_type=Path), metavar='[PATH ...]')
@dir_option
@click.option(
    '--orphans',
    type=click.Choice(['ignore', 'warn', 'fail']),
    default='fail',
    show_default=True,
    help='Cassettes whose test is gone. ignore does not start pytest to ask which tests there are.',
)
@click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.')
@click.pass_context
def check_command(
    ctx: click.Context, *, paths: tuple[Path, ...], folder: Path, orphans: Orphans, as_json: bool
) -> None:
    """Check cassettes, or all cassettes below folders; without PATH all there are.

    Each is read strictly, its seal and its text are compared with what would be written, and each of its runs is played
    by the core with a stand-in agent, without any code of yours: the same messages, byte for byte, and the same nodes
    have to come out. None may hold a secret: a key of a known format, the text of a field such as password, or the
    value that an environment variable such as OPENAI_API_KEY has now. The test that a cassette names has to be there:
    pytest collects the files of these tests. Cassettes of no test, as import makes them, need none.
    """
    found = cassettes_in(paths, folder)
    results: list[_Result] = []
    with progress('checking') as steps:
        steps.expect(len(found))
        for path in found:
            results.append(_checked(path))
            steps.done(f'checking {shown_path(path)}')
    fault: ReplayError | None = None
    if orphans != 'ignore':
        try:
            results = _owned(results, folder)
        except ReplayError as error:  # what is known of the cassettes is told all the same
            fault = error
    codes = {**_CODES, 'orphan': int(orphans == 'fail')}
    code = max(codes[result.state] for result in results)
    if as_json:
        say_json(
            {
                'ok': code == 0 and fault is None,
                'cassettes': [each.as_json() for each in results],
                'error': fault and fault.render(),
            }
        )
    else:
        _say_all(results)
    if fault is not None:
        code = fail(fault)
        note('   or        --orphans=ignore     does not ask who owns them')
    ctx.exit(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What was found of one cassette."""

    path: Path
    state: State
    test: str | None = None
    """Id of the test that owns it, or did."""
    error: ReplayError | None = None
    """Why it could not be read."""
    runs: tuple[Checked, ...] = ()
    leaks: tuple[Leak, ...] = ()
    """Where it holds secrets."""

    def as_json(self) -> JsonObject:
        """All of it for a machine."""
        found: JsonObject = {
            'cassette': shown_path(self.path),
            'state': self.state,
            'test': self.test,
            'error': None if self.error is None else self.error.render(),
            'runs': [_run_json(run) for run in self.runs],
        }
        if self.leaks:
            found['secrets'] = [
                {'stand_in': leak.kind, 'run': leak.run, 'node': leak.node, 'field': leak.field} for leak in self.leaks
            ]
        return found


def _checked(path: Path) -> _Result:
    try:
        data = read_bytes(path)
        cassette = loads(data, name=path.as_posix())
        redactor = Redactor(os.environ)
        leaks = leaks_of(cassette, redactor, text=data.decode())
        if leaks:  # nothing else is said of it: what differs would be shown with its values
            return _Result(path=path, state='secret', leaks=leaks)
        runs = tuple(check_cassette(cassette))
        return _Result(path=path, state=_state(data, cassette, runs, path), test=cassette.test, runs=runs)
    except ReplayError as error:
        return _Result(path=path, state='damaged', error=error)


def _state(data: bytes, cassette: Cassette, runs: Sequence[Checked], path: Path) -> State:
    """The gravest thing that was found."""
    verdicts = {run.verdict for run in runs}
    if 'differs' in verdicts:
        return 'differs'
    if data.replace(b'\r\n', b'\n') != dumps(cassette, name=path.as_posix()).encode():
        return 'unusual'
    return 'refused' if 'refused' in verdicts else 'ok'


def _owned(results: Sequence[_Result], folder: Path) -> list[_Result]:
    """Tell those that are fine but for their test, which is gone.

    Raises:
        ReplayError: If pytest cannot collect a file that should have some of the tests.
    """
    names = {result.path: _name(result.path, folder) for result in results if result.state == 'ok'}
    tests = {name: result.test for result in results if (name := names.get(result.path)) is not None}
    with progress('collecting tests'):
        gone = orphaned(tests)
    return [replace(one, state='orphan') if names.get(one.path) in gone else one for one in results]


def _name(path: Path, folder: Path) -> str | None:
    """The name of a cassette that a test could use; None elsewhere than in the folder."""
    path, folder = path.absolute(), folder.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else None


# --- text ---


def _say_all(results: Sequence[_Result]) -> None:
    for result in results:
        _say(result)
    say(_summary(results))


def _say(result: _Result) -> None:
    runs = f'{len(result.runs)} run{"" if len(result.runs) == 1 else "s"}'
    about = '' if result.state in {'damaged', 'secret'} else f'   {runs}'
    say(f'{result.state:<9} {shown_path(result.path)}{about}', colour=_COLOURS[result.state])
    if result.error is not None:
        for line in result.error.render().split('\n'):
            say(f'   {printable_lines(line)[0]}')
    if result.state == 'unusual':
        say('   its text is not what would be written today: record it anew, or look who edited it')
    if result.state == 'orphan':
        say(f'   test {printable(result.test or "")} is gone')
        say('   next: replay move OLD NEW if it was renamed, or replay prune')
    for leak in result.leaks:
        say(f'   {printable(str(leak))}')
    if result.leaks:
        say('   next: record it anew, and revoke what was committed: replay record, then replay accept')
    for run in result.runs:
        if run.divergence is not None:
            _say_divergence(run.divergence)
        elif run.verdict == 'refused':
            say(f'   run {printable(run.run)} cannot be played: {printable(run.reason or "")}')


def _say_divergence(found: Divergence) -> None:
    say(f'   run {printable(found.run)}  node {found.node} {printable(found.kind)}  field {printable(found.field)}')
    say(f'     recorded  {_value(found.recorded)}')
    say(f'     played    {_value(found.live)}')


def _value(value: Json) -> str:
    return '(nothing)' if value is ABSENT else compact(value, limit=VALUE_LIMIT)


def _summary(results: Sequence[_Result]) -> str:
    states = [result.state for result in results]
    counts = [f'{states.count(state)} {state}' for state in _CODES if state in states]
    return f'{len(results)} cassette{"" if len(results) == 1 else "s"}: {", ".join(counts)}'


# --- JSON ---


def _run_json(run: Checked) -> JsonObject:
    found: JsonObject = {'run': run.run, 'verdict': run.verdict}
    if run.reason is not None:
        found['reason'] = run.reason
    if run.divergence is not None:
        found.update(
            {
                'node': run.divergence.node,
                'kind': run.divergence.kind,
                'field': run.divergence.field,
                **({} if run.divergence.recorded is ABSENT else {'recorded': run.divergence.recorded}),
                **({} if run.divergence.live is ABSENT else {'played': run.divergence.live}),
            }
        )
    return found
