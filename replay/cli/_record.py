"""`replay record`: cassettes recorded anew by the tests that own them, offered beside the accepted ones.

pytest records into a folder of its own, so that no accepted cassette is touched whatever happens. Each recording is put
beside the accepted one as soon as its test is over: what was paid for stays, even if the rest is stopped. At the end
all of them are replayed once, and whatever does not hold is told.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from replay.canon import JsonObject
from replay.cassette import Cassette
from replay.diff import CassetteDiff, diff_cassettes
from replay.diff_formats import diff_to_json
from replay.errors import ReplayError, Where
from replay.names import PENDING, SUFFIX
from replay.printable import printable
from replay.store import Store, read_cassette

from ._diff import say_diff
from ._files import cassettes_in, shown_path
from ._out import progress, say, say_json
from ._project import dir_option, project
from ._pytest import Collected, Event, Finished, Started, run_tests

__all__ = ('record_command',)


@click.command('record')
@click.argument('targets', nargs=-1, metavar='[CASSETTE | TEST ...]')
@dir_option
@click.option('--record-in-ci', is_flag=True, help='Record although this is CI.')
@click.option('--json', 'as_json', is_flag=True, help='One object at the end instead of lines.')
@click.pass_context
def record_command(
    ctx: click.Context, *, targets: tuple[str, ...], folder: Path, record_in_ci: bool, as_json: bool
) -> None:
    """Record cassettes anew by running the tests that own them, and show what changed.

    A target is the path of a cassette, or whatever names tests to pytest. Accepted cassettes stay as they are: the
    new ones are left beside them as NAME.json.new for `replay accept` and `replay reject`.
    """
    # As the plugin sees it, which would refuse each test by itself.
    if os.environ.get('CI', '').lower() not in {'', '0', 'false'} and not record_in_ci:
        raise ReplayError(
            'nothing is recorded in CI',
            expected='a person who looks at what was recorded',
            got='the environment variable CI',
            next=('replay record --record-in-ci ...',),
        )
    tests = _tests_of(targets, folder)
    with TemporaryDirectory(prefix='replay-') as scratch:
        work = _Recording(Path(scratch))
        work.record(tests, *(['--replay-record-in-ci'] if record_in_ci else []))
        work.replay()
        if as_json:
            say_json(work.as_json())
        else:
            work.say()
        ctx.exit(0 if work.clean else 1)


def _tests_of(targets: Sequence[str], folder: Path) -> list[str]:
    """Turn what a person named into what pytest takes: a cassette stands for the test that owns it."""
    if targets:
        return list(dict.fromkeys(_owner(Path(target)) if _is_cassette(target) else target for target in targets))
    found = [read_cassette(path) for path in cassettes_in((), folder)]
    here = project().here
    tests = list(dict.fromkeys(here(cassette.test) for cassette in found if cassette.test))
    if not tests:
        raise ReplayError(
            'no test owns a cassette here',
            expected=f'cassettes below {shown_path(folder)} that tests have recorded',
            got=f'{len(found)} cassettes of no test',
            next=('replay record TEST   records the cassette of a test', 'replay record --dir FOLDER'),
        )
    return tests


def _is_cassette(target: str) -> bool:
    return target.endswith((SUFFIX, f'{SUFFIX}{PENDING}'))


def _owner(path: Path) -> str:
    test = read_cassette(path).test
    if test is None:
        raise ReplayError(
            'no test owns this cassette',
            expected='a cassette that a test has recorded',
            got='one that was imported, or recorded outside of tests',
            where=Where(cassette=shown_path(path)),
            next=('replay run MODULE:AGENT PROMPT --cassette FILE --record rewrite',),
        )
    return project().here(test)


@dataclass(slots=True, kw_only=True)
class _Offer:
    """One new recording, beside the accepted one."""

    name: str
    """Within the folder of cassettes."""
    accepted: Path
    """Where the accepted cassette is, or would be."""
    test: str | None
    diff: CassetteDiff
    kept: bool
    """Whether it differs from the accepted one at all, so that there is something to accept."""
    fault: str | None = None
    """Why it does not hold, or why its test failed."""

    @property
    def state(self) -> str:
        """What there is to say in one or two words."""
        if self.fault:
            return 'fails'
        if not self.kept:
            return 'unchanged'
        return 'new' if self.diff.old is None else 'changed'


@dataclass(slots=True)
class _Recording:
    """The work of one call, from the tests to the offers."""

    scratch: Path
    """Folder that pytest records to, and replays from."""
    accepted: Path = Path()
    """Folder of the accepted cassettes, as pytest's settings have it."""
    offers: dict[str, _Offer] = field(default_factory=dict[str, _Offer])
    """By name within the folder of cassettes."""
    faults: dict[str, str] = field(default_factory=dict[str, str])
    """Tests that failed while they were recorded, with the first line of their failure."""
    without: list[str] = field(default_factory=list[str])
    """Tests that passed and recorded nothing."""

    @property
    def clean(self) -> bool:
        """Whether every test passed and every recording holds."""
        return not self.faults and not any(offer.fault for offer in self.offers.values())

    def record(self, tests: Sequence[str], *options: str) -> None:
        """Run the tests against the real models, and offer each recording at once."""
        for event in self._watched('recording', tests, '--replay-record=rewrite', *options):
            if isinstance(event, Started):
                self.accepted = event.dir
            elif isinstance(event, Finished):
                self._judge(event)

    def replay(self) -> None:
        """Play each recording once, without a model, and note which do not hold."""
        self.offers = dict(sorted(self.offers.items()))
        tests = [project().here(offer.test) for offer in self.offers.values() if offer.test]
        for event in self._watched('replaying', tests, '--replay-record=none', '--replay-pending') if tests else ():
            if isinstance(event, Finished) and not event.passed:
                self._mark(event)

    def say(self) -> None:
        """Tell people what there is to decide."""
        for offer in self.offers.values():
            say(f'{offer.state:<10}{shown_path(offer.accepted)}', bold=True)
            if offer.fault:
                say(f'   {printable(offer.fault)}', colour='red')
            if offer.kept:
                say_diff(offer.diff)
                say()
        for test, fault in self.faults.items():
            say(f'failed    {printable(test)}', bold=True)
            say(f'   {printable(fault)}', colour='red')
        for test in self.without:
            say(f'no run    {printable(test)}')
        say(self._summary())
        if any(offer.kept for offer in self.offers.values()):
            where = '' if self.accepted == project().folder.absolute() else f' --dir {shown_path(self.accepted)}'
            say(f'next      replay accept{where}    to keep what was recorded')
            say(f'          replay reject{where}    to throw it away')

    def as_json(self) -> JsonObject:
        """All of it for a machine."""
        return {
            'recorded': [
                {
                    'cassette': shown_path(offer.accepted),
                    'test': offer.test,
                    'state': offer.state,
                    'fault': offer.fault,
                    'pending': offer.kept,
                    'diff': diff_to_json([offer.diff]),
                }
                for offer in self.offers.values()
            ],
            'failed': dict(self.faults),
            'without': list(self.without),
        }

    def _watched(self, verb: str, tests: Sequence[str], *options: str) -> Iterator[Event]:
        with progress(verb) as steps:
            for event in run_tests(tests, f'--replay-dir={self.scratch}', *options):
                if isinstance(event, Collected):
                    steps.expect(event.tests)
                elif isinstance(event, Finished):
                    steps.done(f'{verb} {event.test}')
                yield event

    def _judge(self, event: Finished) -> None:
        """Offer what a test has recorded, as soon as it is over."""
        store = Store(self.scratch)
        # What a failed test has recorded waits as pending in the scratch folder too.
        found = list(dict.fromkeys([*store.names(), *store.pending()]))
        for name in found:
            if name not in self.offers:
                new = store.read(name, pending=not store.exists(name))
                self.offers[name] = _offer(Store(self.accepted), name, new)
        if not event.passed:
            self.faults[event.test] = event.error or 'failed'
        elif not event.note:
            self.without.append(event.test)

    def _mark(self, event: Finished) -> None:
        """Note on an offer why it does not hold: replay says so, or only the replayed test fails."""
        problem = event.note.get('problem')
        if problem is None and event.test in self.faults:
            return
        for offer in self.offers.values():
            if offer.test == event.test:
                offer.fault = f'does not hold: {problem["headline"] if problem else event.error}'

    def _summary(self) -> str:
        states = [offer.state for offer in self.offers.values()]
        counts = [f'{states.count(state)} {state}' for state in ('changed', 'new', 'unchanged', 'fails')]
        failed = f', {len(self.faults)} tests failed' if self.faults else ''
        return f'{len(states)} recorded: {", ".join(counts)}{failed}'


def _offer(accepted: Store, name: str, new: Cassette) -> _Offer:
    """Put a new recording beside the accepted one, unless it is the same."""
    path = accepted.path(name)
    old: Cassette | None = None
    if accepted.exists(name):
        with suppress(ReplayError):  # one that cannot be read is no reason to refuse its successor
            old = accepted.read(name)
    label = shown_path(path)
    accepted.write(name, new, pending=True)
    return _Offer(
        name=name,
        accepted=path,
        test=new.test,
        diff=diff_cassettes(old, new, old_label=label if old else None, new_label=f'{label}{PENDING}'),
        kept=accepted.exists(name, pending=True),
    )
