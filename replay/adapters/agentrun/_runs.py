"""Record and replay at agentrun's seam: effects in wire form to the tape, its answers back as outcomes."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar, cast

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from agentrun._ambient import Source
from agentrun._core._nodes import CallToolsNode, ModelRequestNode, UserPromptNode
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart, ToolBatch, ToolWork
from agentrun._outcomes import ToolOutcome
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart
from agentrun.models._base import StreamedResponse
from agentrun.usage import RequestUsage, RunUsage
from replay.adapters._protocol import Conductor, RunConductor, Started
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._readings import source_of
from replay.adapters.agentrun._streaming import Notes, RecordedStreaming, ReplayedStreaming
from replay.adapters.agentrun._wire import (
    Definitions,
    deferred_json,
    message_bytes,
    message_json,
    messages_bytes,
    prompt_json,
    restored_outcome,
    restored_response,
    result_json,
    usage_of,
)
from replay.canon import JsonObject
from replay.cassette import Raised, ToolResult
from replay.effects import Answered, Calls, Count, Counted, Cut, Do, Ended, Failed, Finish, Request, Stop
from replay.errors import NotRestorable, ReplayError, Where
from replay.match import ABSENT, Difference, locate

_Answer = TypeVar('_Answer')


@dataclass(frozen=True, slots=True)
class _Within:
    """The tool call that runs here."""

    run: str
    tool: str
    call: int
    """Its number among all calls that the run made, from 0."""
    usage: RunUsage
    """What its run counts into."""


_within: ContextVar[_Within | None] = ContextVar('replay_within', default=None)


def running_tool() -> tuple[str, str] | None:
    """Name of the run and of its tool that is running in this context; None outside of tools."""
    within = _within.get()
    return None if within is None else (within.run, within.tool)


class SessionHandler:
    """Asks a conductor about each run that starts, and carries the run out as its tape says."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def start(self, run: RunStart) -> RunHandler | None:
        """Take on a run that the conductor takes on."""
        usual = run.end_strategy == 'early'
        within = _within.get()
        found = self._conductor.start(
            Started(
                agent=run.agent_name,
                within=None if within is None else (within.run, within.tool),
                prompt=prompt_json(run.prompt),
                history=lambda: list(map(message_json, run.history)),
                facts={} if usual else {'end_strategy': run.end_strategy},
            )
        )
        return None if found is None else TapedRun(found, run, within)


