"""The session of one test: what the test asks for, how its session ends, and what the report says of it.

The part of the plugin that needs the engine; `pytest_plugin` loads it with the first test that asks for it.
"""

import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, ismethod
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from .adapters import Started
from .cassette import Run
from .errors import CassetteDamaged, CassetteInconsistent, CassetteNotFound, CassetteTooNew, ReplayError
from .match import Diverged
from .modes import OFFERED
from .names import cassette_name
from .options import Options, choice
from .orphans import orphans_of, plays_the_same
from .pytest_claims import Claims
from .pytest_orphans import is_gone, owned_names
from .redact import Redactor, UserRule
from .report import Note, Problem, State, error_names
from .session import Session
from .store import Store
from .verdicts import RecordingExpired, RunLacking, RunUnfinished, Unplayed

__all__ = ('MARKER', 'Disabled', 'OwnSession')

MARKER = 'agent_run_replay'

_TAKES = ('record', 'tools', 'match', 'cassette', 'unplayed', 'max_age')
"""What marker and configuration fixture take."""

_INTERRUPTIONS = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)
"""What ends the whole of pytest: the test was not judged, and its next recording goes on where this one was."""

_RECORDED = pytest.StashKey[set[str]]()
"""Names of the cassettes that were recorded since pytest started: a second test of such a cassette replays it."""

_STATES: Mapping[type[ReplayError], State] = {
    Diverged: 'differ',
    RunLacking: 'differ',
    Unplayed: 'unplayed',
    RecordingExpired: 'expired',
    CassetteNotFound: 'missing',
    CassetteDamaged: 'damaged',
    CassetteInconsistent: 'damaged',
    CassetteTooNew: 'damaged',
}
"""What a problem makes of a cassette."""


