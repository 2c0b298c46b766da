"""Record or replay every agent run of a block of code, with one cassette.

A session belongs to a test or a block. While it is open it is state of the process, so that a run is found however deep
in an application it starts, in threads too; and it is bound to the context of the block, so that two blocks may be open
at once and a task that outlives its block takes its closed session along and is refused by it. A run belongs to the
session that is bound where it starts; where none is bound, to the only one that is open.

Whatever a session finds wrong is kept in `problems`, whoever catches the error that a run was stopped with.
"""

import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Unpack, cast

from .adapters import Conductor, RunConductor, Started, hosts, seen_now, system_now
from .adapters._cancelled import is_ctrl_c
from .age import oldest_date
from .canon import Json, JsonObject
from .cassette import Cassette, Node, Run
from .errors import ReplayError, ReplayWarning
from .exchange import Exchange
from .match import FIELD_OF, FIELDS, Field
from .minting import Minting
from .modes import MODES, Action, Found, Mode
from .options import Options, Wishes
from .own_text import OwnText
from .places import Places
from .redact import Redactor
from .resuming import Resuming
from .routing import Routed, bind, bind_again, bound_session, listed
from .run_view import RunView
from .session_end import judge, keeps_journal, to_write
from .session_network import network_blocked
from .session_run import Ledger, SessionRun
from .store import Store
from .tape import REBOUND, Apart, Tape
from .veil import Veil
from .verdicts import Texts
from .wording import Wording

__all__ = ('RunView', 'Session', 'use_cassette')

Renamed: TypeAlias = Callable[[Store, str, Started], tuple[str, str] | None]
"""Finds, for an agent and its run that starts, a cassette that a renamed test has left behind."""

_Function = TypeVar('_Function', bound=Callable[..., Any])


