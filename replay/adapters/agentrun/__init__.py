"""The host for agents written with `agentrun`. It stands on the seam `agentrun._effects`; nothing is patched."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

from agentrun._ambient import LiveSource, deterministic
from agentrun._effects import install
from agentrun._version import __version__
from replay.adapters._protocol import Conductor, Played
from replay.adapters.agentrun._calls import running_tool
from replay.adapters.agentrun._play import play
from replay.adapters.agentrun._runs import SessionHandler
from replay.canon import JsonObject
from replay.cassette import Run

__all__ = ('AgentrunHost',)


class AgentrunHost:
    """Record and replay of `agentrun` runs; the `Host` that every installation has."""

    def recorded(self) -> JsonObject:
        """Date, and `agentrun` with its version."""
        return {'on': LiveSource().now().date().isoformat(), 'by': f'agentrun {__version__}'}

    def now(self) -> datetime:
        """The real time, in the zone of this place."""
        return LiveSource().now().astimezone()

    def system_now(self) -> datetime:
        """The time of the machine, in the zone of this place."""
        return LiveSource().system_now().astimezone()

    def running(self) -> tuple[str, str] | None:
        """Name of the run and of its tool that is running in this context."""
        return running_tool()

    @contextmanager
    def watch(self, conductor: Conductor) -> Generator[None]:
        """Ask `conductor` about each run that starts while the block is open and no other block asks."""
        with install(SessionHandler(conductor)):
            yield

    @contextmanager
    def install(self, conductor: Conductor, *, patch: bool = True) -> Generator[None]:  # noqa: ARG002, nothing is
        """Ask `conductor` about each run that starts while the block is open.

        Messages that are made outside of runs, and runs that the conductor leaves alone, have logical times too.
        """
        with deterministic(), install(SessionHandler(conductor)):
            yield

    async def play(self, run: Run) -> Played:
        """Let the core play a recording with a stand-in agent.

        Raises:
            NotSupported: If the run is of a kind that cannot be played, by name.
        """
        return await play(run)