class TapedRun:
    """A run whose effects a tape records or replays.

    Args:
        conductor: What the run is recorded into or replayed from.
        start: What is known of the run.
        within: The tool call that started it, if one did.
    """

    def __init__(self, conductor: RunConductor, start: RunStart, within: _Within | None) -> None:
        self.source: Source = source_of(conductor.tape.run, conductor.tape.name)
        self._conductor = conductor
        self._tape = conductor.tape
        self._deferred = deferred_json(start.deferred_tool_results)
        self._definitions = Definitions()
        self._sent: list[ModelMessage] = []
        self._request: ModelRequest | None = None
        self._response: ModelResponse | None = None
        self._usage = start.usage
        self._counted_in = within.call if within is not None and within.usage is start.usage else None
        self._called = 0  # calls of the batches before this one
        self._returned = 0  # tools that ran to a result

    def node(self, node: object) -> None:
        """Tell the tape of a node; the run stops where it leaves its recording."""
        self._conductor.check_open()
        kind = type(node).__name__
        facts: JsonObject = {}
        match node:
            case UserPromptNode():
                facts['deferred_tool_results'] = self._deferred
            case ModelRequestNode(request=request):
                self._request = request
            case CallToolsNode(model_response=response):
                self._response = response
            case _:
                pass
        self._go_on(self._tape.node(kind, **facts))

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        """Answer a request from the recording, or ask the model and keep its answer as it came."""
        self._conductor.check_open()
        answer = self._go_on(self._tape.begin(self._effect(call)))
        if isinstance(answer, Do):
            self._conductor.went_live()
            try:
                response = await do()
                written = message_json(response)
            except PydanticSerializationError as error:
                raise self._unwritable('a response of the model', error) from None
            except Exception as error:
                self._tape.end(answer.token, Failed(raised=raised(error)))
                raise
            self._tape.end(answer.token, Answered(message=written))
            return response
        if isinstance(answer.outcome, Failed):
            raise rebuilt(answer.outcome.raised)
        return restored_response(cast('Answered', answer.outcome).message)

    def stream(
        self, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Let the recorded stream pass again, or the model's, and keep what passes."""
        self._conductor.check_open()
        answer = self._go_on(self._tape.begin(self._effect(call, streamed=True)))
        if not isinstance(answer, Do):
            outcome = cast('Answered | Failed | Cut', answer.outcome)
            self._response = restored_response(outcome.message) if isinstance(outcome, Answered) else None
            return ReplayedStreaming(outcome, call.parameters, self._read_on)
        notes = Notes(
            tape=self._tape,
            token=answer.token,
            went_live=self._conductor.went_live,
            answered=self._keep_response,
            unwritable=self._unwritable,
        )
        return RecordedStreaming(do, notes, call.parameters)

    async def count_tokens(self, call: ModelCall, do: Callable[[], Awaitable[RequestUsage]]) -> RequestUsage:  # noqa: ARG002, counted is what the request that follows compares
        """Answer a count from the recording, or let the model count and keep the sum."""
        self._conductor.check_open()
        answer = self._go_on(self._tape.begin(Count()))
        if isinstance(answer, Do):
            try:
                usage = await do()
            except Exception as error:
                self._tape.end(answer.token, Failed(raised=raised(error)))
                raise
            self._tape.end(answer.token, Counted(usage=to_jsonable_python(usage)))
            return usage
        if isinstance(answer.outcome, Failed):
            raise rebuilt(answer.outcome.raised)
        return TypeAdapter(RequestUsage).validate_python(cast('Counted', answer.outcome).usage)

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        """Let the recorded results arrive in their recorded order, or run the tools and keep what comes."""
        self._conductor.check_open()
        calls = [_named(call) for call in batch.calls]
        answer = self._go_on(self._tape.begin(Calls(response=calls_of_response(self._response), calls=calls)))
        if isinstance(answer, Do):
            await self._run_tools(answer.token, batch, work)
        else:
            self._feed(cast('Ended', answer.outcome), batch, work)
        self._called += len(calls)

    def finished(self, end: RunEnd) -> None:
        """Tell the tape how the run was left."""
        error = end.error if isinstance(end.error, Exception) and not isinstance(end.error, ReplayError) else None
        try:
            messages = messages_bytes(end.messages)
        except PydanticSerializationError as fault:
            self._unwritable('a message of the run', fault)
            self._conductor.ended(b'', end.new_from)
            return
        facts: JsonObject = {}
        if self._counted_in is not None:
            facts['counted_in'] = {'call': self._counted_in, 'tool_calls': self._returned}
        left = None if error is None else raised(error)
        self._tape.finish(Finish(messages=messages, new_from=end.new_from, raised=left, facts=facts))
        self._conductor.ended(messages, end.new_from)

    # -- private

    def _go_on(self, answer: _Answer | Stop) -> _Answer:
        if isinstance(answer, Stop):
            raise self._conductor.diverged(answer.divergence)
        return answer

    def _unwritable(self, what: str, error: PydanticSerializationError) -> ReplayError:
        return self._conductor.failed(
            NotRestorable(
                f'{what} holds what JSON cannot',
                expected='what JSON can hold: text, numbers, truth values, lists, objects, and what dumps to them',
                got=str(error),
                where=Where(run=self._tape.name, node=f'{self._tape.at} {self._tape.kinds[-1]}'),
                next=('return something else, or return text',),
            )
        )

    def _keep_response(self, response: ModelResponse) -> None:
        self._response = response

    def _read_on(self) -> NoReturn:
        difference = Difference(cause='order', field='stream', recorded='left here', live='read on')
        raise self._parted(difference, 'ModelRequestNode')

    def _effect(self, call: ModelCall, *, streamed: bool = False) -> Request:
        try:
            return self._request_of(call, streamed=streamed)
        except PydanticSerializationError as error:
            raise self._unwritable('a message of the run', error) from error

    def _request_of(self, call: ModelCall, *, streamed: bool) -> Request:
        """Write down what is new in a request; everything, if what the model was sent before no longer stands."""
        messages, count = call.messages, len(self._sent)
        appended = len(messages) > count and all(map(_is_same, messages, self._sent))
        fresh = messages[count:] if appended else messages
        self._sent = list(messages)
        own = self._request if self._request is not None else cast('ModelRequest', messages[-1])
        sent = [message_bytes(message) for message in fresh]
        message = sent[-1] if own is messages[-1] else message_bytes(own)
        definition = self._definitions.of(call, own.instructions)
        inside = call.model.model_name if call.inside else None
        return Request(
            message=message, sent=sent, appended=appended, definition=definition, inside=inside, streamed=streamed
        )

    async def _run_tools(self, token: int, batch: ToolBatch, work: ToolWork) -> None:
        kept = _Kept()

        async def execute(index: int) -> ToolOutcome:
            call = batch.calls[index]
            kept.started.append(index)
            try:
                with _running(_Within(self._tape.name, call.tool_name, self._called + index, self._usage)):
                    outcome = await work.execute(index)
                result = result_json(call, outcome)
            except PydanticSerializationError as error:
                raise self._unwritable(f'what tool {call.tool_name!r} returned', error) from None
            except Exception as error:
                kept.end(index, ToolResult(kind='raised', raised=raised(error)))
                raise
            kept.end(index, result)
            self._returned += result.kind == 'return'
            return outcome

        try:
            await work.perform(execute)
        finally:
            ended = Ended(started=kept.started, finished=kept.finished, results=kept.results)
            self._tape.end(token, ended)

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
                work.arrived(index, work.check(index) or restored_outcome(result))
        if failure is not None:
            raise rebuilt(failure)
        never = [call for index, call in enumerate(batch.calls) if index not in ended.finished]
        if never:
            raise self._lacks(never[0])

    def _lacks(self, call: ToolCallPart) -> ReplayError:
        difference = Difference(cause='tool result', field=call.tool_name, recorded=ABSENT, live='called')
        return self._parted(difference, 'CallToolsNode')

    def _parted(self, difference: Difference, kind: str) -> ReplayError:
        tape = self._tape
        tape.divergence = locate(difference, run=tape.name, agent=tape.agent, node=tape.at, kind=kind)
        return self._conductor.diverged(tape.divergence)


@dataclass(slots=True)
class _Kept:
    """What came of the calls of a batch so far."""

    started: list[int] = field(default_factory=list[int])
    finished: list[int] = field(default_factory=list[int])
    results: dict[int, ToolResult] = field(default_factory=dict[int, ToolResult])

    def end(self, index: int, result: ToolResult) -> None:
        self.finished.append(index)
        self.results[index] = result


@contextmanager
def _running(call: _Within) -> Generator[None]:
    token = _within.set(call)
    try:
        yield
    finally:
        _within.reset(token)


def _named(call: ToolCallPart) -> JsonObject:
    return {'part_kind': 'tool-call', 'tool_name': call.tool_name, 'tool_call_id': call.tool_call_id}


def calls_of_response(response: ModelResponse | None) -> JsonObject:
    """As much of a response as tells its calls apart."""
    parts: Sequence[object] = response.parts if response is not None else ()
    return {'parts': [_named(part) for part in parts if isinstance(part, ToolCallPart)]}


def _is_same(one: object, other: object) -> bool:
    return one is other
