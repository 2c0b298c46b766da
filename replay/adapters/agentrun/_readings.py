"""Where a recorded or replayed run reads clock and ids from."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import cast

from agentrun._ambient import BASE_TIME, LogicalSource, Source
from replay.calls import parts_of
from replay.canon import JsonObject
from replay.cassette import Node, Run


class RecordedReadings:
    """The readings that an imported history carries, in the order in which a run takes them.

    A run stamps the answers to tool calls as they arrive, then the other parts of a request in their order, then the
    request itself. Readings that the history does not hold are those of the logical clock.

    Args:
        run: The imported run.
    """

    def __init__(self, run: Run) -> None:
        requests = list(_requests(run))
        self._rest = LogicalSource(run.name)
        self._times = deque(time for request, parts in requests for time in _times(request, parts))
        self._calls = deque(
            cast('str', part['tool_call_id'])
            for _, parts in requests
            for part in parts
            if part['part_kind'] == 'retry-prompt' and part['tool_name'] is None
        )
        self._runs = deque(_run_ids(run))

    def now(self) -> datetime:
        """The next time of a part or request."""
        return self._times.popleft() if self._times else self._rest.now()

    def run_id(self) -> str:
        """The id that the run's messages carry."""
        return self._runs.popleft() if self._runs else self._rest.run_id()

    def tool_call_id(self) -> str:
        """The next id that a retry prompt outside of tool calls carries."""
        return self._calls.popleft() if self._calls else self._rest.tool_call_id()

    def request_begun(self) -> None:
        """Move the logical clock on, too."""
        self._rest.request_begun()


def source_of(run: Run | None, name: str) -> Source:
    """The source for a run: logical, unless its recording was imported and carries readings of its own."""
    return RecordedReadings(run) if run is not None and run.facts.get('imported') else LogicalSource(name)


def _requests(run: Run) -> Iterator[tuple[JsonObject, list[JsonObject]]]:
    """Requests that the run stamped, with those of their parts that it made."""
    for node in run.nodes:
        if node.message is not None and node.kind == 'ModelRequestNode':
            yield node.message, [] if node.from_history else parts_of(node.message)
        for message in _closing(node):
            yield message, parts_of(message)


def _closing(node: Node) -> list[JsonObject]:
    return [message for message in node.then if message['kind'] == 'request']


def _times(request: JsonObject, parts: list[JsonObject]) -> list[datetime]:
    answers = [part for part in parts if part['part_kind'] in {'tool-return', 'retry-prompt'}]
    others = [part for part in parts if part not in answers]
    return [*sorted(map(_time, answers)), *map(_time, others), _time(request)]


def _time(stamped: JsonObject) -> datetime:
    time = cast('str | None', stamped.get('timestamp'))
    return BASE_TIME if time is None else datetime.fromisoformat(time)


def _run_ids(run: Run) -> list[str]:
    ids = (message.get('run_id') for message in run.new_messages)
    return [cast('str', found) for found in ids if found is not None][:1]
