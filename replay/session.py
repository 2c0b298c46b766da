"""Record or replay every agent run of a block of code, with one cassette.

A session belongs to a test or a block. While it is open it is state of the process, so that a run is found however deep
in an application it starts, in threads too; and it is bound to the context of the block, so that two blocks may be open
at once and a task that outlives its block takes its closed session along and is refused by it. A run belongs to the
session that is bound where it starts; where none is bound, to the only one that is open.

Whatever a session finds wrong is kept in `problems`, whoever catches the error that a run was stopped with.
"""

import atexit
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from .adapters import Conductor, RunConductor, Started, hosts
from .canon import Json, JsonObject, dumps, own
from .cassette import Cassette, Node, Run
from .errors import NotRestorable, ReplayError
from .match import Divergence
from .modes import MODES, Action, Found, Mode
from .options import Options, Wishes
from .places import Places
from .playback import counted_runs
from .redact import Redactor
from .run_view import RunView
from .store import Store
from .tape import Tape
from .veil import Veil, redacted_error, veiled_run
from .verdicts import RunUnfinished, SessionAmbiguous, Texts

__all__ = ('RunView', 'Session', 'use_cassette')

_Function = TypeVar('_Function', bound=Callable[..., Any])


class Session(Conductor):
    """One cassette, open for the runs of one block of code. A context manager, sync and async, and a decorator.

    Args:
        name: Name of the cassette, a path below `dir`, with or without `.json`.
        dir: Folder of the cassettes.
        test: Id of the test that owns the cassette, if a test does.
        wishes: What is asked of it, by the names of `Wishes`.

    Raises:
        ReplayError: If an option has a value that does not exist.
        NameRefused: If the name would leave the folder.
    """

    def __init__(
        self, name: str, *, dir: str | Path = 'cassettes', test: str | None = None, **wishes: Unpack[Wishes]
    ) -> None:
        self.options = Options.of(wishes)
        """What is asked of it."""
        self.name = name
        self.mode: Mode = self.options.record
        self.test = test
        self.live_requests = 0
        """How many requests reached the real model."""
        self.problems: list[ReplayError] = []
        """What was found wrong so far."""
        self.written: Path | None = None
        """The file that was written when the session closed, if one was."""
        self.redactor = Redactor(os.environ, self.options.redact)
        """What puts stand-ins in the place of secrets."""
        self._store = Store(dir, redactor=self.redactor)
        self._path = self._store.path(name)
        self.texts = Texts(name=name, path=self._path, mode=self.mode, test=test)
        self._again = {'dir': dir, 'test': test, **wishes, 'redact': self.options.redact}
        self._lock = RLock()
        self._cassette: Cassette | None = None
        self._places = Places()
        self._runs: list[_SessionRun] = []
        self._state = 'new'
        self._stack = ExitStack()
        self._outer: Session | None = None

    # -- open and close

    def open(self) -> Self:
        """Open the session: read the cassette, and take on every run from now on.

        Raises:
            ReplayError: If the session was opened before, or the cassette cannot be read.
        """
        if self._state != 'new':
            raise ReplayError('a session can be opened once', got=f'a session that is {self._state}')
        pending = self.options.play_pending and self._store.exists(self.name, pending=True)
        if self.mode != 'rewrite' and (pending or self._store.exists(self.name)):
            read = self._store.read(self.name, pending=pending)
            # One that was recorded before its secrets were known is played as it would be recorded today.
            self._cassette = replace(read, runs=tuple(veiled_run(run, self.redactor) for run in read.runs))
            self._places = Places(self._cassette.runs)
        elif self._store.exists(self.name):
            with suppress(ReplayError):  # what cannot be read is just replaced
                self._places = Places(earlier=self._store.read(self.name).runs)
        _stand_guard()
        _open_sessions.append(self)
        self._stack.callback(_open_sessions.remove, self)
        for host in hosts():
            self._stack.enter_context(host.install(_ROUTER))
        self._state = 'open'
        return self

    def close(self, *, ok: bool = True) -> list[ReplayError]:
        """Close the session: judge what was played, write what was recorded. Runs are refused from now on.

        Args:
            ok: Whether the block succeeded. A recording of a block that failed waits beside the cassette.

        Returns:
            `problems`. With any of these nothing is written in place.
        """
        if self._state != 'open':
            return self.problems
        self._state = 'closed'
        self._stack.close()
        self.redactor.learn(os.environ)
        with self._lock:
            self._judge(ok=ok)
            recorded = [run for run in self._runs if not run.tape.replaying]
            if recorded and not any(isinstance(one, NotRestorable | RunUnfinished) for one in self.problems):
                self._write(ok=ok and not self.problems)
        return self.problems

    @contextmanager
    def bound(self) -> Generator[Self]:
        """Bind the session to the context of the block: runs that start there belong to it, tasks inherit it."""
        outer = _bound.get()
        _bound.set(self)
        try:
            yield self
        finally:
            _bind_again(outer)

    def __enter__(self) -> Self:
        self._outer = _bound.get()
        self.open()
        _bound.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _bind_again(self._outer)
        problems = self.close(ok=error is None)
        if error is None and problems:
            raise problems[0]
        for problem in problems:
            if error is not None and problem is not error:
                error.add_note(problem.render())

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function: each call has a session of its own, with this one's cassette and mode."""
        if iscoroutinefunction(function):

            @wraps(function)
            async def replayed_async(*args: Any, **kwargs: Any) -> Any:
                async with Session(self.name, **cast('Any', self._again)):
                    return await function(*args, **kwargs)

            return cast('_Function', replayed_async)

        @wraps(function)
        def replayed(*args: Any, **kwargs: Any) -> Any:
            with Session(self.name, **cast('Any', self._again)):
                return function(*args, **kwargs)

        return cast('_Function', replayed)

    # -- what a test looks at

    @property
    def closed(self) -> bool:
        """Whether the session is over, so that it takes on no run."""
        return self._state == 'closed'

    @property
    def cassette_path(self) -> Path:
        """Where the cassette is, or will be."""
        return self._path

    @property
    def runs(self) -> list[RunView]:
        """The runs that have ended, in the order in which they started."""
        return [run.view for run in self._runs if run.view is not None]

    @property
    def recorded_runs(self) -> tuple[Run, ...]:
        """The runs of the cassette that is played."""
        return self._cassette.runs if self._cassette else ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Recorded nodes of the run; of the only one, see `run`."""
        return self.run().nodes

    @property
    def node_kinds(self) -> list[str]:
        """Kinds of the nodes that ran, `End` included; of the only run, see `run`."""
        return list(self.run().node_kinds)

    @property
    def messages(self) -> list[JsonObject]:
        """All messages as wire JSON; of the only run, see `run`."""
        return self.run().messages

    @property
    def usage(self) -> dict[str, int]:
        """Requests and tokens; of the only run, see `run`."""
        return self.run().usage

    def all_messages_json(self) -> bytes:
        """What `all_messages_json()` gave at the end of the run; of the only one, see `run`."""
        return self.run().all_json

    def new_messages_json(self) -> bytes:
        """What `new_messages_json()` gave at the end of the run; of the only one, see `run`."""
        return self.run().new_json

    def run(self, name: str | None = None) -> RunView:
        """Return one run: the one of this name, else the only one at the top.

        Args:
            name: Name of the run: `support`, `support/lookup_order/researcher`, `support#2`.

        Raises:
            LookupError: If no such run has ended, or several have and none is named.
        """
        found = self.runs
        chosen = [run for run in found if (run.name == name if name is not None else '/' not in run.name)]
        if len(chosen) == 1:
            return chosen[0]
        named = ', '.join(run.name for run in found) or 'none'
        wanted = 'the only run at the top' if name is None else f'run {name!r}'
        raise LookupError(f'{wanted} was asked for; runs that have ended: {named}')

    # -- runs, from the adapter

    def start(self, started: Started) -> RunConductor:
        """Take on a run: find its recording, or record it.

        Raises:
            SessionClosed: If the session is closed.
            CassetteNotFound: If there is no cassette and nothing may be recorded.
            RunLacking: If the cassette lacks the run and nothing may be recorded.
        """
        with self._lock:
            self.check_open()
            started = self._redacted(started)
            agent = started.agent or 'agent'
            recorded = self._places.find(agent, started)
            found = Found.RECORDED if recorded else Found.LACKING if self._cassette else Found.NO_CASSETTE
            action = MODES[self.mode][found]
            if action is Action.REFUSE:
                raise self._noted(self._refusal(agent, started, found))
            if action is not Action.RECORD and recorded is not None:
                self._places.claim(recorded)
                tape = Tape(name=recorded.name, agent=agent, recorded=recorded, veil=Veil(self.redactor))
            else:
                name = self._places.name(agent, started)
                tape = Tape(name=name, agent=agent, facts=started.facts, veil=Veil(self.redactor))
            self._runs.append(_SessionRun(self, tape))
            return self._runs[-1]

    def check_open(self) -> None:
        """Make sure that runs may start and go on.

        Raises:
            SessionClosed: If the session is closed.
        """
        if self._state == 'closed':
            raise self.texts.closed()

    def cover(self, within: tuple[str, str]) -> None:
        """Note that a tool call was replayed: recorded runs inside of it need not start."""
        self._places.cover((within[0], self.redactor.text(within[1])))

    def _noted(self, problem: ReplayError) -> ReplayError:
        self.problems.append(redacted_error(problem, self.redactor))
        return problem

    def _redacted(self, started: Started) -> Started:
        """What is known of a run without its secrets. Those that a fixture has set since the last run are known now."""
        self.redactor.learn(os.environ)
        text, history = self.redactor.text, started.history
        return replace(
            started,
            agent=started.agent and text(started.agent),
            within=started.within and (started.within[0], text(started.within[1])),
            prompt=self.redactor.json(started.prompt),
            history=lambda: cast('list[JsonObject]', self.redactor.json(cast('Json', history()))),
        )

    def _refusal(self, agent: str, started: Started, found: Found) -> ReplayError:
        if found is Found.NO_CASSETTE:
            return self.texts.no_cassette(agent, started.prompt)
        return self.texts.run_lacking(agent, started.prompt, self.recorded_runs)

    # -- the end

    def _judge(self, *, ok: bool) -> None:
        for run in self._runs:
            self._judge_run(run)
        never = self._places.never_played()
        if never and ok and not self.problems:
            played = [run.tape.name for run in self._runs]
            self._noted(self.texts.unplayed_runs(never, self.recorded_runs, played))

    def _judge_run(self, run: '_SessionRun') -> None:
        tape = run.tape
        if tape.divergence is not None:
            run.diverged(tape.divergence)
        elif run.view is None and not run.broken:
            self._noted(self.texts.unfinished(tape))
        elif tape.unplayed and tape.run is not None and not run.broken:
            self._noted(self.texts.unplayed_nodes(tape, tape.run))

    def _write(self, *, ok: bool) -> None:
        runs = self._places.in_order([cast('Run', run.tape.run) for run in self._runs if not run.tape.replaying])
        recorded = next(host.recorded() for host in hosts())
        try:
            test = self.test and self.redactor.text(self.test)
            cassette = Cassette(test=test, recorded=recorded, runs=tuple(runs))
            if self._store.write(self.name, cassette, pending=not ok):
                self.written = self._store.path(self.name, pending=not ok)
        except ReplayError as error:
            self._noted(error)


class _SessionRun(RunConductor):
    """One run of a session, as the adapter sees it."""

    def __init__(self, session: Session, tape: Tape) -> None:
        self._session = session
        self._tape = tape
        self.view: RunView | None = None
        self._divergence: ReplayError | None = None
        self.broken = False

    @property
    def tape(self) -> Tape:
        return self._tape

    @property
    def options(self) -> Options:
        return self._session.options

    def check_open(self) -> None:
        self._session.check_open()

    def diverged(self, divergence: Divergence) -> ReplayError:
        if self._divergence is None:
            self._divergence = self._session.texts.diverged(divergence)
            self._session.problems.append(self._divergence)
        return self._divergence

    def failed(self, error: ReplayError) -> ReplayError:
        self.broken = True
        self._session.problems.append(redacted_error(error, self._session.redactor))
        return error

    def went_live(self) -> None:
        self._session.live_requests += 1

    def skipped(self, tool: str, call: int) -> Sequence[Run]:
        self._session.cover((self._tape.name, tool))
        return list(counted_runs(self._session.recorded_runs, self._tape.name, call))

    def ended(self, messages: bytes, new_from: int) -> None:
        if not messages:
            return
        messages = self._session.redactor.data(messages)
        all_messages = cast('list[Json]', own(messages))
        run = self._tape.run
        self.view = RunView(
            name=self._session.redactor.text(self._tape.name),
            agent=self._tape.agent,
            node_kinds=tuple(self._tape.kinds),
            nodes=run.nodes if run else (),
            all_json=messages,
            new_json=messages if not new_from else dumps(all_messages[new_from:]),
        )


def use_cassette(
    name: str, *, dir: str | Path = 'cassettes', test: str | None = None, **wishes: Unpack[Wishes]
) -> Session:
    """Record or replay every agent run of a block: `with`, `async with`, or as a decorator.

    Args:
        name: Name of the cassette, a path below `dir`, with or without `.json`.
        dir: Folder of the cassettes.
        test: Id of the test that owns the cassette, if a test does.
        wishes: Any of these.
            `record`: `none` replays and never asks a model; `once` records if there is no cassette; `new_episodes`
            replays what matches and records the rest; `all` records anew, and `rewrite` drops what was not reached too.
            `tools`: `replay`, `live` or `verify`, or one of them by name of the tool.
            `match`: the fields of a request that are compared: instructions, messages, settings, tools, output.
            `unplayed`: `fail`, `warn` or `ignore` what was recorded and is not asked for.
            `max_age`: how old a recording may be: `90d`, `12w`.
            `network`, `allowed_hosts`: whether code may connect to other machines in a replay, and to which.
            `play_pending`: whether to play the recording that waits beside the cassette.
            `redact`: what to redact beside what is known: pairs of a name and a regular expression, whose group
            `secret` (or all of what matches) becomes `<secret:NAME>`, or functions that are given each text and return
            it redacted.

    Returns:
        The session. At the end of the block it raises the first of its `problems`, if there are any; an error that the
        block itself raised goes on, with the problems as its notes.
    """
    return Session(name, dir=dir, test=test, **wishes)


# -- which session a run belongs to

_open_sessions: list[Session] = []
_bound: ContextVar[Session | None] = ContextVar('replay_session', default=None)
_guards = ExitStack()
_guarding: list[bool] = []


def _bind_again(session: Session | None) -> None:
    """Bind what was bound before, unless that is closed: blocks need not end in the reverse order they began in."""
    _bound.set(None if session is not None and session.closed else session)


class _Router(Conductor):
    """Gives each run that starts to the session that it belongs to."""

    def start(self, started: Started) -> RunConductor | None:
        session = _bound.get()
        if session is not None:
            return session.start(started)
        if len(_open_sessions) > 1:
            raise SessionAmbiguous(
                'several sessions are open, and a run started where none is bound',
                expected='one open session, or a context (task, or thread with a copied context) that belongs to one',
                got=f'sessions for {", ".join(one.name for one in _open_sessions)}',
                next=('start the thread with contextvars.copy_context().run', 'or close one session first'),
            )
        return _open_sessions[0].start(started) if _open_sessions else None


_ROUTER = _Router()


def _stand_guard() -> None:
    """From the first session on, see every run: one that outlived its session is refused and does not go live."""
    if not _guarding:
        _guarding.append(True)
        # Left before modules are torn down: what still stands then ends in noise.
        atexit.register(_guards.close)
        for host in hosts():
            _guards.enter_context(host.watch(_ROUTER))
