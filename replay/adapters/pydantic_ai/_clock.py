"""Clock and ids of pydantic_ai while a session is open: those of the run that is current, else logical ones too.

Timestamps are read through a name that is baked into the default factories of all message classes; what can be
replaced for all of them at once is the class that this name looks up when it is called.
"""

import inspect
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta, tzinfo
from importlib import import_module
from typing import Any, Protocol, Self, cast
from uuid import UUID

from pydantic_ai import _agent_graph, _utils
from pydantic_ai.messages import UserPromptPart

from replay import logical
from replay.adapters.pydantic_ai._compat import HookMissing, id_maker

__all__ = ('Readings', 'RunReadings', 'logical_readings', 'reading')


class Readings(Protocol):
    """Where the readings of one run come from."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...

    def run_id(self) -> str:
        """Return a new run id: the text of a UUID."""
        ...

    def tool_call_id(self) -> str:
        """Return a new tool call id: `pyd_ai_` and 32 hex digits."""
        ...

    def request_begun(self) -> None:
        """Take note that a model request begins."""
        ...


class RunReadings:
    """The readings of a run, and the id of the conversation that it may begin.

    Args:
        name: Name of the run.
        source: Where all others come from.
    """

    def __init__(self, name: str, source: Readings) -> None:
        self._name = name
        self.source = source

    def conversation_id(self) -> str:
        """The id of the conversation that this run begins."""
        return logical.conversation_id(self._name)


_current: ContextVar[RunReadings | None] = ContextVar('replay_pydantic_ai_readings', default=None)


@contextmanager
def reading(readings: RunReadings) -> Generator[None]:
    """Read from a run's clock and ids inside the block, in this context."""
    token = _current.set(readings)
    try:
        yield
    finally:
        with suppress(ValueError):  # left in another context than it was entered in, where it is not set
            _current.reset(token)


@contextmanager
def logical_readings() -> Generator[None]:
    """Give pydantic_ai logical readings while the block is open, in every task and thread.

    Raises:
        HookMissing: If a timestamp does not come from the replaced clock.
    """
    maker = id_maker()
    utils: Any = _utils
    graph: Any = _agent_graph
    real_ids = getattr(graph, maker)
    clock = _clock(utils.datetime)
    stand_ins = [
        (utils, 'datetime', clock),
        (utils, 'uuid', _CallIds(utils.uuid)),
        (graph, maker, _run_id_maker(real_ids) if maker == 'uuid7' else _RunIds(real_ids)),
        *_of_attempts(clock),
    ]
    saved = [(owner, name, owner.__dict__[name]) for owner, name, _ in stand_ins]
    for owner, name, stand_in in stand_ins:
        setattr(owner, name, stand_in)
    try:
        if UserPromptPart('').timestamp != (readings.source.now() if (readings := _current.get()) else logical.BASE):
            raise HookMissing('_utils.datetime', 'timestamps that come from elsewhere')
        yield
    finally:
        for owner, name, real in saved:
            setattr(owner, name, real)


def _of_attempts(clock: Any) -> list[tuple[Any, str, Any]]:
    """The clock of failed attempts at a request, in versions that tell of them (after 2.33)."""
    try:
        attempts = import_module('pydantic_ai._model_request_attempts')
    except ImportError:
        return []
    start = attempts.AttemptStart
    real = start.elapsed

    def elapsed(self: Any) -> timedelta:
        return real(self) if _current.get() is None else timedelta(0)

    return [(attempts, 'datetime', clock), (start, 'elapsed', elapsed)]


def _clock(real: Any) -> type[datetime]:
    """A class that stands for `datetime` where only `now` is asked for another time than the real one."""

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

    class LogicalDatetime(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            readings = _current.get()
            moment = logical.BASE if readings is None else readings.source.now()
            return cast('Self', moment.astimezone(tz) if tz is not None else moment.replace(tzinfo=None))

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
            return handler(real)

    return LogicalDatetime


class _Module:
    """Stands for the module `uuid`.

    Args:
        real: The module.
    """

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _CallIds(_Module):
    """Makes the ids of tool calls."""

    def uuid4(self) -> UUID:
        """The next id of the current run; a random one outside of runs."""
        readings = _current.get()
        if readings is None:
            return self._real.uuid4()
        return UUID(hex=readings.source.tool_call_id().removeprefix('pyd_ai_'))


class _RunIds(_Module):
    """Makes the ids of runs."""

    def uuid4(self) -> UUID:
        """The id of the current run; a random one outside of runs."""
        readings = _current.get()
        return self._real.uuid4() if readings is None else UUID(readings.source.run_id())


def _run_id_maker(real: Any) -> Any:
    def uuid7() -> UUID:
        readings = _current.get()
        if readings is None:
            return cast('UUID', real())
        # One maker serves runs and conversations, in an order that versions differ in.
        if _caller() == 'resolve_conversation_id':
            return UUID(readings.conversation_id())
        return UUID(readings.source.run_id())

    return uuid7


def _caller() -> str | None:
    """Name of the function that called the one that asks."""
    asking = inspect.currentframe()
    for _ in range(2):
        asking = asking and asking.f_back
    return asking.f_code.co_name if asking else None