class OwnSession:
    """The session of one test, from its opening to what came of it.

    Args:
        item: The test.
        configured: What the configuration fixture says.
        usual: What ini values ask for, by name; what the test says wins over it.
        fixed: What the command line asks for; this wins over both.
        dir: Folder of the cassettes.
        play_pending: Whether pending recordings are played.
        ci: Whether nothing may be recorded, because this is CI.
        redact: Rules of the user for what is a secret.

    Raises:
        ReplayError: If the test asks for what nobody takes.
    """

    def __init__(
        self,
        item: pytest.Item,
        configured: Mapping[str, Any],
        *,
        usual: Mapping[str, Any],
        fixed: Mapping[str, Any],
        dir: Path,
        play_pending: bool,
        ci: bool,
        redact: Sequence[UserRule] = (),
    ) -> None:
        self.problem: ReplayError | None = None
        self.note: Note | None = None
        self._item = item
        self._done = item.config.stash.setdefault(_RECORDED, set())
        wishes = {**usual, **_wishes(item, configured), **fixed}
        wanted = wishes.pop('record', 'none')
        self._held_back = ci and wanted != 'none'
        self._redactor = Redactor(os.environ, redact)  # a parameter of a test may be a key, and stands in its id
        self._id = self._redactor.text(item.nodeid)
        self._name = wishes.pop('cassette', None) or cassette_name(self._id)
        self._claims = Claims(item.config)
        self._claimed = wanted != 'none' and not ci and self._name not in self._done
        if self._claimed and not self._claims.claim(self._name):
            self._claimed = False
            self._done.add(self._name)
        mode = wanted if self._claimed else 'none'
        try:
            self.session = Session(
                self._name,
                dir=dir,
                test=self._id if mode == 'none' else self._redactor.text(self._owner()),
                root=item.config.rootpath,
                play_pending=play_pending,
                redact=redact,
                **cast('Any', {**wishes, 'record': mode}),
            )
            self.session.renamed = self._renamed
        except ReplayError:
            self.settle()
            raise
        self._judged = False

    def open(self) -> None:
        """Open the session. With a cassette that cannot be read it refuses all runs, until `begin` fails the test."""
        try:
            self.session.open()
        except ReplayError as error:
            self.session.refuse(error)
            self._found(error)

    def begin(self) -> None:
        """Fail the test before any of it runs, if its cassette cannot be read."""
        if self.problem is not None:
            self.fail()

    @contextmanager
    def inside(self) -> Generator[None]:
        """Set the session in the context of the test: in this one, and in the one that its coroutine will run in."""
        item = self._item
        function = getattr(item, 'obj', None)
        with self.session.bound():
            if not isinstance(item, pytest.Function) or not iscoroutinefunction(function):
                yield
                return
            item.obj = _bound(function, self.session)
            try:
                yield
            finally:
                item.obj = function

    @contextmanager
    def inside_fixture(self, fixture: pytest.FixtureDef[Any]) -> Generator[None]:
        """Set the session in the context of a fixture of the test, and in the one that its coroutine will run in."""
        function = fixture.func
        with self.session.bound():
            if ismethod(function):  # the plugins that run it bind it to the test's instance themselves
                yield
                return
            if iscoroutinefunction(function):
                vars(fixture)['func'] = _bound(function, self.session)
            elif isasyncgenfunction(function):
                vars(fixture)['func'] = _bound_generator(function, self.session)
            try:
                yield
            finally:
                vars(fixture)['func'] = function

    def judge(self, error: BaseException | None) -> None:
        """End the session, once: compare, write what was recorded, note what came of it.

        Args:
            error: What the test failed with, if it did.
        """
        if self._judged:
            return
        self._judged = True
        try:
            self._judge(error)
        finally:
            self.settle()

    def settle(self) -> None:
        """Let other workers know whether the cassette is recorded, if it was for this test to record it."""
        if self._claimed:
            self._claims.settle(self._name, recorded=self._name in self._done)

    def _judge(self, error: BaseException | None) -> None:
        problems = self.session.close(ok=error is None, interrupted=isinstance(error, _INTERRUPTIONS))
        if isinstance(error, pytest.skip.Exception):
            return
        if isinstance(error, ReplayError) and not self._item.config.getoption('fulltrace'):
            _end_in_the_callers_code(error, self._item.config.rootpath)
        if isinstance(error, AssertionError | pytest.fail.Exception):  # what was left out then follows from it
            problems = [problem for problem in problems if not isinstance(problem, Unplayed | RunUnfinished)]
        if problems or self.session.runs:
            self._found(problems[0] if problems else None, failed=error is not None)
        self.session.warn()

    def fail(self) -> NoReturn:
        """Fail the test with the problem that was found."""
        problem = self.problem or ReplayError('nothing is wrong')
        pytest.fail(problem.render(), pytrace=False)

    def _found(self, problem: ReplayError | None, *, failed: bool = False) -> None:
        """Note what came of the cassette."""
        session, root = self.session, self._item.config.rootpath
        recorded = session.has_recorded
        state: State = 'recorded' if recorded else 'played'
        if session.unplayed:
            state = 'unplayed'
        if problem is not None:
            _tell_below(root, problem)
            state = _state_after(problem)
        elif recorded and failed:
            state = 'failed'
        elif recorded:
            self._done.add(self._name)
        self.problem = problem
        self.note = Note(
            test=self._id,
            cassette=_below(root, session.cassette_path.as_posix()),
            mode=session.mode,
            state=state,
            live_requests=session.live_requests,
            resumed=session.resumed,
            tokens=sum(map(_tokens, session.recorded_runs)),
            runs=len(session.recorded_runs),
            rebound=session.rebound,
            left_out=session.left_out,
            exchanged=len(session.exchanged),
            constants=session.constants,
            errors=tuple(name for run in session.runs for name in error_names(run.nodes)),
            problem=None if problem is None else self._shown(problem),
        )

    def _owner(self) -> str:
        """Id of the test that owns the cassette: of those that share it always the same, whichever records it."""
        item, name = self._item, cassette_name(self._item.nodeid)
        function = getattr(item, 'originalname', None)
        alike = (
            other.nodeid
            for other in item.session.items
            if other.parent is item.parent and getattr(other, 'originalname', None) == function
        )
        if self._name == name:
            return min((test for test in alike if cassette_name(test) == name), default=item.nodeid)
        sharing = (other.nodeid for other in item.session.items if _named_cassette(other) == self._name)
        return min(sharing, default=item.nodeid)

    def _renamed(self, store: Store, agent: str, started: Started) -> tuple[str, str] | None:
        """The cassette that this test has left behind, if it was renamed."""
        items = self._item.session.items
        owned = owned_names(items, self._redactor)
        for orphan in orphans_of(store, owned=owned, is_gone=lambda test: is_gone(test, items)):
            if plays_the_same(store, orphan, agent, started):
                return orphan.path, orphan.test
        return None

    def _shown(self, error: ReplayError) -> Problem:
        """The problem, with what holds a recording back."""
        problem = Problem.of(error)
        steps = ['add --replay-record-in-ci      to record although this is CI'] if self._held_back else []
        return replace(problem, next=(*problem.next, *steps))


