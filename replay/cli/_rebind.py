"""`replay rebind`: recorded answers kept for requests that have changed, until the next recording."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from replay.canon import JsonObject
from replay.printable import printable

from ._files import shown_path
from ._out import progress, say, say_json
from ._project import dir_option, project
from ._pytest import Collected, Finished, run_tests
from ._targets import cause_option, of_cause, owners_of, refuse_in_ci

__all__ = ('rebind_command',)


@click.command('rebind')
@click.argument('targets', nargs=-1, metavar='[CASSETTE | TEST ...]')
@cause_option
@dir_option
@click.option('--record-in-ci', is_flag=True, help='Write although this is CI.')
@click.option('--json', 'as_json', is_flag=True, help='One object at the end instead of lines.')
@click.pass_context
def rebind_command(
    ctx: click.Context,
    *,
    targets: tuple[str, ...],
    cause: int | None,
    folder: Path,
    record_in_ci: bool,
    as_json: bool,
) -> None:
    """Keep the recorded answers of tests whose requests have changed: of a cause, or of cassettes and tests.

    The tests are run with the recorded answers, without a model, and the cassettes are written in place with the
    requests of now. Their runs are marked "rebound" until they are recorded again. Where a test fails all the same, its
    cassette stays as it is.
    """
    if bool(targets) == bool(cause):
        raise click.UsageError('--cause N, or cassettes and tests')
    refuse_in_ci('rebind', allowed=record_in_ci)
    tests = of_cause(cause) if cause else owners_of(targets, folder)
    found = _rebound(tests, *(['--replay-record-in-ci'] if record_in_ci else []))
    if as_json:
        say_json({'tests': [each.as_json() for each in found]})
    else:
        _say(found)
    ctx.exit(int(any(each.state == 'failed' for each in found)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rebound:
    """What became of one test."""

    test: str
    state: str
    """`rebound`, `unchanged`, `no run` or `failed`."""
    cassette: Path | None
    fault: str | None = None

    def as_json(self) -> JsonObject:
        """All of it for a machine."""
        cassette = None if self.cassette is None else shown_path(self.cassette)
        return {'test': self.test, 'state': self.state, 'cassette': cassette, 'fault': self.fault}


def _rebound(tests: Sequence[str], *options: str) -> list[_Rebound]:
    """Run the tests with the recorded answers."""
    found: list[_Rebound] = []
    with progress('rebinding') as steps:
        for event in run_tests(tests, '--replay-record=rebind', *options):
            if isinstance(event, Collected):
                steps.expect(event.tests)
            elif isinstance(event, Finished):
                steps.done(event.test)
                found.append(_judged(event))
    return found


def _judged(event: Finished) -> _Rebound:
    cassette = project().root / event.note['cassette'] if event.note else None
    if not event.passed:
        problem = event.note.get('problem')
        fault = problem['headline'] if problem else event.error
        return _Rebound(test=event.test, state='failed', cassette=cassette, fault=fault or 'failed')
    state = 'no run' if not event.note else 'rebound' if event.note['state'] == 'recorded' else 'unchanged'
    return _Rebound(test=event.test, state=state, cassette=cassette)


def _say(found: Sequence[_Rebound]) -> None:
    for each in found:
        say(f'{each.state:<10}{printable(each.test)}', bold=each.state == 'failed')
        if each.fault:
            say(f'   {printable(each.fault)}', colour='red')
    states = [each.state for each in found]
    counts = [f'{states.count(state)} {state}' for state in dict.fromkeys(['rebound', *states])]
    say(', '.join(counts))
    if 'rebound' in states:
        say('next      replay diff --base HEAD    shows what is asked now, replay record asks the model')