class Session(Conductor):
    """One cassette, open for the runs of one block of code. A context manager, sync and async, and a decorator.

    Args:
        name: Name of the cassette, a path below `dir`, with or without `.json`.
        dir: Folder of the cassettes.
        test: Id of the test that owns the cassette, if a test does.
        root: Folder of the project; None: the current one, whenever it is asked for.
        wishes: What is asked of it, by the names of `Wishes`.

    Raises:
        ReplayError: If an option has a value that does not exist.
        NameRefused: If the name would leave the folder.
    """

    def __init__(
        self,
        name: str,
        *,
        dir: str | Path = 'cassettes',
        test: str | None = None,
        root: Path | None = None,
        **wishes: Unpack[Wishes],
    ) -> None:
        self.options = Options.of(wishes)
        """What is asked of it."""
        self.name = name
        self.mode: Mode = self.options.record
        self.test = test
        self.written: Path | None = None
        """The file that was written when the session closed, if one was."""
        self.renamed: Renamed = lambda _store, _agent, _started: None
        """Finds path and test of a cassette that no test owns and that plays the run."""
        self.redactor = Redactor(os.environ, self.options.redact)
        """What puts stand-ins in the place of secrets."""
        self._store = Store(dir, redactor=self.redactor)
        self._path = self._store.path(name)
        self.texts = Texts(name=name, path=self._path, mode=self.mode, test=test)
        self._own_text = OwnText(root=root, aside=Path(dir), now=system_now, given=() if test is None else (test,))
        self._ledger = Ledger(
            options=self.options,
            texts=self.texts,
            redactor=self.redactor,
            minting=Minting(seen_now, is_constant=self._own_text.has),
        )
        self._again = {'dir': dir, 'test': test, 'root': root, **wishes, 'redact': self.options.redact}
        self._journal = Resuming(self._path, redactor=self.redactor)
        self._lock = RLock()
        self._runs: list[SessionRun] = []
        self._wording = Wording()
        self._state = 'new'
        self._stack = ExitStack()
        self._outer: Routed | None = None

    # -- open and close

    def open(self) -> Self:
        """Open the session: read the cassette, and take on every run from now on.

        Raises:
            ReplayError: If the session was opened before, or the cassette cannot be read.
        """
        if self._state != 'new':
            raise ReplayError('a session can be opened once', got=f'a session that is {self._state}')
        self._read()
        self._stack.enter_context(listed(self, patch=self.options.patch))
        self._stack.enter_context(network_blocked(self, self._ledger, self._runs, path=self._path, test=self.test))
        self._state = 'open'
        return self

    def refuse(self, error: ReplayError) -> None:
        """Be open for runs in order to refuse them, because the cassette cannot be read.

        Args:
            error: What is wrong with it. Each run is stopped with it, and it is a problem of the session.
        """
        self._ledger.refusal = self._ledger.noted(error)
        self._stack.enter_context(listed(self, patch=self.options.patch))
        self._state = 'open'

    def close(self, *, ok: bool = True, interrupted: bool = False) -> list[ReplayError]:
        """Close the session: judge what was played, write what was recorded. Runs are refused from now on.

        Args:
            ok: Whether the block succeeded. A recording of a block that failed waits beside the cassette.
            interrupted: Whether the user or the system ended the block: the next recording goes on from the journal.

        Returns:
            `problems`. With any of these nothing is written in place.
        """
        if self._state != 'open':
            return self.problems
        self._state = 'closed'
        self._ledger.closed = True
        self._stack.close()
        self.redactor.learn(os.environ)
        with self._lock:
            judge(self._ledger, self._runs, ok=ok)
            runs = to_write(self._ledger, self._runs, self.mode)
            if runs is not None and not interrupted:  # its journal has what was paid for
                self._write(runs, ok=ok and not self.problems)
            self._journal.close(keep=keeps_journal(self.problems, interrupted=interrupted))
        return self.problems

    @contextmanager
    def bound(self) -> Generator[Self]:
        """Bind the session to the context of the block: runs that start there belong to it, tasks inherit it."""
        outer = bound_session()
        bind(self)
        try:
            yield self
        finally:
            bind_again(outer)

    def __enter__(self) -> Self:
        self._outer = bound_session()
        self.open()
        bind(self)
        return self

    def warn(self) -> None:
        """Warn of what is worth it. With warnings as errors this raises the first."""
        found, self._ledger.warnings = self._ledger.warnings, []
        for one in found:
            warnings.warn(one.render(), ReplayWarning, stacklevel=3)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        bind_again(self._outer)
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit) or is_ctrl_c(error)
        problems = self.close(ok=error is None, interrupted=interrupted)
        if error is None and problems:
            raise problems[0]
        for problem in problems:
            if error is not None and problem is not error:
                error.add_note(problem.render())
        self.warn()

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
    def problems(self) -> list[ReplayError]:
        """What was found wrong so far."""
        return self._ledger.problems

    @property
    def resumed(self) -> int:
        """How many requests an interrupted recording had answered already."""
        return self._journal.resumed

    @property
    def live_requests(self) -> int:
        """How many requests reached the real model."""
        return self._ledger.live_requests

    @property
    def has_recorded(self) -> bool:
        """Whether a run did what its recording does not have, and was recorded."""
        return any(run.tape.fresh for run in self._runs)

    @property
    def left_out(self) -> tuple[Field, ...]:
        """The fields that are not compared and in which runs differ from their recordings."""
        found = {FIELD_OF.get(one.cause) for run in self._runs for one in run.tape.left_out}
        return tuple(field for field in FIELDS if field in found)

    @property
    def unplayed(self) -> bool:
        """Whether runs or nodes of the cassette were not asked for. Known when the session is closed."""
        return self._ledger.unplayed

    @property
    def rebound(self) -> int:
        """How many runs had answers that were recorded for other requests."""
        runs = [run.tape.run for run in self._runs]
        return sum(run is not None and REBOUND in run.marks for run in runs)

    @property
    def exchanged(self) -> tuple[tuple[str, str], ...]:
        """Minted ids, tokens, numbers and epochs as recorded, each with the one that a run had in its place."""
        return tuple(self._ledger.exchange.pairs)

    @property
    def constants(self) -> tuple[tuple[str, str], ...]:
        """Values noted as minted that came as recorded though no tool gave them: run and name. Known at the end."""
        return self._ledger.constants

    @property
    def cassette_path(self) -> Path:
        """Where the cassette is, or will be."""
        return self._path

    @property
    def runs(self) -> list[RunView]:
        """The runs that have ended, in the order in which they started, as their cassette has them or will have."""
        return self._wording.views(self._runs)

    @property
    def recorded_runs(self) -> tuple[Run, ...]:
        """The runs of the cassette that is played."""
        return self._ledger.recorded

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Recorded nodes of the run; of the only one, see `run`."""
        return self.run().nodes

    @property
    def node_kinds(self) -> list[str]:
        """Kinds of the nodes that ran, `End` included; of the only run, see `run`."""
        return list(self.run().node_kinds)

    @property
    def outline(self) -> list[str]:
        """A line for each node, of the only run; see `RunView.outline` and `run`."""
        return self.run().outline

    @property
    def steps(self) -> list[JsonObject]:
        """What each node added, of the only run; see `RunView.steps` and `run`."""
        return self.run().steps

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
            self._ledger.check_open()
            started = self._redacted(started)
            agent = started.agent or 'agent'
            recorded = self._recording(agent, started)
            found = Found.RECORDED if recorded else Found.LACKING if self._ledger.cassette else Found.NO_CASSETTE
            action = MODES[self.mode][found]
            if action in {Action.RECORD, Action.EXTEND} and self._holds_anew():
                return self.start(started)
            if action is Action.REFUSE:
                raise self._ledger.noted(self._refusal(agent, started, found))
            veil = Veil(self.redactor)
            if action is not Action.RECORD and recorded is not None:
                self._ledger.places.claim(recorded)
                name, apart = recorded.name, _APART[action]
            else:
                name, apart, recorded = self._ledger.places.name(agent, started), 'stop', None
            tape = Tape(
                name=name,
                agent=agent,
                recorded=recorded and self._ledger.as_version(recorded, started.wire),
                unknown=self._ledger.unknown(started.wire),
                apart=apart,
                fields=self.options.match,
                facts=started.facts,
                veil=veil,
                exchange=self._ledger.exchange,
                minting=self._ledger.minting.run(recorded and recorded.minted),
                strip=self._journal.strip(name),
            )
            if started.by is not None:
                self._ledger.writers[started.by] = None
            if tape.has_to_come:
                self._ledger.cut.append(tape)
            self._runs.append(SessionRun(self._ledger, tape, by=started.by))
            return self._runs[-1]

    def _holds_anew(self) -> bool:
        """Hold the cassette for recording. If that had to wait for another process, read what that one has recorded."""
        try:
            waited = self._journal.take()
        except ReplayError as error:
            raise self._ledger.noted(error) from None
        if waited:
            self._read()
            self._ledger.places.claim_all(run.tape.name for run in self._runs)
        return waited

    def _recording(self, agent: str, started: Started) -> Run | None:
        """Find the recording of a run; inside a run that left its recording there is none."""
        parent = started.within and started.within[0]
        if any(run.tape.name == parent and run.tape.parted for run in self._runs):
            self._ledger.places.release(cast('str', parent))
            return None
        return self._ledger.places.find(agent, started)

    def _redacted(self, started: Started) -> Started:
        """What is known of a run without its secrets. Those that a fixture has set since the last run are known now."""
        self.redactor.learn(os.environ)
        text, history = self.redactor.text, started.history
        return replace(
            started,
            agent=started.agent and text(started.agent),
            within=started.within and (started.within[0], text(started.within[1])),
            prompt=self.redactor.json(started.prompt),
            instructions=started.instructions and text(started.instructions),
            history=lambda: cast('list[JsonObject]', self.redactor.json(cast('Json', history()))),
        )

    def _refusal(self, agent: str, started: Started, found: Found) -> ReplayError:
        if found is Found.NO_CASSETTE:
            waits = self._store.exists(self.name, pending=True)
            renamed = None if waits else self.renamed(self._store, agent, started)
            pending = self._store.path(self.name, pending=True) if waits else None
            return self.texts.no_cassette(agent, started.prompt, renamed=renamed, pending=pending)
        return self.texts.run_lacking(agent, started.prompt, self.recorded_runs)

    # -- the cassette

    def _read(self) -> None:
        """Read the cassette, to be played or to be recorded over."""
        pending = self.options.play_pending and self._store.exists(self.name, pending=True)
        if not pending and not self._store.exists(self.name):
            return
        if MODES[self.mode][Found.RECORDED] is not Action.RECORD:
            cassette = self._store.read_redacted(self.name, pending=pending)
            self._ledger.plays(cassette)
            self._wording.before = cassette
            known = self._own_text.has
            self._ledger.exchange = Exchange.of(cassette.runs, now=system_now, seen=seen_now, is_constant=known)
            self._ledger.places = Places(cassette.runs, exchange=self._ledger.exchange)
            return
        with suppress(*([ReplayError] if self.mode == 'rewrite' else [])):  # what cannot be read is just replaced
            self._wording.before = self._store.read(self.name)
            self._ledger.places = Places(earlier=self._wording.before.runs)

    def _write(self, runs: Sequence[Run], *, ok: bool) -> None:
        recorded = next(host.recorded() for host in hosts())
        if self._ledger.writers:
            recorded = {**recorded, 'by': ', '.join(self._ledger.writers)}
        try:
            test = self.test and self.redactor.text(self.test)
            cassette = self._store.kept(self.name, Cassette(test=test, recorded=recorded, runs=tuple(runs)))
            oldest = oldest_date(self.options.max_age, recorded['on'])
            if self._store.write(self.name, cassette, pending=not ok, oldest=oldest):
                self.written = self._store.path(self.name, pending=not ok)
        except ReplayError as error:
            self._ledger.noted(error)


_APART: Mapping[Action, Apart] = {Action.REPLAY: 'stop', Action.EXTEND: 'record', Action.REBIND: 'rebind'}
"""What a run does that is played and differs from its recording."""


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
            `patch`: whether agents of pydantic_ai are followed by hooks in that library (True); without, what
            `replay.adapters.pydantic_ai.record_model` has wrapped is.

    Returns:
        The session. At the end of the block it raises the first of its `problems`, if there are any; an error that the
        block itself raised goes on, with the problems as its notes.
    """
    return Session(name, dir=dir, test=test, **wishes)
