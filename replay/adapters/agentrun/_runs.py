"""Record and replay at agentrun's seam: effects in wire form to the tape, its answers back as outcomes."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from agentrun._ambient import Source
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart, ToolBatch, ToolWork
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse
from agentrun.models._base import StreamedResponse
from agentrun.usage import RequestUsage
from replay.adapters._cancelled import let_others_come
from replay.adapters._protocol import Conductor, RunConductor, Started
from replay.adapters._spelling import put_back, put_back_all
from replay.adapters.agentrun._breaks import broken_off, ended_otherwise, left, to_begin
from replay.adapters.agentrun._calls import TapedCalls, Within, within
from replay.adapters.agentrun._errors import raised
from replay.adapters.agentrun._faults import unwritable
from replay.adapters.agentrun._readings import source_of
from replay.adapters.agentrun._spending import account_of
from replay.adapters.agentrun._streaming import Notes, RecordedStreaming, ReplayedStreaming
from replay.adapters.agentrun._wire import (
    Definitions,
    Responses,
    as_in_a_replay,
    deferred_json,
    message_bytes,
    message_json,
    messages_bytes,
    prompt_json,
    restored_messages,
)
from replay.canon import JsonObject
from replay.cassette import CUT
from replay.effects import Answered, Count, Counted, Cut, Do, Failed, Finish, Replay, Request, Stop, Wait
from replay.errors import ReplayError

if TYPE_CHECKING:
    from agentrun._core._nodes import CallToolsNode, ModelRequestNode

_Answer = TypeVar('_Answer')


class SessionHandler:
    """Asks a conductor about each run that starts, and carries the run out as its tape says."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def start(self, run: RunStart) -> RunHandler | None:
        """Take on a run that the conductor takes on."""
        usual = run.end_strategy == 'early'
        call = within.get()
        found = self._conductor.start(
            Started(
                agent=run.agent_name,
                within=None if call is None else (call.run, call.tool),
                prompt=prompt_json(run.prompt),
                history=lambda: list(map(message_json, run.history)),
                facts={} if usual else {'end_strategy': run.end_strategy},
                instructions=run.instructions,
            )
        )
        return None if found is None else TapedRun(found, run, call)


