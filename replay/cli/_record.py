"""`replay record`: cassettes recorded anew by the tests that own them, offered beside the accepted ones.

pytest records into a folder of its own, so that no accepted cassette is touched whatever happens. Each recording is put
beside the accepted one as soon as its test is over: what was paid for stays, even if the rest is stopped. At the end
all of them are replayed once, and whatever does not hold is told.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ._anew import Recording
from ._out import say_json
from ._project import dir_option
from ._targets import apart, cause_option, of_cause, owners_of, refuse_in_ci

__all__ = ('record_command',)


@click.command('record')
@click.argument('targets', nargs=-1, metavar='[CASSETTE | TEST ...] [-- PYTEST OPTIONS]')
@cause_option
@dir_option
@click.option('--record-in-ci', is_flag=True, help='Record although this is CI.')
@click.option('--json', 'as_json', is_flag=True, help='One object at the end instead of lines.')
@click.pass_context
def record_command(
    ctx: click.Context,
    *,
    targets: tuple[str, ...],
    cause: int | None,
    folder: Path,
    record_in_ci: bool,
    as_json: bool,
) -> None:
    """Record cassettes anew by running the tests that own them, and show what changed.

    A target is the path of a cassette, or whatever names tests to pytest. Accepted cassettes stay as they are: the
    new ones are left beside them as NAME.json.new for replay review, accept and reject. What follows -- is for pytest:
    replay record -- -n 4 records in four processes.
    """
    refuse_in_ci('record', allowed=record_in_ci)
    named, options = apart(targets)
    if cause and named:
        raise click.UsageError('--cause, or cassettes and tests, not both')
    tests = of_cause(cause) if cause else owners_of(named, folder)
    with TemporaryDirectory(prefix='replay-') as scratch:
        work = Recording(Path(scratch))
        work.record(tests, *options, *(['--replay-record-in-ci'] if record_in_ci else []))
        work.replay()
        if as_json:
            say_json(work.as_json())
        else:
            work.say()
        ctx.exit(0 if work.clean else 1)
