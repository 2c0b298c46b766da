"""One run of pydantic_ai: what its hooks see to the tape, the tape's answers back as what the library expects."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from operator import is_
from typing import Any, NoReturn, TypeVar, cast

from pydantic import TypeAdapter
from pydantic_ai._agent_graph import CallToolsNode, ModelRequestNode, UserPromptNode
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.usage import RequestUsage, RunUsage
from pydantic_core import PydanticSerializationError, to_jsonable_python

from replay.adapters._cancelled import is_cancellation, let_others_come
from replay.adapters._protocol import RunConductor
from replay.adapters._spelling import put_back, put_back_all
from replay.adapters.agentrun._breaks import broken_off, ended_otherwise, left, to_begin
from replay.adapters.agentrun._calls import Within
from replay.adapters.agentrun._errors import raised
from replay.adapters.agentrun._faults import parted, unwritable
from replay.adapters.agentrun._readings import source_of
from replay.adapters.pydantic_ai._calls import TapedCalls
from replay.adapters.pydantic_ai._clock import RunReadings
from replay.adapters.pydantic_ai._toolsets import TapedTools
from replay.adapters.pydantic_ai._wire import (
    Definitions,
    as_in_a_replay,
    message_bytes,
    message_json,
    messages_bytes,
    restored_messages,
    restored_response,
)
from replay.canon import Json, JsonObject
from replay.cassette import CUT
from replay.effects import Answered, Count, Counted, Cut, Do, Finish, Replay, Request, Stop, Wait
from replay.errors import ReplayError
from replay.match import Difference

__all__ = ('Asked', 'TapedRun', 'run_of')

_Answer = TypeVar('_Answer')


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to a model: everything that decides its answer."""

    messages: list[ModelMessage]
    """What the model is sent, oldest first."""
    settings: Any
    parameters: ModelRequestParameters
    inside: str | None
    """Name of the model, if it is one of several that another model asks."""


