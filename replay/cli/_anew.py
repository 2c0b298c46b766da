"""Cassettes recorded anew by their tests, in a folder of their own, and compared with the accepted ones."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from replay.canon import JsonObject
from replay.cassette import Cassette
from replay.diff import CassetteDiff, diff_cassettes
from replay.diff_formats import diff_to_json
from replay.errors import ReplayError
from replay.names import PENDING
from replay.printable import printable
from replay.store import Store

from ._diff import say_diff
from ._files import shown_path
from ._out import progress, say
from ._project import project
from ._pytest import Collected, Event, Finished, Started, run_tests

__all__ = ('Recording',)


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
class Recording:
    """The work of one call, from the tests to the offers."""

    scratch: Path
    """Folder that pytest records to, and replays from."""
    keep: bool = True
    """Whether what was recorded is left beside the accepted cassettes."""
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
        """Play each recording once, without a model, and note which do not hold.

        That is a second execution of the same code: an id that it asks with again was not minted.
        """
        self.offers = dict(sorted(self.offers.items()))
        for name in self.offers:
            self._word_as_offered(name)
        tests = [project().here(offer.test) for offer in self.offers.values() if offer.test]
        for event in self._watched('replaying', tests, '--replay-record=none', '--replay-pending') if tests else ():
            if isinstance(event, Finished) and event.passed:
                self._drop_constants(event)
            elif isinstance(event, Finished):
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
            say(f'next      replay review{where}    to go through it, or')
            say(f'          replay accept{where}    to keep it all, replay reject{where} to throw it away')

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
                new = Store(self.accepted).kept(name, store.read(name, pending=not store.exists(name)))
                self.offers[name] = _offer(Store(self.accepted), name, new, keep=self.keep)
        if not event.passed:
            self.faults[event.test] = event.error or 'failed'
        elif not event.note:
            self.without.append(event.test)

    def _word_as_offered(self, name: str) -> None:
        """Let pytest replay what is offered: the recording in the words of the accepted one."""
        store = Store(self.scratch)
        pending = not store.exists(name)
        store.write(name, Store(self.accepted).kept(name, store.read(name, pending=pending)), pending=pending)

    def _mark(self, event: Finished) -> None:
        """Note on an offer why it does not hold: replay says so, or only the replayed test fails."""
        problem = event.note.get('problem')
        if problem is None and event.test in self.faults:
            return
        for offer in self.offers.values():
            if offer.test == event.test:
                offer.fault = f'does not hold: {problem["headline"] if problem else event.error}'

    def _drop_constants(self, event: Finished) -> None:
        """Take out of what is offered, as minted values, those that turned out to be none."""
        constants = {(str(run), str(name)) for run, name in event.note.get('constants', ())}
        store = Store(self.accepted)
        for offer in self.offers.values() if constants else ():
            if offer.test == event.test and offer.kept:
                store.write(offer.name, _without(store.read(offer.name, pending=True), constants), pending=True)
                offer.kept = store.exists(offer.name, pending=True)

    def _summary(self) -> str:
        states = [offer.state for offer in self.offers.values()]
        counts = [f'{states.count(state)} {state}' for state in ('changed', 'new', 'unchanged', 'fails')]
        failed = f', {len(self.faults)} tests failed' if self.faults else ''
        return f'{len(states)} recorded: {", ".join(counts)}{failed}'


def _without(cassette: Cassette, constants: set[tuple[str, str]]) -> Cassette:
    """A cassette without some of its minted values, given by run and name."""
    runs = [
        replace(run, minted={name: one for name, one in run.minted.items() if (run.name, name) not in constants})
        for run in cassette.runs
    ]
    return replace(cassette, runs=tuple(runs))


def _offer(accepted: Store, name: str, new: Cassette, *, keep: bool) -> _Offer:
    """Compare a new recording with the accepted one, and put it beside that if it is kept, unless it is the same."""
    path = accepted.path(name)
    old: Cassette | None = None
    if accepted.exists(name):
        with suppress(ReplayError):  # one that cannot be read is no reason to refuse its successor
            old = accepted.read(name)
    label = shown_path(path)
    if keep:
        accepted.write(name, new, pending=True)
    return _Offer(
        name=name,
        accepted=path,
        test=new.test,
        diff=diff_cassettes(old, new, old_label=label if old else None, new_label=f'{label}{PENDING}'),
        kept=keep and accepted.exists(name, pending=True),
    )
