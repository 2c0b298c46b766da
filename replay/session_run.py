"""One run of a session, as the adapter sees it, and the ledger that all runs of a session share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from .adapters import RunConductor
from .canon import Json, dumps, own
from .cassette import Cassette, Run
from .codec import OtherVersion, as_version
from .errors import ReplayError
from .exchange import Exchange
from .match import Divergence
from .minting import Minting
from .options import Options
from .places import Places
from .playback import counted_runs
from .redact import Redactor
from .run_view import RunView
from .shapes import unknown_keys
from .tape import Tape
from .veil import redacted_error
from .verdicts import Texts

__all__ = ('Ledger', 'SessionRun')


_TELL_ALL = ('tool schema', 'output', 'user prompt')
"""Causes that no tool has a part in: what is written in the code, or given to a run."""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What a session and its runs share."""

    options: Options
    texts: Texts
    redactor: Redactor
    places: Places = field(default_factory=Places)
    exchange: Exchange = field(default_factory=Exchange)
    """Which live values stand for which recorded ones."""
    minting: Minting
    """What finds minted values while runs are recorded."""
    cassette: Cassette | None = None
    """The cassette that is played."""
    cleared: int = 0
    """How many secrets the redactor knew when the cassette was read."""
    problems: list[ReplayError] = field(default_factory=list[ReplayError])
    live_requests: int = 0
    closed: bool = False
    refusal: ReplayError | None = None
    """Why no run can be taken on, if the cassette cannot be read."""
    unplayed: bool = False
    """Whether runs or nodes of the cassette were not asked for."""
    constants: tuple[tuple[str, str], ...] = ()
    """Minted ids, tokens and numbers that came as recorded, though no tool gave them: run and name of each."""
    warnings: list[ReplayError] = field(default_factory=list[ReplayError])
    """What is worth a warning."""
    cut: list[Tape] = field(default_factory=list[Tape])
    """Tapes of replayed runs that were cancelled when they were recorded."""
    writers: dict[str, None] = field(default_factory=dict[str, None])
    """Libraries and versions that ran what is written, in the order in which they came."""

    @property
    def recorded(self) -> tuple[Run, ...]:
        """The runs of the cassette that is played."""
        return self.cassette.runs if self.cassette else ()

    def plays(self, cassette: Cassette) -> None:
        """Take on the cassette that is played, without its secrets."""
        self.cassette = cassette
        self.cleared = self.redactor.known

    def knows_secrets_of(self, tape: Tape) -> bool:
        """Whether the messages of a run are those of its recording, which was looked through for all that is known."""
        return tape.ended_as_recorded and self.redactor.known == self.cleared

    def as_version(self, run: Run, wire: str) -> Run:
        """A recording as the library version that replays it would have written it.

        Raises:
            OtherVersion: If it says what that version cannot.
        """
        try:
            return run if self.cassette is None else as_version(run, wire=self.cassette.wire, to=wire)
        except OtherVersion as error:
            raise self.noted(error) from None

    def unknown(self, wire: str) -> Mapping[str, Collection[str]] | None:
        """Keys of messages that the version that recorded did not know, and the one that replays does, by kind.

        Returns:
            None if messages of both look the same.
        """
        if self.cassette is None or self.cassette.wire == wire:
            return None
        return unknown_keys(self.cassette.wire, wire)

    def versions(self, by: str | None) -> tuple[str, str] | None:
        """The library versions that recorded and that replay; None if they are the same, or one is not known."""
        writers = None if self.cassette is None else self.cassette.recorded.get('by')
        if by is None or not isinstance(writers, str) or by in writers.split(', '):
            return None
        return writers, by

    def noted(self, problem: ReplayError) -> ReplayError:
        """Take note of a problem, without its secrets, and return it."""
        self.problems.append(redacted_error(problem, self.redactor))
        return problem

    def left(self, problem: ReplayError) -> None:
        """Take note of recordings that were not asked for, as the options have it."""
        self.unplayed = True
        if self.options.unplayed == 'fail':
            self.noted(problem)
        elif self.options.unplayed == 'warn':
            self.warnings.append(redacted_error(problem, self.redactor))

    def check_open(self) -> None:
        """Make sure that runs may start and go on.

        Raises:
            SessionClosed: If the session is closed.
            ReplayError: If its cassette cannot be read.
        """
        if self.refusal is not None:
            raise self.refusal
        if self.closed:
            raise self.texts.closed()


class SessionRun(RunConductor):
    """One run of a session.

    Args:
        ledger: What it shares with the others.
        tape: Its tape.
        by: The library that runs it, with its version; None: the one that records the session.
    """

    def __init__(self, ledger: Ledger, tape: Tape, by: str | None = None) -> None:
        self.view: RunView | None = None
        """The run as it ended, once it has."""
        self.broken = False
        """Whether recording or replay itself failed."""
        self._ledger = ledger
        self._tape = tape
        self._by = by
        self._divergence: ReplayError | None = None
        self._has_inner = any(run.name.startswith(f'{tape.name}/') for run in ledger.recorded)
        self._unexecuted: dict[str, str] = {}  # names of tools, and those without their secrets

    @property
    def tape(self) -> Tape:
        """The tape of the run."""
        return self._tape

    @property
    def options(self) -> Options:
        """What the session is asked to do."""
        return self._ledger.options

    def check_open(self) -> None:
        """Make sure that the run may go on."""
        ledger = self._ledger
        if ledger.closed or ledger.refusal is not None:
            ledger.check_open()

    def diverged(self, divergence: Divergence) -> ReplayError:
        """Make the error to raise in the run; the first one stays."""
        if self._divergence is None:
            unexecuted = () if divergence.cause in _TELL_ALL else tuple(dict.fromkeys(self._unexecuted.values()))
            texts, versions = self._ledger.texts, self._ledger.versions(self._by)
            self._divergence = texts.diverged(divergence, unexecuted=unexecuted, versions=versions)
            self._ledger.problems.append(self._divergence)
        return self._divergence

    def failed(self, error: ReplayError) -> ReplayError:
        """Take note of an error of recording or replay itself."""
        self.broken = True
        return self._ledger.noted(error)

    def went_live(self) -> None:
        """Count a request that reaches the real model."""
        self._ledger.live_requests += 1

    def skipped(self, tool: str, call: int) -> Sequence[Run]:
        """Note that a call is replayed, and give the recorded runs that it started."""
        ledger = self._ledger
        name = self._unexecuted.get(tool)
        if name is None:
            name = self._unexecuted[tool] = ledger.redactor.text(tool)
        if not self._has_inner:
            return ()
        ledger.places.cover((self._tape.name, name), call)
        return list(counted_runs(ledger.recorded, self._tape.name, call))

    def others_have_to_come(self) -> bool:
        """Whether runs beside this one, which are none around it, have yet to come to where they were cancelled."""
        name = self._tape.name
        return any(one.has_to_come and not f'{name}/'.startswith(f'{one.name}/') for one in self._ledger.cut)

    def ended(self, messages: bytes, new_from: int) -> None:
        """Keep what the run ended with."""
        if not messages:
            return
        redactor = self._ledger.redactor
        if not self._ledger.knows_secrets_of(self._tape):
            messages = redactor.data(messages)
        run = self._tape.run
        self.view = RunView(
            name=redactor.text(self._tape.name),
            agent=self._tape.agent,
            node_kinds=tuple(self._tape.kinds),
            nodes=run.nodes if run else (),
            all_json=messages,
            new_json=messages if not new_from else dumps(cast('list[Json]', own(messages))[new_from:]),
        )
