"""Tool calls of one run: gathered into the batch of their response, then recorded as they run or answered.

pydantic_ai calls tools one by one, in tasks of its own; a tape knows the calls of a response together. A batch begins
with the first call that comes through and ends when the next node is about to run. Calls that never come through (their
arguments did not hold) began and ended in between, and the message that follows tells what came of them.
"""

import asyncio
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from pydantic_ai.messages import ModelResponse, ToolCallPart

from replay.adapters._cancelled import being_cancelled, is_cancellation
from replay.adapters._executed import Executed
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._breaks import stay_cut
from replay.adapters.agentrun._calls import Within, running, within
from replay.adapters.agentrun._faults import parted
from replay.adapters.agentrun._objects import NotFitting, is_named, name_of
from replay.adapters.pydantic_ai._executed import Work, executed, live_args
from replay.adapters.pydantic_ai._exits import Exits
from replay.adapters.pydantic_ai._outcomes import restored_value, stand_for
from replay.adapters.pydantic_ai._spending import BatchSpending, Spending
from replay.canon import JsonObject, dumps
from replay.cassette import ToolResult
from replay.effects import Calls, Do, Ended, Stop
from replay.errors import NotSupported, ReplayError, Where
from replay.match import ABSENT, Difference
from replay.options import Tools
from replay.redact import has_stand_in

__all__ = ('TapedCalls', 'Work')

_Event: TypeAlias = tuple[Literal['started', 'finished'], int]


