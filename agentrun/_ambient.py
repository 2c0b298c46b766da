"""The one door to the clock, to ids and to randomness.

Every reading that would differ between two runs of the same agent comes through here, so that a run can be given
other readings. Where they come from is a `Source`: the live one reads the real clock, the logical one counts.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final, Protocol

__all__ = [
    'BASE_TIME',
    'LiveSource',
    'LogicalSource',
    'Source',
    'deterministic',
    'enter',
    'leave',
    'new_run_id',
    'new_tool_call_id',
    'now',
    'source_for_run',
    'use',
]

BASE_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What a logical clock shows before the first model request of its run."""

_SECOND: Final = timedelta(seconds=1)


class Source(Protocol):
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
        """Take note that a model request begins; called once for each, before its timestamp is read."""
        ...


class LiveSource:
    """The real clock and random ids."""

    __slots__ = ()

    def now(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(tz=UTC)  # noqa: TID251, the door itself

    def system_now(self) -> datetime:
        """Return the time of the machine in UTC, where a test has stopped the clock that `now` reads too."""
        machine = sys.modules.get('time_machine')  # the one that stops all clocks; others leave this one alone
        if machine is not None and machine.escape_hatch.is_travelling():
            seconds = machine.escape_hatch.time.time()
        elif hasattr(time, 'clock_gettime'):
            seconds = time.clock_gettime(time.CLOCK_REALTIME)
        else:  # pragma: no cover  # Windows
            return self.now()
        return datetime.fromtimestamp(seconds, UTC)

    def run_id(self) -> str:
        """Return the text of a random UUID."""
        return str(uuid.uuid4())  # noqa: TID251, the door itself

    def tool_call_id(self) -> str:
        """Return `pyd_ai_` and the digits of a random UUID, as in pydantic-ai 1.38."""
        return f'pyd_ai_{uuid.uuid4().hex}'  # noqa: TID251, the door itself

    def request_begun(self) -> None:
        """Do nothing: the real clock moves by itself."""


class LogicalSource:
    """Readings that depend on nothing but the run's name and how far the run has come.

    The time is `BASE_TIME` plus one second for each model request begun, so that it does not depend on the order in
    which parallel tools finish. Ids are `uuid5(NAMESPACE_OID, 'run/kind/counter')` with kinds `run` and `call`, each
    counted from 1.

    Args:
        run: Name of the run; two runs with the same name get the same ids.
    """

    __slots__ = ('_calls', '_now', '_run', '_runs')

    def __init__(self, run: str) -> None:
        self._run = run
        self._now = BASE_TIME
        self._runs = count(1)
        self._calls = count(1)

    def now(self) -> datetime:
        """Return the base time plus one second for each request begun."""
        return self._now

    def run_id(self) -> str:
        """Return the next id of kind `run`."""
        return str(self._id('run', next(self._runs)))

    def tool_call_id(self) -> str:
        """Return the next id of kind `call`, in the form that generated tool call ids have."""
        return f'pyd_ai_{self._id("call", next(self._calls)).hex}'

    def request_begun(self) -> None:
        """Move the clock on by one second."""
        self._now += _SECOND

    def _id(self, kind: str, counter: int) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, f'{self._run}/{kind}/{counter}')


_LIVE: Final[Source] = LiveSource()
_current: ContextVar[Source | None] = ContextVar('agentrun_source', default=None)

enter = _current.set
"""Read from a source from now on, in this context. Returns the token that `leave` takes; `use` is safer to handle."""
leave = _current.reset
"""Read again from where it was read from before `enter`."""


class use:  # noqa: N801, it reads as a verb: `with use(source):`
    """Read from `source` inside the block, in this context.

    Args:
        source: Where clock readings and ids come from.
    """

    __slots__ = ('_source', '_token')

    def __init__(self, source: Source) -> None:
        self._source = source

    def __enter__(self) -> Source:
        self._token: Token[Source | None] = _current.set(self._source)
        return self._source

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


class _Block:
    """One open `deterministic()` block: which run names it has given out."""

    __slots__ = ('_counts', 'closed', 'outer', 'outside')

    def __init__(self, outer: _Block | None) -> None:
        self.outer = outer
        self.closed = False
        self.outside: Source = LogicalSource('outside')
        self._counts: dict[str, count[int]] = {}

    def source_for(self, name: str) -> Source:
        """Return the source of the next run called `name`; from the second on the name gets a number."""
        number = next(self._counts.setdefault(name, count(1)))
        return LogicalSource(name if number == 1 else f'{name}#{number}')


# A block is process state, so that a thread without a context sees it, and a context's own, so that two concurrent
# tasks with a block each do not share numbers.
_open_blocks: list[_Block] = []
_own_block: ContextVar[_Block | None] = ContextVar('agentrun_deterministic', default=None)


def _active_block() -> _Block | None:
    if not _open_blocks:
        return None
    block = _own_block.get()
    while block is not None and block.closed:
        block = block.outer
    return block or _open_blocks[-1]


def _outside() -> Source:
    """The source of what is read outside of any run."""
    block = _active_block()
    return _LIVE if block is None else block.outside


def now() -> datetime:
    """Return the time from the current source, aware and in UTC."""
    return (_current.get() or _outside()).now()


def new_run_id() -> str:
    """Return a new run id from the current source: the text of a UUID."""
    return (_current.get() or _outside()).run_id()


def new_tool_call_id() -> str:
    """Return a new tool call id from the current source: `pyd_ai_` and 32 hex digits."""
    return (_current.get() or _outside()).tool_call_id()


def source_for_run(name: str) -> Source:
    """Return the source a run that starts here reads from.

    Args:
        name: Readable name of the run.

    Returns:
        The live source; inside `deterministic()` a logical one named like the run, numbered from the second run of
        that name on.
    """
    block = _active_block()
    return _LIVE if block is None else block.source_for(name)


@contextmanager
def deterministic() -> Generator[None]:
    """Give every run that starts inside the block, in any task or thread, logical readings in place of real ones.

    The same runs in the same order then have the same timestamps, run ids and generated tool call ids, each run its
    own, nested ones too. Messages made outside of any run show `BASE_TIME`. A run that began before the block keeps
    its readings.
    """
    block = _Block(_own_block.get())
    _own_block.set(block)  # never reset by token: the block may be left in another context than it was entered in
    _open_blocks.append(block)
    try:
        yield
    finally:
        block.closed = True
        _open_blocks.remove(block)