class Disabled:
    """What the fixture gives when replay is disabled: there is no session, and whoever asks it is told so."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith('__'):
            raise AttributeError(name)
        raise ReplayError(
            'replay is disabled',
            expected=f'a session that has {name}',
            got='--replay-disable, or replay_disable in the configuration file: agents run as if there were no plugin',
            next=('leave the option out for tests that look at their session',),
        )


def _wishes(item: pytest.Item, configured: Mapping[str, Any]) -> dict[str, Any]:
    """What markers and configuration fixture of a test say, by name: the closest marker wins, the fixture gives way."""
    found: dict[str, Any] = {}
    for mark in item.iter_markers(MARKER):
        if mark.args:
            raise _refused(f'{MARKER} does not take {mark.args[0]!r}', repr(mark.args[0]))
        found = {**mark.kwargs, **found}
    found = {**configured, **found}
    for name, value in found.items():
        if name not in _TAKES:
            raise _refused(f'{MARKER} does not take {name}', f'{name}={value!r}')
    if not isinstance(found.get('cassette', ''), str):
        raise _refused(f'{found["cassette"]!r} is no name of a cassette', f'cassette={found["cassette"]!r}')
    if 'record' in found:
        choice('record', found['record'], OFFERED)
    Options.of({name: value for name, value in found.items() if name != 'cassette'})
    return found


def _named_cassette(item: pytest.Item) -> object:
    """The cassette that the closest marker of a test names."""
    return next((mark.kwargs['cassette'] for mark in item.iter_markers(MARKER) if 'cassette' in mark.kwargs), None)


def _refused(headline: str, got: str) -> ReplayError:
    takes = f'{", ".join(_TAKES)} by name; cassette is a path below the folder of cassettes'
    return ReplayError(headline, expected=takes, got=got)


def _state_after(problem: ReplayError) -> State:
    """What a problem makes of the cassette; after one of no known kind it is neither played nor recorded."""
    for kind, state in _STATES.items():
        if isinstance(problem, kind):
            return state
    return 'failed'


def _bound(function: Callable[..., Coroutine[Any, Any, Any]], session: Session) -> Callable[..., Any]:
    @wraps(function)
    async def bound(*args: Any, **kwargs: Any) -> Any:
        with session.bound():
            return await function(*args, **kwargs)

    return bound


def _bound_generator(function: Callable[..., AsyncGenerator[Any]], session: Session) -> Callable[..., Any]:
    @wraps(function)
    async def bound(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        with session.bound():
            async with aclosing(function(*args, **kwargs)) as values:
                async for value in values:
                    yield value

    return bound


def _end_in_the_callers_code(error: ReplayError, root: Path) -> None:
    """Cut the way through the libraries off a traceback: where the run was started says more than what stopped it."""
    last, trace = None, error.__traceback__
    while trace is not None:
        code, module = trace.tb_frame.f_code, trace.tb_frame.f_globals.get('__name__', '')
        elsewhere = 'site-packages' in code.co_filename or module.partition('.')[0] in {'agentrun', 'replay'}
        if not elsewhere and Path(code.co_filename).is_relative_to(root):
            last = trace
        trace = trace.tb_next
    if last is not None:
        last.tb_next = None


def _tell_below(root: Path, error: ReplayError) -> None:
    """Let an error name paths as people have them: below the root of the tests."""
    error.expected = error.expected and _below(root, error.expected)
    error.where = replace(error.where, cassette=error.where.cassette and _below(root, error.where.cassette))
    error.details = tuple((label, _below(root, value)) for label, value in error.details)
    error.next = tuple(_below(root, step) for step in error.next)
    error.details = tuple((label, _below(root, value)) for label, value in error.details)


def _below(root: Path, text: str) -> str:
    return text.replace(f'{root.as_posix()}/', '')


def _tokens(run: Run) -> int:
    """Tokens that a recording took."""
    usages = [node.message['usage'] for node in run.nodes if node.message and 'usage' in node.message]
    counted = ('input_tokens', 'output_tokens')
    return sum(cast('int', usage.get(name, 0)) for usage in usages if isinstance(usage, dict) for name in counted)
