"""What record and replay need of an agent library, and what the library's adapter is given in turn.

A `Host` knows the library: it sees runs start, turns their effects into wire JSON and outcomes back into objects. The
`Conductor` (a session, or a check) knows the recordings: it gives each run its tape. Neither knows the other's insides.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from replay.canon import Json, JsonObject
from replay.cassette import Run
from replay.errors import ReplayError
from replay.match import Divergence
from replay.options import Options
from replay.tape import Tape


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is known of a run when it starts: enough to find its recording."""

    agent: str | None
    """Name of the agent, if it has one."""
    within: tuple[str, str] | None
    """Name of the run and of its tool that started this one; None at the top."""
    prompt: Json
    """The user prompt as wire JSON."""
    history: Callable[[], list[JsonObject]]
    """Makes wire JSON of the messages handed in; dear, so called only where it decides something."""
    facts: JsonObject
    """Facts of the run that differ from the usual."""
    instructions: str | None = None
    """What it is instructed by texts, functions apart, if that is known."""
    by: str | None = None
    """Library and version that run it, where these are not what `Host.recorded` of the first host says."""
    wire: str = 'pydantic-ai 1.38'
    """Name of the wire table of its messages, if there is one for this version."""


class RunConductor(Protocol):
    """What the adapter tells about one run."""

    @property
    def tape(self) -> Tape:
        """The run's tape."""
        ...

    @property
    def options(self) -> Options:
        """What the session of the run is asked to do."""
        ...

    def check_open(self) -> None:
        """Make sure that the run may still go on.

        Raises:
            ReplayError: If the session that the run belongs to is closed.
        """
        ...

    def diverged(self, divergence: Divergence) -> ReplayError:
        """Make the error to raise in the run. It counts, whoever catches it."""
        ...

    def failed(self, error: ReplayError) -> ReplayError:
        """Take note of an error of recording or replay itself, and return it to be raised. It counts too."""
        ...

    def went_live(self) -> None:
        """A request is about to reach the real model."""
        ...

    def skipped(self, tool: str, call: int) -> Sequence[Run]:
        """A call of this tool is replayed, so that runs inside of it will not start.

        Args:
            tool: Name of the tool.
            call: Number of the call among all that the run made, from 0.

        Returns:
            The recorded runs that counted into the usage of this run.
        """
        ...

    def others_have_to_come(self) -> bool:
        """Whether runs that go on at the same time have yet to come to where they were cancelled."""
        ...

    def ended(self, messages: bytes, new_from: int) -> None:
        """The run is over. Its tape is finished, or could not be: `failed` told why.

        Args:
            messages: All its messages, as the bytes of `all_messages_json()`; empty if they cannot be written.
            new_from: Index of the first new one.
        """
        ...


class Conductor(Protocol):
    """Takes on runs that start."""

    def start(self, started: Started) -> RunConductor | None:
        """Take on a run, or leave it alone (None).

        Raises:
            ReplayError: If the run must not go on: nothing recorded and nothing may be, session closed, ...
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How far a recording could be played with a stand-in agent."""

    messages: bytes
    """All messages, as the bytes of `all_messages_json()`."""
    new_from: int
    """Index of the first new one."""
    nodes: tuple[str, ...]
    """Kinds of the nodes that ran, in order; the last one is where the play stopped."""
    error: tuple[str, str] | None
    """Class name and text of the error that ended the run."""
    missing: str | None
    """What the run asked for and the recording does not have, in words."""


class Host(Protocol):
    """An agent library."""

    def recorded(self) -> JsonObject:
        """What a cassette that is written now notes: `on`, the date, and `by`, the library and its version."""
        ...

    def now(self) -> datetime:
        """The real time, in the zone of this place."""
        ...

    def system_now(self) -> datetime:
        """The time of the machine, in the zone of this place, where a test has set the clock that code sees too."""
        ...

    def running(self) -> tuple[str, str] | None:
        """Name of the run and of its tool that is running in this context; None outside of tools."""
        ...

    def watch(self, conductor: Conductor) -> AbstractContextManager[None]:
        """Ask `conductor` about each run that starts while no inner block asks, and do no more."""
        ...

    def install(self, conductor: Conductor, *, patch: bool = True) -> AbstractContextManager[None]:
        """Ask `conductor` about each run that starts while the block is open, in any task or thread.

        Args:
            conductor: Who is asked.
            patch: Whether names of the library may be replaced for it; else what was wrapped explicitly is seen.
        """
        ...

    async def play(self, run: Run) -> Played:
        """Let the library's core play a recording with a stand-in agent.

        Raises:
            NotSupported: If the run is of a kind that cannot be played, by name.
        """
        ...