class TapedRun:
    """A run whose effects a tape records or replays.

    Args:
        conductor: What the run is recorded into or replayed from.
        start: What is known of the run.
        call: The tool call that started it, if one did.
    """

    def __init__(self, conductor: RunConductor, start: RunStart, call: Within | None) -> None:
        self.source: Source = source_of(conductor.tape.run, conductor.tape.name)
        self._conductor = conductor
        self._tape = conductor.tape
        self._deferred = deferred_json(start.deferred_tool_results)
        self._definitions = Definitions()
        self._responses = Responses(conductor.tape.recorded)
        self._sent: list[ModelMessage] = []
        self._prompt = prompt_json(start.prompt)
        self._request: ModelRequest | None = None
        self._response: ModelResponse | None = None
        around = call if call is not None and call.usage is start.usage else None
        self._account = account_of(start.usage)
        self._account.open += 1
        self._calls = TapedCalls(conductor, self._account, 1 if around is None else around.depth + 1)
        self._counted_in = None if around is None else around.call

    def node(self, node: object) -> Awaitable[None] | None:
        """Tell the tape of a node; the run stops where it leaves its recording.

        Returns:
            What waits to be cancelled, where the recorded run was before it came to a node; else None.
        """
        self._conductor.check_open()
        kind = type(node).__name__
        facts: JsonObject = {}
        if kind == 'ModelRequestNode':  # to ask for the class takes its metaclass much longer
            self._request = cast('ModelRequestNode[Any, Any]', node).request
        elif kind == 'CallToolsNode':
            self._response = cast('CallToolsNode[Any, Any]', node).model_response
        elif kind == 'UserPromptNode':
            facts['deferred_tool_results'] = self._deferred
        answer = self._tape.node(kind, **facts)
        if answer is None:
            others = self._conductor.others_have_to_come
            return let_others_come(others) if kind == 'End' and others() else None
        return to_begin(self._conductor, kind, **facts) if isinstance(answer, Wait) else self._go_on(answer)

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        """Answer a request from the recording, or ask the model and keep its answer as it came."""
        self._conductor.check_open()
        answer = self._asked(call)
        if isinstance(answer, Replay):
            outcome = answer.outcome
            if isinstance(outcome, Answered):
                return self._responses.restored(outcome.message)
            answer = await ended_otherwise(self._conductor, outcome)
        self._conductor.went_live()
        try:
            response = await do()
            written = message_json(response)
        except PydanticSerializationError as error:
            raise self._unwritable('a response of the model', error) from None
        except BaseException as error:
            broken_off(self._conductor, answer.token, error)
            raise
        self._tape.end(answer.token, Answered(message=written))
        return as_in_a_replay(response, written)

    def stream(
        self, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Let the recorded stream pass again, or the model's, and keep what passes."""
        self._conductor.check_open()
        answer = self._asked(call, streamed=True)
        if not isinstance(answer, Do):
            outcome = cast('Answered | Failed | Cut', answer.outcome)
            self._response = self._responses.restored(outcome.message) if isinstance(outcome, Answered) else None
            return ReplayedStreaming(outcome, call.parameters, partial(left, self._conductor))
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
        if isinstance(answer, Replay):
            outcome = answer.outcome
            if isinstance(outcome, Counted):
                return TypeAdapter(RequestUsage).validate_python(outcome.usage)
            answer = await ended_otherwise(self._conductor, outcome)
        try:
            usage = await do()
        except BaseException as error:
            broken_off(self._conductor, answer.token, error)
            raise
        self._tape.end(answer.token, Counted(usage=to_jsonable_python(usage)))
        return usage

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        """Let the recorded results arrive in their recorded order, or run the tools and keep what comes."""
        self._conductor.check_open()
        await self._calls.see_through(batch, work, self._response)

    def finished(self, end: RunEnd) -> None:
        """Tell the tape how the run was left."""
        error = end.error if isinstance(end.error, Exception) and not isinstance(end.error, ReplayError) else None
        try:
            messages = messages_bytes(end.messages)
        except PydanticSerializationError as fault:
            self._unwritable('a message of the run', fault)
            self._account.left(None, 0)
            self._conductor.ended(b'', end.new_from)
            return
        facts: JsonObject = {}
        if self._counted_in is not None:
            facts['counted_in'] = {'call': self._counted_in, 'tool_calls': self._calls.returned}
        if self._request is None and self._prompt is not None:  # no message tells what the run was asked
            facts['prompt'] = self._prompt
        if interruption := _interruption(end.error):
            facts['interrupted'] = interruption
        known = None if error is None else raised(error)
        shown = self._tape.finish(Finish(messages=messages, new_from=end.new_from, raised=known, facts=facts))
        put_back_all(end.messages, messages, shown, by=restored_messages)
        self._account.left(self._tape.run, self._calls.returned)
        self._conductor.ended(shown, end.new_from)

    # -- private

    def _go_on(self, answer: _Answer | Stop) -> _Answer:
        if isinstance(answer, Stop):
            raise self._conductor.diverged(answer.divergence)
        return answer

    def _unwritable(self, what: str, error: PydanticSerializationError) -> ReplayError:
        return unwritable(self._conductor, what, error)

    def _keep_response(self, response: ModelResponse) -> None:
        self._response = response

    def _asked(self, call: ModelCall, *, streamed: bool = False) -> Do | Replay:
        """Tell the tape of a request, and let its messages show values that were minted in the run as recorded."""
        try:
            effect = self._request_of(call, streamed=streamed)
        except PydanticSerializationError as error:
            raise self._unwritable('a message of the run', error) from error
        answer = self._tape.begin(effect)
        if isinstance(answer, Stop):
            return self._go_on(answer)
        if answer.respelt is None:
            return answer
        own = self._request if self._request is not None else cast('ModelRequest', call.messages[-1])
        put_back(call.messages, own, effect, answer.respelt, by=restored_messages)
        return answer

    def _request_of(self, call: ModelCall, *, streamed: bool) -> Request:
        """Write down what is new in a request; everything, if what the model was sent before no longer stands."""
        messages, count = call.messages, len(self._sent)
        appended = len(messages) > count and all(map(is_, messages, self._sent))
        fresh = messages[count:] if appended else messages
        self._sent = list(messages)
        own = self._request if self._request is not None else cast('ModelRequest', messages[-1])
        sent = list(map(message_bytes, fresh))
        message = sent[-1] if own is messages[-1] else message_bytes(own)
        definition = self._definitions.of(call, own.instructions)
        inside = call.model.model_name if call.inside else None
        return Request(
            message=message, sent=sent, appended=appended, definition=definition, inside=inside, streamed=streamed
        )


def _interruption(error: BaseException | None) -> str | None:
    """What stopped a run from outside, by a name that is the same on every event loop."""
    if error is None or isinstance(error, Exception | GeneratorExit):
        return None
    return type(error).__name__ if isinstance(error, KeyboardInterrupt | SystemExit) else CUT
