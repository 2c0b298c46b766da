"""Batches of tool calls: recorded as they run, or fed from the recording in its order."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic_core import PydanticSerializationError

from agentrun._effects import ToolBatch, ToolWork
from agentrun._outcomes import ToolOutcome, ToolRetried
from agentrun.messages import ModelResponse, ToolCallPart
from agentrun.usage import RunUsage
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._faults import parted, unwritable
from replay.adapters.agentrun._objects import NotFitting, is_named, name_of
from replay.adapters.agentrun._wire import restored_outcome, result_json, usage_of
from replay.canon import JsonObject, dumps
from replay.cassette import Raised, ToolResult
from replay.effects import Calls, Do, Ended, Stop
from replay.errors import ReplayError
from replay.match import ABSENT, Difference, first_difference
from replay.options import Tools
from replay.redact import has_stand_in

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
        usage: What the run counts into.
    """

    def __init__(self, conductor: RunConductor, usage: RunUsage) -> None:
        self.returned = 0
        """How many tools ran to a result."""
        self._conductor = conductor
        self._tape = conductor.tape
        self._usage = usage
        self._called = 0  # calls of the batches before this one

    async def see_through(self, batch: ToolBatch, work: ToolWork, response: ModelResponse | None) -> None:
        """Let the recorded results arrive in their recorded order, or run the tools and keep what comes.

        Args:
            batch: The calls.
            work: The means to carry them out.
            response: The response that made them.
        """
        calls = [_named(call) for call in batch.calls]
        answer = self._tape.begin(Calls(response=calls_of_response(response), calls=calls))
        if isinstance(answer, Stop):
            raise self._conductor.diverged(answer.divergence)
        if isinstance(answer, Do):
            await self._run_tools(answer.token, batch, work)
        elif all(self._how(call) == 'replay' for call in batch.calls):
            self._feed(cast('Ended', answer.outcome), batch, work)
        else:
            await self._run_again(cast('Ended', answer.outcome), batch, work)
        self._called += len(calls)

    # -- private

    async def _run_tools(self, token: int, batch: ToolBatch, work: ToolWork) -> None:
        kept = _Kept()

        async def execute(index: int) -> ToolOutcome:
            call = batch.calls[index]
            kept.started.append(index)
            try:
                with running(Within(self._tape.name, call.tool_name, self._called + index, self._usage)):
                    outcome = await work.execute(index)
                annotation = work.returns(index)
                result = result_json(call, outcome, annotation)
            except PydanticSerializationError as error:
                raise unwritable(self._conductor, f'what tool {call.tool_name!r} returned', error) from None
            except Exception as error:
                kept.end(index, ToolResult(kind='raised', raised=raised(error)))
                raise
            kept.end(index, result)
            self.returned += result.kind == 'return'
            return _as_in_a_replay(outcome, result, annotation)

        try:
            await work.perform(execute)
        finally:
            ended = Ended(started=kept.started, finished=kept.finished, results=kept.results)
            self._tape.end(token, ended)

    def _how(self, call: ToolCallPart) -> Tools:
        return self._conductor.options.tool(call.tool_name)

    async def _run_again(self, ended: Ended, batch: ToolBatch, work: ToolWork) -> None:
        """Execute what is to be executed, and let all calls arrive in the recorded order."""
        from replay.adapters.agentrun._turns import Turns  # anyio is not needed by runs that execute nothing

        missing = [call for index, call in enumerate(batch.calls) if index not in ended.results]
        failed = any(result.raised is not None for result in ended.results.values())
        if missing and not failed:
            raise self._lacks(missing[0])
        turns = None if batch.sequential else Turns(ended.finished)

        async def execute(index: int) -> ToolOutcome:
            result, call = ended.results.get(index), batch.calls[index]
            executed = self._how(call) != 'replay' and result is not None and result.raised is None
            outcome = await self._executed(index, result, call, work) if executed and result else None
            if turns is not None:
                await turns.take(index)
            return outcome or self._fed(index, result, call, work)

        await work.perform(execute)

    async def _executed(self, index: int, result: ToolResult, call: ToolCallPart, work: ToolWork) -> ToolOutcome | None:
        """Execute a call: what came of it where that is not what was recorded, else None."""
        with running(Within(self._tape.name, call.tool_name, self._called + index, self._usage)):
            outcome = await work.execute(index)
        annotation = work.returns(index)
        try:
            live = result_json(call, outcome, annotation)
        except PydanticSerializationError as error:
            raise unwritable(self._conductor, f'what tool {call.tool_name!r} returned', error) from None
        kept = self._tape.kept(Ended(started=(), finished=(), results={index: live}))
        found = first_difference(_told(result), _told(kept.results[index]), call.tool_name)
        if found is None:
            return None
        if self._how(call) == 'live':
            return _as_in_a_replay(outcome, live, annotation)
        difference = Difference(cause='tool result', field=found[0], recorded=found[1], live=found[2])
        raise parted(self._conductor, difference, 'CallToolsNode')

    def _fed(self, index: int, result: ToolResult | None, call: ToolCallPart, work: ToolWork) -> ToolOutcome:
        if result is None:
            raise self._lacks(call)
        if self._how(call) == 'replay':
            for run in self._conductor.skipped(call.tool_name, self._called + index):
                self._usage.incr(usage_of(run))
        if result.raised is not None:
            raise rebuilt(result.raised)
        return work.check(index) or self._restored(call, result, work.returns(index))

    def _feed(self, ended: Ended, batch: ToolBatch, work: ToolWork) -> None:
        failure: Raised | None = None
        for index in ended.finished:
            for run in self._conductor.skipped(batch.calls[index].tool_name, self._called + index):
                self._usage.incr(usage_of(run))
            result = ended.results.get(index)
            if result is None:
                raise self._lacks(batch.calls[index])
            if result.raised is not None:
                failure = result.raised
            else:
                checked = work.check(index)
                work.arrived(index, checked or self._restored(batch.calls[index], result, work.returns(index)))
        if failure is not None:
            raise rebuilt(failure)
        never = [call for index, call in enumerate(batch.calls) if index not in ended.finished]
        if never:
            raise self._lacks(never[0])

    def _restored(self, call: ToolCallPart, result: ToolResult, annotation: Any) -> ToolOutcome:
        """Make a recorded outcome again; a name of a type that has become another one is a difference."""
        tag, live = result.types.get('content'), name_of(annotation)
        try:
            if not is_named(tag) or tag == live:
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

    started: list[int] = field(default_factory=list[int])
    finished: list[int] = field(default_factory=list[int])
    results: dict[int, ToolResult] = field(default_factory=dict[int, ToolResult])

    def end(self, index: int, result: ToolResult) -> None:
        self.finished.append(index)
        self.results[index] = result


def _told(result: ToolResult) -> JsonObject:
    return {
        'kind': result.kind,
        'content': result.content,
        'metadata': result.metadata,
        'user_content': result.user_content,
    }


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


def _named(call: ToolCallPart) -> JsonObject:
    return {'part_kind': 'tool-call', 'tool_name': call.tool_name, 'tool_call_id': call.tool_call_id}