class TapedCalls:
    """The tool calls of one run.

    Args:
        conductor: What the run is recorded into or replayed from.
        approved: Ids of calls of the run's history that may run now.
    """

    def __init__(self, conductor: RunConductor, *, approved: Collection[str] = ()) -> None:
        self.returned = 0
        """How many tools ran to a result."""
        self.spending = Spending()
        """What counts into the usage of the run."""
        self.kinds: dict[str, str] = {}
        """Kinds of the tools that the run has, by name; none of them makes an output."""
        self.decided_within = False
        """Whether calls that need an approval may get it, and run, within their node."""
        self._conductor = conductor
        self._tape = conductor.tape
        self._approved = approved
        self._called = 0  # calls of the batches before this one
        self._batch: _Batch | None = None

    @property
    def run(self) -> str:
        """Name of the run."""
        return self._tape.name

    @property
    def replaying(self) -> bool:
        """Whether calls are answered from the recording."""
        return self._tape.replaying

    @property
    def recorded(self) -> Mapping[str, Any]:
        """Facts of the recording; none without one."""
        return {} if self._tape.recorded is None else self._tape.recorded.facts

    def failed(self, error: ReplayError) -> ReplayError:
        """Take note of an error of recording or replay itself, and return it to be raised."""
        return self._conductor.failed(error)

    async def call(self, work: Work) -> Any:
        """Answer a call from the recording, or run the tool and keep what comes of it.

        Raises:
            ReplayError: If the run leaves its recording here, or its session is closed.
            Exception: What the tool raised, live or recorded.
        """
        self._conductor.check_open()
        inner = within.get()
        found = None if inner is not None and inner.run == self._tape.name else self._found(work)
        if found is None:  # a tool calls another one: what comes of that is the affair of the first
            return await work.do(work.args)
        batch, index = found
        batch.exits.enter(index)
        try:
            if batch.ended is None:
                return await self._recorded(batch, index, work)
            return await self._replayed(batch, index, work, batch.ended)
        finally:
            batch.exits.left(index)

    def cancelled(self) -> None:
        """The node whose calls run is left by a cancellation."""
        if self._batch is not None:
            self._batch.cut = True

    def close(self, *, broken: bool = False, failed: bool = False) -> None:
        """The calls of the response are over.

        Args:
            broken: Whether an error or a cancellation ends the run, so that calls may not have begun.
            failed: Whether that is an error: then the library itself cancelled what was still running.
        """
        batch, self._batch = self._batch, None
        if batch is None:
            return
        batch.exits.close()
        batch.end_waiting()
        self._called += len(batch.calls)
        batch.settle(self._how)
        if batch.token is not None:
            batch.cut = batch.cut and not failed
            self._tape.end(batch.token, batch.outcome(broken=broken))

    # -- private

    def _found(self, work: Work) -> tuple['_Batch', int] | None:
        """The batch and the place in it of a call; None if no response made the call."""
        response = next((one for one in reversed(work.messages) if _makes(one, work.call_id)), None)
        if not isinstance(response, ModelResponse):
            return None
        if self._batch is None or self._batch.response is not response:
            self.close()
            self._batch = self._begun(response)
        place = self._batch.place(work.call_id)
        if place is None:
            raise self.failed(
                NotSupported(
                    'a call that was put off has been taken up again within its node',
                    expected='approvals and results that are handed to the next run, as `deferred_tool_results`',
                    got=f'call {work.call_id!r}',
                    where=Where(run=self.run),
                )
            )
        return self._batch, place

    def _begun(self, response: ModelResponse) -> '_Batch':
        made = [part for part in response.parts if isinstance(part, ToolCallPart)]
        handed_in = any(call.tool_call_id in self._approved for call in made)
        calls = [call for call in made if (call.tool_call_id in self._approved if handed_in else self._runs(call))]
        named = [_named(call) for call in calls]
        answer = self._tape.begin(Calls(response={'parts': [_named(call) for call in made]}, calls=named))
        if isinstance(answer, Stop):
            raise self._conductor.diverged(answer.divergence)
        spending = self.spending.batch()
        if isinstance(answer, Do):
            exits = Exits(None, crowded=len(calls) > 1)
            return _Batch(response, calls, exits=exits, spending=spending, token=answer.token)
        ended = cast('Ended', answer.outcome)
        exits = Exits(ended.finished, crowded=len(calls) > 1)
        return _Batch(response, calls, exits=exits, spending=spending, ended=ended)

    def _runs(self, call: ToolCallPart) -> bool:
        kind = self.kinds.get(call.tool_name)
        return kind == 'function' or (kind == 'unapproved' and self.decided_within)

    def _how(self, call: ToolCallPart) -> Tools:
        return self._conductor.options.tool(call.tool_name)

    async def _recorded(self, batch: '_Batch', index: int, work: Work) -> Any:
        batch.events.append(('started', index))
        found = await self._executed(batch, index, work, work.args)
        await batch.exits.leave(index)
        batch.end(index, found.result)
        if found.came is not None:
            raise found.came
        self.returned += 1
        return restored_value(found.result, work.annotation)

    async def _executed(
        self, batch: '_Batch', index: int, work: Work, args: dict[str, Any]
    ) -> Executed[Exception | None]:
        """Run a tool; runs inside of it know the call."""
        call, spending = batch.calls[index], self.spending
        inside = Within(self._tape.name, call.tool_name, self._called + index, spending.usage, spending.depth)
        with running(inside):
            return await executed(self._conductor, call, work, args)

    async def _replayed(self, batch: '_Batch', index: int, work: Work, ended: Ended) -> Any:
        call, recorded = batch.calls[index], ended.results.get(index)
        if ended.cut and index not in ended.finished:
            return await self._cut_short(batch, index, work, ended)
        if recorded is None and not ended.failed:
            raise self._lacks(call.tool_name)
        if self._how(call) == 'replay':
            batch.spending.skip(self._conductor.skipped(call.tool_name, self._called + index))
            live = None
        else:
            live = await self._run_again(batch, index, work, ended)
        await batch.exits.leave(index)
        if live is not None and live.came is not None:
            raise live.came
        given = recorded if live is None else live.respelt
        if given is None:
            raise self._lacks(call.tool_name)
        self.returned += given.kind == 'return'
        return self._given(call.tool_name, given, work.annotation)

    async def _cut_short(self, batch: '_Batch', index: int, work: Work, ended: Ended) -> Any:
        """Wait to be cancelled, as the recorded call was; perhaps it ended all the same then."""
        call, recorded = batch.calls[index], ended.results.get(index)
        if self._how(call) == 'replay':
            batch.spending.skip(self._conductor.skipped(call.tool_name, self._called + index))
        else:
            live = await self._executed(batch, index, work, live_args(self._tape, call, work))
            if batch.cut or being_cancelled():
                recorded = live.respelt if recorded is None else recorded
                return self._given(call.tool_name, recorded, work.annotation)
        try:
            with batch.waiting_for_the_end():
                return await stay_cut(self._conductor)
        except BaseException as error:
            if recorded is None or not is_cancellation(error):
                raise
        return self._given(call.tool_name, recorded, work.annotation)

    async def _run_again(
        self, batch: '_Batch', index: int, work: Work, ended: Ended
    ) -> Executed[Exception | None] | None:
        """Execute a call of a replay: what came of it where that is not what was recorded, else None.

        A recording that ends in an error of the batch has no next request to find a difference at: it is told now.
        """
        call, recorded = batch.calls[index], ended.results.get(index)
        live = await self._executed(batch, index, work, live_args(self._tape, call, work))
        found = None if recorded is None else live.difference(recorded)
        if found is None:  # the same; or the recorded call was ended by an error of another one
            return None
        asks = self.decided_within and live.result.kind in {'unapproved', 'external'}
        if asks or (self._how(call) == 'live' and not ended.failed):  # what is decided comes through again
            return live
        difference = Difference(cause='tool result', field=found[0], recorded=found[1], live=found[2])
        raise parted(self._conductor, difference, 'CallToolsNode')

    def _given(self, name: str, result: ToolResult, annotation: Any) -> Any:
        """A recorded outcome; a name of a type that has become another one is a difference."""
        if result.kind != 'return':
            stand_for(result)
        tag, live = result.types.get('content'), name_of(annotation)
        try:
            if not is_named(tag) or tag == live:
                return restored_value(result, annotation)
        except NotFitting as error:
            if has_stand_in(dumps([result.content, result.metadata]).decode()):
                return restored_value(replace(result, types={}), annotation)
            live = str(error)
        difference = Difference(cause='tool result', field=name, recorded=tag, live=live)
        raise parted(self._conductor, difference, 'CallToolsNode')

    def _lacks(self, name: str) -> ReplayError:
        difference = Difference(cause='tool result', field=name, recorded=ABSENT, live='called')
        return parted(self._conductor, difference, 'CallToolsNode')


