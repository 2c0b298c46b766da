"""The logical clock and ids of a recorded run: readings that depend on nothing but the run itself.

Time is a constant base plus one second for each model request that has begun, so that it does not matter in which order
parallel tools end. Ids come from the run's name and a counter. Readings that equal these are left out of a cassette.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import NAMESPACE_OID, UUID, uuid5

BASE = datetime(2000, 1, 1, tzinfo=UTC)
"""The clock before the first request."""


def time(requests: int) -> datetime:
    """Read the clock after a number of model requests have begun; a request counts before its own time is read."""
    return BASE + timedelta(seconds=requests)


@lru_cache(maxsize=4096)
def stamp(requests: int) -> str:
    """The reading as messages write it: `2000-01-01T00:00:01Z`."""
    return wire_time(time(requests))


def identifier(run: str, kind: str, counter: int) -> UUID:
    """Make an id.

    Args:
        run: Name of the run in the cassette.
        kind: `run`, `call` or `conversation`.
        counter: Number of this id among those of its kind in the run, from 1.
    """
    return uuid5(NAMESPACE_OID, f'{run}/{kind}/{counter}')


def run_id(run: str) -> str:
    """The run's own id, as its messages carry it."""
    return str(identifier(run, 'run', 1))


def conversation_id(run: str) -> str:
    """The id of the conversation that begins with a run."""
    return str(identifier(run, 'conversation', 1))


def call_id(run: str, counter: int) -> str:
    """A generated tool-call id, as in pydantic-ai 1.38: `pyd_ai_` and 32 hex digits."""
    return f'pyd_ai_{identifier(run, "call", counter).hex}'


def wire_time(moment: datetime) -> str:
    """Write a time with an offset as pydantic does: six digits of fraction or none, `Z` for UTC."""
    return moment.isoformat().replace('+00:00', 'Z')
