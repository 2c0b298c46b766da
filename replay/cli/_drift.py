"""`replay drift`: whether models still answer as they did when the cassettes were recorded."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from replay.canon import JsonObject
from replay.diff_formats import diff_to_json, summary
from replay.printable import printable

from ._anew import Recording
from ._diff import say_diff
from ._files import shown_path
from ._out import say, say_json
from ._project import dir_option
from ._targets import apart, owners_of

__all__ = ('drift_command',)


@click.command('drift')
@click.argument('targets', nargs=-1, metavar='[CASSETTE | TEST ...] [-- PYTEST OPTIONS]')
@dir_option
@click.option('--json', 'as_json', is_flag=True, help='One object at the end instead of lines.')
@click.pass_context
def drift_command(ctx: click.Context, *, targets: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """Run tests against the real models and compare with the cassettes. Nothing is written.

    Meant for every night, in CI too. Exit code 1 if a node sequence differs, a cassette is missing or a test fails.
    What follows -- is for pytest.
    """
    named, options = apart(targets)
    tests = owners_of(named, folder)
    with TemporaryDirectory(prefix='replay-') as scratch:
        work = Recording(Path(scratch), keep=False)
        work.record(tests, *options, '--replay-record-in-ci')
        if as_json:
            say_json(_as_json(work))
        else:
            _say(work)
        ctx.exit(int(bool(work.faults) or any(offer.diff.differs for offer in work.offers.values())))


def _say(work: Recording) -> None:
    for offer in work.offers.values():
        if offer.diff.differs:
            say(f'drifted   {shown_path(offer.accepted)}', bold=True)
            say_diff(offer.diff)
            say()
    for test, fault in work.faults.items():
        say(f'failed    {printable(test)}', bold=True)
        say(f'   {printable(fault)}', colour='red')
    for test in work.without:
        say(f'no run    {printable(test)}')
    say(summary([offer.diff for offer in work.offers.values()]))


def _as_json(work: Recording) -> JsonObject:
    return {
        'diff': diff_to_json([offer.diff for offer in work.offers.values()]),
        'failed': dict(work.faults),
        'without': list(work.without),
    }
