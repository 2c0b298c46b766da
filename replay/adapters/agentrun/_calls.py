"""Batches of tool calls: recorded as they run, or fed from the recording in its order."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any, NoReturn, cast

from pydantic_core import PydanticSerializationError

from agentrun._effects import ToolBatch, ToolWork, stops_run
from agentrun._outcomes import ToolOutcome, ToolRetried, ToolReturned
from agentrun.messages import ModelResponse, ToolCallPart
from agentrun.usage import RunUsage
from replay.adapters._cancelled import being_cancelled, is_cancellation
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._breaks import stay_cut
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._executed import executed
from replay.adapters.agentrun._faults import parted, unwritable
from replay.adapters.agentrun._objects import NotFitting, is_named, name_of
from replay.adapters.agentrun._spending import Account, Spent, joined, lacking, spend
from replay.adapters.agentrun._wire import restored_outcome, result_json
from replay.canon import JsonObject, dumps
from replay.cassette import ToolResult
from replay.effects import Calls, Do, Ended, Stop
from replay.errors import ReplayError
from replay.match import ABSENT, Difference
from replay.options import Tools
from replay.redact import has_stand_in

if TYPE_CHECKING:
    from replay.adapters.agentrun._turns import Turns

__all__ = ('TapedCalls', 'Within', 'calls_of_response', 'running', 'running_tool', 'within')


@dataclass(frozen=True, slots=True)
class Within:
    """The tool call that runs here."""

    run: str
    tool: str
    call: int
    """Its number among all calls that the run made, from 0."""
    usage: RunUsage
    """What its run counts into."""
    depth: int
    """How many runs around the call count into that, its run included."""


within: ContextVar[Within | None] = ContextVar('replay_within', default=None)


def running_tool() -> tuple[str, str] | None:
    """Name of the run and of its tool that is running in this context; None outside of tools."""
    call = within.get()
    return None if call is None else (call.run, call.tool)


@contextmanager
def running(call: Within) -> Generator[None]:
    """Let runs that start in the block know the call that they belong to."""
    token = within.set(call)
    try:
        yield
    finally:
        within.reset(token)


class TapedCalls:
    """The tool calls of one run.

    Args:
        conductor: What the run is recorded into or replayed from.
        account: Of the usage that the run counts into.
        depth: How many runs around its calls count into that, the run included.
    """

    def __init__(self, conductor: RunConductor, account: Account, depth: int) -> None:
        self.returned = 0
        """How many tools ran to a result."""
        self._conductor = conductor
        self._tape = conductor.tape
        self._executes = conductor.options.runs_tools
        self._account = account
        self._depth = depth
        self._called = 0  # calls of the batches before this one

    async def see_through(self, batch: ToolBatch, work: ToolWork, response: ModelResponse | None) -> None:
        """Let the recorded results arrive in their recorded order, or run the tools and keep what comes.

        Args:
            batch: The calls.
            work: The means to carry them out.
            response: The response that made them.
        """
        made = calls_of_response(response)
        calls = _named_of(batch.calls, response, made)
        answer = self._tape.begin(Calls(response=made, calls=calls))
        if isinstance(answer, Stop):
            raise self._conductor.diverged(answer.divergence)
        if isinstance(answer, Do):
            await self._run_tools(answer.token, batch, work)
        elif not self._executes or all(self._how(call) == 'replay' for call in batch.calls):
            ended = cast('Ended', answer.outcome)
            self._feed(ended, batch, work)
            if ended.cut:
                await self._stay_cut(lambda: self._feed_late(ended, batch, work))
        else:
            await self._run_again(cast('Ended', answer.outcome), batch, work)
        self._called += len(calls)

    # -- private

    async def _run_tools(self, token: int, batch: ToolBatch, work: ToolWork) -> None:
        kept = _Kept(Spent(self._account, self._depth))

        async def execute(index: int) -> ToolOutcome:
            call = batch.calls[index]
            kept.started.append(index)
            try:
                with running(self._within(call, index)):
                    outcome = await work.execute(index)
                annotation = work.returns(index)
                result = result_json(call, outcome, annotation)
            except PydanticSerializationError as error:
                raise unwritable(self._conductor, f'what tool {call.tool_name!r} returned', error) from None
            except Exception as error:
                kept.end(index, ToolResult(kind='raised', raised=raised(error)))
                raise
            kept.end(index, result)
            self._count(result)
            return _as_in_a_replay(outcome, result, annotation)

        cut = False
        try:
            await work.perform(execute)
        except BaseException as error:
            cut = is_cancellation(error)
            raise
        finally:
            kept.close()
            self._tape.end(token, kept.ended(cut=cut))

    def _how(self, call: ToolCallPart) -> Tools:
        return self._conductor.options.tool(call.tool_name)

    def _within(self, call: ToolCallPart, index: int) -> Within:
        return Within(self._tape.name, call.tool_name, self._called + index, self._account.usage, self._depth)

    async def _run_again(self, ended: Ended, batch: ToolBatch, work: ToolWork) -> None:
        """Execute what is to be executed, and let all calls arrive in the recorded order."""
        spent = Spent(self._account, self._depth)
        run = self._run_cut if ended.cut else self._run_ended if ended.failed else self._run_whole
        try:
            await run(ended, batch, work)
        finally:
            due = [one.usage for one in ended.results.values()]
            if any(self._how(call) == 'replay' for call in batch.calls):  # which call counted what is not always known
                spend(self._account.usage, lacking(due, spent.since()))

    async def _run_whole(self, ended: Ended, batch: ToolBatch, work: ToolWork) -> None:
        """Execute calls all of which came to an end when they were recorded."""
        from replay.adapters.agentrun._turns import Turns  # anyio is not needed by runs that execute nothing

        turns = None if batch.sequential else Turns(ended.finished)
        await work.perform(partial(self._run_one, ended, batch, work, turns))

    async def _run_one(
        self, ended: Ended, batch: ToolBatch, work: ToolWork, turns: 'Turns | None', index: int
    ) -> ToolOutcome:
        result, call = ended.results.get(index), batch.calls[index]
        executes = self._how(call) != 'replay' and result is not None
        found = await self._executed(index, ended, call, work) if executes else None
        if turns is not None:
            await turns.take(index)
        if isinstance(found, Exception):
            raise found
        return found or self._fed(index, result, call, work)

    async def _run_cut(self, ended: Ended, batch: ToolBatch, work: ToolWork) -> None:
        """Execute calls of a batch that was cancelled: those that had ended by then end, the others wait for that."""
        from replay.adapters.agentrun._turns import Turns

        turns = Turns(ended.finished) if ended.finished and not batch.sequential else None

        async def execute(index: int) -> ToolOutcome:
            if index in ended.finished:
                return await self._run_one(ended, batch, work, turns, index)
            return await self._run_into_cut(ended, batch, work, index)

        await work.perform(execute)
        await self._stay_cut()

    async def _run_into_cut(self, ended: Ended, batch: ToolBatch, work: ToolWork, index: int) -> ToolOutcome:
        """Execute a call that had not ended, and wait to be cancelled; perhaps it ends all the same then."""
        result, call = ended.results.get(index), batch.calls[index]
        if self._how(call) == 'replay' or index not in ended.started:
            await self._stay_cut(lambda: None if result is None else self._feed_late(ended, batch, work, index))
        with running(self._within(call, index)):
            live = await executed(self._conductor, call, work, index)
        if not being_cancelled():
            await self._stay_cut()
        if isinstance(live.came, Exception):
            raise live.came
        return live.came if result is None else self._fed(index, result, call, work)

    async def _stay_cut(self, end: Callable[[], None] = lambda: None) -> NoReturn:
        """Wait to be cancelled as the recorded batch was, and stop a run that nobody cancels.

        Args:
            end: Called when it is cancelled.
        """
        try:
            await stay_cut(self._conductor)
        except BaseException as error:
            if is_cancellation(error):
                end()
            raise

    def _feed_late(self, ended: Ended, batch: ToolBatch, work: ToolWork, *some: int) -> None:
        """Let calls arrive that ended when they had been cancelled. What is wrong with them, nobody sees any more."""
        for index in some or sorted(ended.results.keys() - set(ended.finished)):
            spend(self._account.usage, ended.results[index].usage)
            with suppress(Exception):
                work.arrived(index, self._fed(index, ended.results[index], batch.calls[index], work))

    async def _run_ended(self, ended: Ended, batch: ToolBatch, work: ToolWork) -> None:
        """Execute calls of a batch that an error ended, but those that it cut short; then let what was recorded arrive.

        Which calls had ended before the error reached them is a matter of microseconds, so none is let go by it.
        """
        from replay.adapters.agentrun._turns import side_by_side

        again = [index for index in sorted(ended.results) if self._how(batch.calls[index]) != 'replay']
        executions = [partial(self._executed, index, ended, batch.calls[index], work) for index in again]
        await side_by_side(executions, one_by_one=batch.sequential)
        self._feed(ended, batch, work, spends=False)

    async def _executed(
        self, index: int, ended: Ended, call: ToolCallPart, work: ToolWork
    ) -> ToolOutcome | Exception | None:
        """Execute a call: what came of it where that is not what was recorded, else None.

        A recording that ends in an error of the batch has no next request to find a difference at: it is told now.
        """
        with running(self._within(call, index)):
            live = await executed(self._conductor, call, work, index)
        found = live.difference(ended.results[index])
        if found is None:
            return None
        came, goes_on = live.came, not ended.failed and self._how(call) == 'live'
        if goes_on and isinstance(came, Exception):
            return came
        if goes_on and not isinstance(came, Exception):
            self._count(live.result)
            return _as_in_a_replay(came, live.respelt, work.returns(index))
        difference = Difference(cause='tool result', field=found[0], recorded=found[1], live=found[2])
        raise parted(self._conductor, difference, 'CallToolsNode')

    def _fed(self, index: int, result: ToolResult | None, call: ToolCallPart, work: ToolWork) -> ToolOutcome:
        if result is None:
            raise self._lacks(call)
        if not self._executes or self._how(call) == 'replay':
            self._skip(index, call)
        if result.raised is not None:
            raise rebuilt(result.raised)
        self._count(result)
        return work.check(index) or self._restored(index, result, call, work)

    def _count(self, result: ToolResult) -> None:
        """Count a tool that returned, as the run does."""
        self.returned += result.kind == 'return'
        self._account.calls += result.kind == 'return'

    def _skip(self, index: int, call: ToolCallPart) -> None:
        """Count the runs inside of a call as played, and what they used."""
        for run in self._conductor.skipped(call.tool_name, self._called + index):
            self._account.skip(run)

    def _skip_forestalled(self, ended: Ended, batch: ToolBatch) -> None:
        """Count the runs inside of calls that an error of another call ended."""
        for index, call in enumerate(batch.calls):
            if index not in ended.results:
                self._skip(index, call)

    def _feed(self, ended: Ended, batch: ToolBatch, work: ToolWork, *, spends: bool = True) -> None:
        """Let recorded calls arrive. The first error is raised when all have: others ended before it was seen."""
        if len(ended.results) < len(batch.calls):
            self._skip_forestalled(ended, batch)
        failures: list[Exception] = []
        for index in ended.finished:
            result = ended.results.get(index)
            if spends and result is not None and result.usage:
                spend(self._account.usage, result.usage)
            try:
                work.arrived(index, self._fed(index, result, batch.calls[index], work))
            except Exception as error:
                if stops_run(error):
                    raise
                failures.append(error)
        if failures:
            raise failures[0]
        if len(ended.finished) < len(batch.calls) and not ended.cut:
            never = next(call for index, call in enumerate(batch.calls) if index not in ended.finished)
            raise self._lacks(never)

    def _restored(self, index: int, result: ToolResult, call: ToolCallPart, work: ToolWork) -> ToolOutcome:
        """Make a recorded outcome again; a name of a type that has become another one is a difference."""
        tag = result.types.get('content') if result.types else None
        plain = tag is None and result.kind == 'return' and type(result.content) is str
        if plain and result.metadata is None and result.user_content is None:  # as nearly all are
            return ToolReturned(result.content)
        annotation = work.returns(index) if is_named(tag) else Any
        live = name_of(annotation) if is_named(tag) else tag
        try:
            if tag == live:
                return restored_outcome(result, annotation)
        except NotFitting as error:
            if has_stand_in(dumps([result.content, result.metadata]).decode()):
                return restored_outcome(replace(result, types={}))
            live = str(error)
        difference = Difference(cause='tool result', field=call.tool_name, recorded=tag, live=live)
        raise parted(self._conductor, difference, 'CallToolsNode') from None

    def _lacks(self, call: ToolCallPart) -> ReplayError:
        difference = Difference(cause='tool result', field=call.tool_name, recorded=ABSENT, live='called')
        return parted(self._conductor, difference, 'CallToolsNode')


@dataclass(slots=True)
class _Kept:
    """What came of the calls of a batch so far."""

    spent: Spent
    late: set[int] = field(default_factory=set[int])
    """Calls that ended after they had been cancelled."""
    started: list[int] = field(default_factory=list[int])
    finished: list[int] = field(default_factory=list[int])
    results: dict[int, ToolResult] = field(default_factory=dict[int, ToolResult])

    def end(self, index: int, result: ToolResult) -> None:
        spent = self.spent.since()
        self.finished.append(index)
        self.results[index] = replace(result, usage=spent) if spent else result
        if being_cancelled():
            self.late.add(index)

    def ended(self, *, cut: bool) -> Ended:
        """What came of the batch. An error beside a cancellation is one that nobody sees."""
        if not cut:
            return Ended(started=self.started, finished=self.finished, results=self.results)
        results = {index: result for index, result in self.results.items() if result.raised is None}
        finished = [index for index in self.finished if index in results and index not in self.late]
        return Ended(started=self.started, finished=finished, results=results, cut=True)

    def close(self) -> None:
        """Note what is left when all calls have ended, at the one that ended last."""
        spent = self.spent.since()
        if spent and self.finished:
            last = self.finished[-1]
            self.results[last] = replace(self.results[last], usage=joined([self.results[last].usage, spent]))


def _as_in_a_replay(outcome: ToolOutcome, result: ToolResult, annotation: Any) -> ToolOutcome:
    """What a replay will give the run, so that the recording sees the same; the error behind a retry is kept."""
    found = restored_outcome(result, annotation)
    if isinstance(found, ToolRetried) and isinstance(outcome, ToolRetried):
        return ToolRetried(found.content, outcome.error)
    return found


def calls_of_response(response: ModelResponse | None) -> JsonObject:
    """As much of a response as tells its calls apart."""
    parts: Sequence[object] = response.parts if response is not None else ()
    return {'parts': [_named(part) for part in parts if isinstance(part, ToolCallPart)]}


def _named_of(calls: Sequence[ToolCallPart], response: ModelResponse | None, made: JsonObject) -> list[JsonObject]:
    """What tells calls apart: the very same objects as in the response, if they are all that it made."""
    if response is not None and len(calls) == len(response.parts) and all(map(is_, calls, response.parts)):
        return cast('list[JsonObject]', made['parts'])
    return [_named(call) for call in calls]


def _named(call: ToolCallPart) -> JsonObject:
    return {'part_kind': 'tool-call', 'tool_name': call.tool_name, 'tool_call_id': call.tool_call_id}