@dataclass(slots=True)
class _Batch:
    """The calls of a response, and what came of them so far."""

    response: ModelResponse
    calls: list[ToolCallPart]
    exits: Exits = field(kw_only=True)
    spending: BatchSpending = field(kw_only=True)
    token: int | None = field(default=None, kw_only=True)
    """Of the tape, while the batch is recorded."""
    ended: Ended | None = field(default=None, kw_only=True)
    """What the recording has, in a replay."""
    events: list[_Event] = field(default_factory=list[_Event], init=False)
    results: dict[int, ToolResult] = field(default_factory=dict[int, ToolResult], init=False)
    cut: bool = field(default=False, init=False)
    """Whether the node was cancelled."""
    _came: set[int] = field(default_factory=set[int], init=False)
    _late: set[int] = field(default_factory=set[int], init=False)
    _waiting: 'set[asyncio.Task[Any]]' = field(default_factory=set['asyncio.Task[Any]'], init=False)

    def place(self, call_id: str) -> int | None:
        """The place of a call that came through: the first of this id that did not yet, else the last."""
        places = [index for index, call in enumerate(self.calls) if call.tool_call_id == call_id]
        if not places:
            return None
        found = next((index for index in places if index not in self._came), places[-1])
        self._came.add(found)
        return found

    def end(self, index: int, result: ToolResult) -> None:
        """Take note of what came of a call. What came last counts, where a call came through again."""
        spent = self.spending.since()
        self.results[index] = replace(result, usage=spent) if spent else result
        self.events = [event for event in self.events if event != ('finished', index)]
        self.events.append(('finished', index))
        if self.cut or being_cancelled():  # its node was left before it, where the library lets tools run on
            self._late.add(index)

    @contextmanager
    def waiting_for_the_end(self) -> Generator[None]:
        """A block in which a call waits to be cancelled: by those who cancel the run, or at least with the batch.

        Some versions of the library leave the tasks of tools running when they are cancelled themselves.
        """
        task = cast('asyncio.Task[Any]', asyncio.current_task())
        self._waiting.add(task)
        try:
            yield
        finally:
            self._waiting.discard(task)

    def end_waiting(self) -> None:
        """Cancel the calls that wait for it."""
        for task in self._waiting:
            task.cancel()

    def settle(self, how: Callable[[ToolCallPart], Tools]) -> None:
        """Count or note what is left when all calls have ended.

        Args:
            how: Tells of a call whether it is replayed.
        """
        if self.ended is not None:
            if any(how(call) == 'replay' for call in self.calls):  # which call counted what is not always known
                self.spending.count(self.ended.results.values())
            return
        spent = self.spending.since()
        if spent and self.results:
            last = next(reversed(self.results))
            self.results[last] = replace(
                self.results[last], usage=self.spending.joined(self.results[last].usage, spent)
            )

    def outcome(self, *, broken: bool) -> Ended:
        """What came of the batch."""
        came = {index for _, index in self.events}
        broken = broken or any(index not in self.results for index in came)
        for index in range(len(self.calls)):
            if index not in came and not broken:
                at = _place_of(self.events, index)
                self.events[at:at] = [('started', index), ('finished', index)]
        started = dict.fromkeys(index for kind, index in self.events if kind == 'started')
        finished = [index for kind, index in self.events if kind == 'finished']
        if not self.cut:
            return Ended(started=list(started), finished=finished, results=self.results)
        results = {index: result for index, result in self.results.items() if result.raised is None}
        finished = [index for index in finished if index in results and index not in self._late]
        return Ended(started=list(started), finished=finished, results=results, cut=True)


def _place_of(events: Sequence[_Event], index: int) -> int:
    """Where a call that ended as soon as it began belongs among events: in call order by its beginning."""
    later = next((at for at, (kind, other) in enumerate(events) if kind == 'started' and other > index), None)
    if later is not None:
        return later
    last = max((at for at, (kind, _) in enumerate(events) if kind == 'started'), default=-1)
    ended_at_once = events[last + 1 : last + 2] == [('finished', events[last][1])]
    return last + 1 + ended_at_once


def _makes(message: object, call_id: str) -> bool:
    parts = message.parts if isinstance(message, ModelResponse) else ()
    return any(isinstance(part, ToolCallPart) and part.tool_call_id == call_id for part in parts)


def _named(call: ToolCallPart) -> JsonObject:
    return {'part_kind': 'tool-call', 'tool_name': call.tool_name, 'tool_call_id': call.tool_call_id}
