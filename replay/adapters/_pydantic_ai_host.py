"""The host for agents written with pydantic_ai, as far as it goes without that library."""

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime

from replay.adapters._late import once_loaded
from replay.adapters._protocol import Conductor, Host, Played
from replay.canon import JsonObject
from replay.cassette import Run

__all__ = ('PydanticAiHost',)


class PydanticAiHost:
    """Record and replay of `pydantic_ai` runs. Nothing is loaded or replaced before the code under test loads it.

    Args:
        usual: The host that every installation has; what no library decides is its affair.
    """

    def __init__(self, usual: Host) -> None:
        self._usual = usual

    def recorded(self) -> JsonObject:
        """As of the usual host: runs name their own writers."""
        return self._usual.recorded()

    def now(self) -> datetime:
        """The real time, in the zone of this place."""
        return self._usual.now()

    def system_now(self) -> datetime:
        """The time of the machine, in the zone of this place."""
        return self._usual.system_now()

    def running(self) -> tuple[str, str] | None:
        """None: tools of all libraries are known to the usual host."""
        return None

    def watch(self, conductor: Conductor) -> AbstractContextManager[None]:  # noqa: ARG002, see below
        """Do nothing: no name of the library stays replaced when no session is open."""
        return nullcontext()

    @contextmanager
    def install(self, conductor: Conductor, *, patch: bool = True) -> Generator[None]:
        """Ask `conductor` about each run that starts while the block is open, from when the library is loaded.

        Args:
            conductor: Who is asked.
            patch: Whether names of the library are replaced; else only models that are wrapped are seen.
        """
        with ExitStack() as stack:

            def stand() -> None:
                from replay.adapters.pydantic_ai import asking, installed

                stack.enter_context(asking(conductor))
                if patch:
                    stack.enter_context(installed(conductor))

            stack.callback(once_loaded('pydantic_ai', stand))
            yield

    async def play(self, run: Run) -> Played:
        """Let the core of the usual host play a recording: it is the same in messages and nodes."""
        return await self._usual.play(run)