class TapedRun:
    """A run that a tape records or replays.

    Args:
        conductor: What the run is recorded into or replayed from.
        prompt: Its user prompt as wire JSON.
        deferred: Results handed in for calls of its history, as JSON.
        call: The tool call that started it, if one did.
        approved: Ids of calls of its history that may run now.
    """

    def __init__(
        self,
        conductor: RunConductor,
        *,
        prompt: Json,
        deferred: Json,
        call: Within | None,
        approved: Collection[str] = (),
    ) -> None:
        self.conductor = conductor
        self.tape = conductor.tape
        self.readings = RunReadings(conductor.tape.name, source_of(conductor.tape.run, conductor.tape.name))
        self.replaying = conductor.tape.replaying
        """Whether the run starts as a replay, so that models and servers may be out of reach."""
        self.usage: RunUsage | None = None
        """What the run counts into, once it has begun."""
        self.serving: Model | None = None
        """The model that the library asks."""
        self.response: ModelResponse | None = None
        """The response whose calls run now."""
        self.tools = TapedTools(TapedCalls(conductor, approved=approved))
        """Its tools, and what becomes of their calls."""
        self.result_messages: Callable[[], Sequence[ModelMessage]] | None = None
        """Messages of the streamed result, if there is one: they get the request that closes the run."""
        self._graph_run: Any = None
        self._call = call
        self._prompt = prompt
        self._deferred = deferred
        self._definitions = Definitions()
        self._sent: list[ModelMessage] = []
        self._request: ModelRequest | None = None
        self._streamed: object = None  # the node that was streamed and has yet to run
        self._running: object = None  # the node that the graph runs

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.tape.name

    # -- nodes

    def begun(self, graph_run: Any) -> None:
        """Take note of the object that runs the graph."""
        self._graph_run = graph_run
        self.counts_into(graph_run.state.usage)
        _runs[id(graph_run.state)] = self

    def counts_into(self, usage: RunUsage) -> None:
        """Take note of what the run counts into."""
        self.usage = usage
        shared = self._call is not None and self._call.usage is cast('Any', usage)
        self.tools.calls.spending.begun(usage, around=self._call.depth if self._call is not None and shared else 0)

    async def runs(self, node: object) -> None:
        """A node is about to run; the run stops where it leaves its recording, or waits where that was cancelled."""
        if self._streamed is not node:
            await self._note(node)
        self._streamed = None
        self._running = node

    async def streams(self, node: object) -> None:
        """A node is about to be streamed: by the one that drives the run, or by itself while it runs."""
        if node is not self._running and node is not self._streamed:
            await self._note(node)
            self._streamed = node

    def ran(self) -> None:
        """The node has run, or failed. If that was the end of the run, that is noted as a node."""
        self._running = None

    def broken_off(self, error: BaseException | None) -> None:
        """A step, or the block in which a node streamed, was left with an error: perhaps it was cancelled."""
        if error is not None and is_cancellation(error):
            self.tools.calls.cancelled()

    async def ended(self) -> None:
        """The run came to its end."""
        if not self.tape.kinds or self.tape.kinds[-1] != 'End':
            self.tools.calls.close()
            await self._comes_to('End')
            await let_others_come(self.conductor.others_have_to_come)

    # -- the model

    async def request(self, asked: Asked, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        """Answer a request from the recording, or ask the model and keep its answer as it came."""
        answer = self.ask(asked)
        if isinstance(answer, Replay):
            outcome = answer.outcome
            if isinstance(outcome, Answered):
                return restored_response(outcome.message)
            answer = await ended_otherwise(self.conductor, outcome)
        self.conductor.went_live()
        try:
            response = self.named(await do())
            written = message_json(response)
        except PydanticSerializationError as error:
            raise self.unwritable('a response of the model', error) from None
        except BaseException as error:
            broken_off(self.conductor, answer.token, error)
            raise
        self.tape.end(answer.token, Answered(message=written))
        return as_in_a_replay(response, written)

    async def count_tokens(self, do: Callable[[], Awaitable[RequestUsage]]) -> RequestUsage:
        """Answer a count from the recording, or let the model count and keep the sum."""
        self.conductor.check_open()
        answer = self._go_on(self.tape.begin(Count()))
        if isinstance(answer, Replay):
            outcome = answer.outcome
            if isinstance(outcome, Counted):
                return TypeAdapter(RequestUsage).validate_python(outcome.usage)
            answer = await ended_otherwise(self.conductor, outcome)
        try:
            usage = await do()
        except BaseException as error:
            broken_off(self.conductor, answer.token, error)
            raise
        self.tape.end(answer.token, Counted(usage=to_jsonable_python(usage)))
        return usage

    def ask(self, asked: Asked, *, streamed: bool = False) -> Do | Replay:
        """Tell the tape of a request.

        Raises:
            ReplayError: If the run leaves its recording here, or its session is closed.
        """
        self.conductor.check_open()
        try:
            effect = self._effect(asked, streamed=streamed)
        except PydanticSerializationError as error:
            raise self.unwritable('a message of the run', error) from error
        answer = self._go_on(self.tape.begin(effect))
        put_back(asked.messages, self._own(asked), effect, answer.respelt, by=restored_messages)
        return answer

    # -- the end

    def finished(self, error: BaseException | None) -> None:
        """Tell the tape how the run was left."""
        self.tools.calls.close(broken=error is not None, failed=isinstance(error, Exception))
        messages, new_from = self._messages()
        if self._graph_run is not None:
            _runs.pop(id(self._graph_run.state), None)
        try:
            written = messages_bytes(messages)
        except PydanticSerializationError as fault:
            self.unwritable('a message of the run', fault)
            self.tools.calls.spending.ended(None, 0)
            self.conductor.ended(b'', new_from)
            return
        known = isinstance(error, Exception) and not isinstance(error, ReplayError)
        cause = raised(cast('Exception', error)) if known else None
        finish = Finish(messages=written, new_from=new_from, raised=cause, facts=self._facts(error))
        shown = self.tape.finish(finish)
        put_back_all(messages, written, shown, by=restored_messages)
        self.tools.calls.spending.ended(self.tape.run, self.tools.calls.returned)
        self.conductor.ended(shown, new_from)

    # -- for what stands at the seams

    def named(self, response: ModelResponse) -> ModelResponse:
        """A response with the id of the model that serves the run, which 2.x would put into it right after."""
        if self.serving is not None and getattr(response, 'model_id', '') is None:
            cast('Any', response).model_id = cast('Any', self.serving).model_id
        return response

    def parted(self, difference: Difference, kind: str) -> ReplayError:
        """Make the error for a run that leaves its recording where no tape is asked."""
        return parted(self.conductor, difference, kind)

    async def left(self, cut: Cut) -> NoReturn:
        """Stop a run that reads on where the recorded reader of a stream left; one that was cancelled may be, too."""
        await left(self.conductor, cut)

    def unwritable(self, what: str, error: PydanticSerializationError) -> ReplayError:
        """Make the error for a value that JSON cannot hold."""
        return unwritable(self.conductor, what, error)

    # -- private

    async def _note(self, node: object) -> None:
        self.conductor.check_open()
        kind = type(node).__name__
        facts: JsonObject = {}
        match node:
            case UserPromptNode():
                facts['deferred_tool_results'] = self._deferred
            case ModelRequestNode(request=request):
                self._request = request
            case CallToolsNode(model_response=response):
                self.response = response
            case _:
                pass
        self.tools.calls.close()
        await self._comes_to(kind, **facts)
        if isinstance(node, ModelRequestNode) and getattr(cast('Any', node), '_result', None) is None:
            self.readings.source.request_begun()

    async def _comes_to(self, kind: str, **facts: Json) -> None:
        """Tell the tape of a node, and wait where the recorded run was cancelled before it."""
        if isinstance(self._go_on(self.tape.node(kind, **facts)), Wait):
            await to_begin(self.conductor, kind, **facts)

    def _go_on(self, answer: _Answer | Stop) -> _Answer:
        if isinstance(answer, Stop):
            raise self.conductor.diverged(answer.divergence)
        return answer

    def _effect(self, asked: Asked, *, streamed: bool) -> Request:
        """Write down what is new in a request; everything, if what the model was sent before no longer stands."""
        messages, count = asked.messages, len(self._sent)
        appended = len(messages) > count and all(map(is_, messages, self._sent))
        fresh = messages[count:] if appended else messages
        self._sent = list(messages)
        own = self._own(asked)
        sent = [message_bytes(message) for message in fresh]
        return Request(
            message=sent[-1] if own is messages[-1] else message_bytes(own),
            sent=sent,
            appended=appended,
            definition=self._definitions.of(asked.parameters, asked.settings, own.instructions),
            inside=asked.inside,
            streamed=streamed,
        )

    def _own(self, asked: Asked) -> ModelRequest:
        """The request of the node that asks."""
        return self._request if self._request is not None else cast('ModelRequest', asked.messages[-1])

    def _messages(self) -> tuple[list[ModelMessage], int]:
        """All messages of the run, or of its streamed result if that has more, and the index of the first new one."""
        run = self._graph_run
        if run is None:
            return [], 0
        streamed: Sequence[ModelMessage] = () if self.result_messages is None else self.result_messages()
        own: Sequence[ModelMessage] = run.state.message_history
        return list(max(own, streamed, key=len)), run.deps.new_message_index

    def _facts(self, error: BaseException | None) -> JsonObject:
        facts = self.tools.facts()
        if self._call is not None and self._call.usage is cast('Any', self.usage):
            facts['counted_in'] = {'call': self._call.call, 'tool_calls': self.tools.calls.returned}
        if self._request is None and self._prompt is not None:  # no message tells what the run was asked
            facts['prompt'] = self._prompt
        if error is not None and not isinstance(error, Exception | GeneratorExit):
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            facts['interrupted'] = type(error).__name__ if stopped else CUT
        return facts


_runs: dict[int, TapedRun] = {}
"""Runs that go on, by the identity of their state, which a node that is streamed is given."""

current: ContextVar[TapedRun | None] = ContextVar('replay_pydantic_ai_run', default=None)
"""The run in whose block of `iter` the code is."""


def run_of(context: Any) -> TapedRun | None:
    """The run that a node's context belongs to."""
    return _runs.get(id(context.state))
