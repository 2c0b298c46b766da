"""One request without an agent: what the model is asked, and what whoever carries out effects sees of it."""

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from datetime import timedelta
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agentrun import Agent, ModelMessage, ModelRequest, ModelResponse, TextPart, UserError, _ambient, _effects
from agentrun._ambient import BASE_TIME, LogicalSource, deterministic
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart
from agentrun.direct import model_request, model_request_stream, model_request_stream_sync, model_request_sync
from agentrun.messages import ToolCallPart
from agentrun.models import ModelRequestParameters, StreamedResponse
from agentrun.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from agentrun.models.test import TestModel
from agentrun.tools import ToolDefinition

pytestmark = pytest.mark.anyio

ASKED: list[ModelMessage] = [ModelRequest.user_text_prompt('Capital of France?')]
GET = ToolDefinition(name='get', parameters_json_schema={'type': 'object', 'properties': {}})


class Watcher:
    """A handler that notes what it is told, and answers by itself if it has an answer."""

    def __init__(self, answer: ModelResponse | None = None) -> None:
        self.noted: list[str] = []
        self.source: _ambient.Source = LogicalSource('watched')
        self.started: RunStart | None = None
        self.ended: RunEnd | None = None
        self._answer = answer

    def start(self, run: RunStart) -> RunHandler | None:
        self.started = run
        return self

    def node(self, node: object) -> None:
        self.noted.append(type(node).__name__)

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        self.noted.append(f'request {call.step} {call.settings} {call.parameters.function_tools}')
        return self._answer or await do()

    def stream(
        self, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        self.noted.append(f'stream {call.step} {call.settings} {call.parameters.function_tools}')
        return do()

    async def count_tokens(self, call: Any, do: Any) -> Any:
        pytest.fail('tokens are not counted')

    async def call_tools(self, batch: Any, work: Any) -> None:
        pytest.fail('tools are not run')

    def finished(self, end: RunEnd) -> None:
        self.noted.append('finished')
        self.ended = end


async def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    raise ValueError('no answer')


async def test_the_model_is_asked_with_all_that_is_given():
    seen: list[Any] = []

    async def note(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.extend([messages, info.model_settings, info.function_tools])
        return ModelResponse(parts=[TextPart('Paris')])

    response = await model_request(
        FunctionModel(note, settings={'seed': 1}),
        tuple(ASKED),
        model_settings={'temperature': 0.5},
        model_request_parameters=ModelRequestParameters(function_tools=[GET]),
    )
    assert (response.text, response.run_id) == ('Paris', None)
    assert seen == [ASKED, {'seed': 1, 'temperature': 0.5}, [GET]]


async def test_a_tool_on_offer_is_called_and_not_run():
    response = await model_request(
        'test', ASKED, model_request_parameters=ModelRequestParameters(function_tools=[GET], allow_text_output=True)
    )
    assert [type(part) for part in response.parts] == [ToolCallPart]


def test_a_request_is_made_where_code_is_not_async():
    assert model_request_sync(TestModel(custom_output_text='hi'), ASKED, model_settings={'seed': 1}).text == 'hi'


async def test_code_that_is_async_cannot_wait_for_a_request():
    with pytest.raises(RuntimeError, match='This event loop is already running'):
        model_request_sync('test', ASKED)


async def test_an_unknown_model_is_refused():
    with pytest.raises(UserError, match='Unknown model: nope'):
        await model_request('nope', ASKED)


async def test_what_the_model_raises_is_raised():
    with pytest.raises(ValueError, match='no answer'):
        await model_request(FunctionModel(fail), ASKED)


async def test_requests_have_readings_of_their_own_inside_deterministic():
    agent = Agent(TestModel())

    @agent.tool_plain
    async def ask() -> str:
        response = await model_request('test', ASKED)
        return str(response.timestamp - BASE_TIME)

    with deterministic():
        times = [(await model_request('test', ASKED)).timestamp for _ in range(2)]
        result = await agent.run('go')
    assert times == [BASE_TIME + timedelta(seconds=1)] * 2
    assert result.output == '{"ask":"0:00:01"}'


async def test_a_handler_sees_a_run_of_one_request():
    watcher = Watcher()
    with _effects.install(watcher):
        response = await model_request('test', ASKED, model_settings={'seed': 1})
    assert watcher.noted == ['ModelRequestNode', "request 1 {'seed': 1} []", 'finished']
    assert watcher.started is not None
    assert (watcher.started.agent_name, watcher.started.prompt) == ('direct', 'Capital of France?')
    assert watcher.started.history == ASKED
    assert watcher.ended == RunEnd(messages=[*ASKED, response], new_from=1, ended=True, error=None)
    assert response.timestamp == BASE_TIME + timedelta(seconds=1)


async def test_a_handler_may_answer_in_the_place_of_the_model():
    answer = ModelResponse(parts=[TextPart('fed')])
    with _effects.install(Watcher(answer)):
        assert await model_request(FunctionModel(fail), ASKED) is answer


async def test_a_handler_is_told_of_an_error():
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(ValueError, match='no answer') as raised:
        await model_request(FunctionModel(fail), ASKED)
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=raised.value)


async def test_several_prompts_are_no_prompt_of_a_run():
    watcher = Watcher()
    with _effects.install(watcher):
        await model_request('test', [ModelRequest(parts=[*ASKED[0].parts, *ASKED[0].parts])])  # type: ignore[arg-type]
    assert watcher.started is not None
    assert watcher.started.prompt is None


@pytest.mark.parametrize(
    ('messages', 'end'),
    [([], 'nothing'), ([*ASKED, ModelResponse(parts=[TextPart('x')])], 'a `ModelResponse`')],
    ids=['nothing', 'response'],
)
async def test_what_is_no_request_cannot_be_recorded(messages: list[ModelMessage], end: str):
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(UserError) as raised:
        await model_request('test', messages)
    assert str(raised.value) == (
        'A direct request can be recorded or replayed only if its messages end in a `ModelRequest`; they end in '
        f"{end}. Append what is asked, e.g. `ModelRequest.user_text_prompt('...')`."
    )
    assert watcher.noted == ['finished']


async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    for piece in ('Pa', 'r', 'is'):
        yield piece


async def stumble(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield 'Pa'
    raise ValueError('no answer')


async def call(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[DeltaToolCalls]:
    for index in range(2):
        await anyio.lowlevel.checkpoint()
        yield {index: DeltaToolCall(name='get', json_args='{}')}


SPEAKING = FunctionModel(stream_function=speak)
STUMBLING = FunctionModel(stream_function=stumble)


async def read(request: AbstractAsyncContextManager[StreamedResponse]) -> ModelResponse:
    """Receive all of a response."""
    async with request as stream:
        async for _ in stream:
            pass
    return stream.get()


async def test_a_handler_sees_a_streamed_run_of_one_request():
    watcher = Watcher()
    with _effects.install(watcher):
        response = await read(model_request_stream(SPEAKING, ASKED, model_settings={'seed': 1}))
    assert watcher.noted == ['ModelRequestNode', "stream 1 {'seed': 1} []", 'finished']
    assert watcher.started is not None
    assert (watcher.started.agent_name, watcher.started.prompt) == ('direct', 'Capital of France?')
    assert watcher.ended == RunEnd(messages=[*ASKED, response], new_from=1, ended=True, error=None)
    assert (response.text, response.timestamp) == ('Paris', BASE_TIME + timedelta(seconds=1))


@pytest.mark.parametrize('steps', [0, 1, 5])
async def test_a_handler_is_told_that_a_stream_was_left_before_its_end(steps: int):
    watcher = Watcher()
    with _effects.install(watcher):
        async with model_request_stream(SPEAKING, ASKED) as stream:
            for _ in range(steps):
                await anext(aiter(stream))
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=None)


async def test_a_handler_is_told_of_an_error_in_a_stream():
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(ValueError, match='no answer') as raised:
        await read(model_request_stream(STUMBLING, ASKED))
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=raised.value)


async def test_a_handler_is_told_of_a_stream_that_did_not_begin():
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(AssertionError, match='stream_function') as raised:
        async with model_request_stream(FunctionModel(fail), ASKED):
            pytest.fail('there is no stream')
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=raised.value)


class Leaving(AbstractAsyncContextManager[StreamedResponse]):
    """A stream that deals with errors as it is left, or raises one."""

    def __init__(self, inner: AbstractAsyncContextManager[StreamedResponse], error: Exception | None) -> None:
        self._inner = inner
        self._error = error

    async def __aenter__(self) -> StreamedResponse:
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        await self._inner.__aexit__(kind, error, trace)
        if self._error is not None:
            raise self._error
        return True


class LeavingModel(TestModel):
    """A model whose streams are left like that."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self._error = error

    def request_stream(self, *args: Any, **options: Any) -> AbstractAsyncContextManager[StreamedResponse]:
        return Leaving(super().request_stream(*args, **options), self._error)


async def test_an_error_that_the_models_stream_deals_with_is_not_raised():
    watcher = Watcher()
    with _effects.install(watcher):
        async with model_request_stream(LeavingModel(None), ASKED):
            raise ValueError('dealt with')
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=None)


async def test_an_error_raised_as_the_stream_is_left_is_that_of_the_run():
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(ValueError, match='late') as raised:
        async with model_request_stream(LeavingModel(ValueError('late')), ASKED):
            pass
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=raised.value)


async def test_a_stream_that_is_cancelled_is_left():
    watcher = Watcher()
    with _effects.install(watcher), anyio.CancelScope() as scope:
        async with model_request_stream(SPEAKING, ASKED) as stream:
            await anext(aiter(stream))
            scope.cancel()
            await anyio.sleep_forever()
    assert watcher.ended is not None
    assert (watcher.ended.ended, isinstance(watcher.ended.error, anyio.get_cancelled_exc_class())) == (False, True)


async def test_what_is_no_request_cannot_be_streamed_to_a_handler():
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(UserError, match='they end in nothing'):
        async with model_request_stream('test', []):
            pytest.fail('there is no stream')
    assert watcher.noted == ['finished']


async def test_a_streamed_request_is_made_once():
    request = model_request_stream(SPEAKING, ASKED)
    async with request:
        pass
    with pytest.raises(RuntimeError, match='a block is entered once'):
        await request.__aenter__()


async def test_ids_made_in_a_stream_are_those_of_its_own_run():
    async def ids() -> list[str]:
        response = await read(model_request_stream(FunctionModel(stream_function=call), ASKED))
        return [part.tool_call_id for part in response.parts if isinstance(part, ToolCallPart)]

    with deterministic():
        first = await ids()
    with deterministic():
        ModelRequest.user_text_prompt('another reading')
        second = await ids()
    assert (len(set(first)), first) == (2, second)


async def test_a_response_is_streamed_where_code_is_not_async_beside_a_running_loop():
    with model_request_stream_sync(SPEAKING, ASKED) as stream:
        events = list(stream)
    assert (len(events), stream.response.text) == (5, 'Paris')
    assert stream.usage().output_tokens == 3


def test_a_stream_read_to_its_end_stays_at_its_end():
    with model_request_stream_sync(SPEAKING, ASKED) as stream:
        assert len(list(stream)) == 5
        assert list(stream) == []
        assert list(stream) == []


def test_what_a_stream_in_a_thread_raises_is_raised_once_where_it_came():
    with model_request_stream_sync(STUMBLING, ASKED) as stream:
        with pytest.raises(ValueError, match='no answer'):
            list(stream)
        assert list(stream) == []
    assert stream.response.text == 'Pa'


def test_the_reason_why_a_stream_did_not_begin_is_kept():
    with (
        model_request_stream_sync(FunctionModel(fail), ASKED) as stream,
        pytest.raises(RuntimeError, match=r'^Stream failed to initialize$') as raised,
    ):
        stream.get()
    assert isinstance(raised.value.__cause__, AssertionError)


def test_an_exit_within_the_thread_is_not_taken_for_the_end_of_the_stream():
    async def leave(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'Pa'
        raise SystemExit(3)

    with model_request_stream_sync(FunctionModel(stream_function=leave), ASKED) as stream, pytest.raises(SystemExit):
        list(stream)


def test_a_stream_that_does_not_begin_in_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    go = threading.Event()

    async def wait(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        await asyncio.to_thread(go.wait, 10)
        yield 'late'

    monkeypatch.setattr('agentrun.direct.STREAM_INITIALIZATION_TIMEOUT', 0.01)
    with model_request_stream_sync(FunctionModel(stream_function=wait), ASKED) as stream:
        with pytest.raises(RuntimeError, match='Stream failed to initialize within timeout'):
            stream.get()
        go.set()
    assert stream.get().text == 'late'


def test_a_stream_in_a_thread_is_made_once():
    with (
        model_request_stream_sync(SPEAKING, ASKED) as stream,
        pytest.raises(RuntimeError, match='a block is entered once'),
    ):
        stream.__enter__()


async def test_the_thread_sees_the_context_of_its_caller_but_a_loop_of_its_own():
    place: ContextVar[str] = ContextVar('place', default='nowhere')
    place.set('here')

    async def tell(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        await anyio.lowlevel.checkpoint()
        yield f'{place.get()} {asyncio.get_running_loop().is_running()}'

    with model_request_stream_sync(FunctionModel(stream_function=tell), ASKED) as stream:
        pass
    assert stream.get().text == 'here True'


def test_nothing_is_left_of_the_thread_and_its_loop():
    loops: list[asyncio.AbstractEventLoop] = []

    async def note(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        loops.append(asyncio.get_running_loop())
        yield 'x'

    before = threading.active_count()
    for _ in range(3):
        with model_request_stream_sync(FunctionModel(stream_function=note), ASKED) as stream:
            next(iter(stream))
    gc.collect()
    assert threading.active_count() == before
    assert [loop.is_closed() for loop in loops] == [True] * 3


def test_a_handler_sees_a_run_that_is_streamed_in_a_thread():
    watcher = Watcher()
    with _effects.install(watcher), model_request_stream_sync(SPEAKING, ASKED) as stream:
        for _ in stream:
            break
    assert watcher.ended == RunEnd(messages=[*ASKED, stream.get()], new_from=1, ended=True, error=None)


def test_a_stream_in_a_thread_says_how_far_it_is():
    request = model_request_stream_sync(SPEAKING, ASKED)
    assert repr(request) == 'StreamedResponseSync(context_entered=False)'
    with pytest.raises(RuntimeError, match='must be used as a context manager'):
        next(iter(request))
    with request as stream:
        events = iter(stream)
        assert iter(events) is events
        assert (stream.model_name, stream.get().timestamp) == ('function::speak', stream.timestamp)
        assert repr(stream).startswith('FunctionStreamedResponse(')


def test_leaving_a_block_that_was_not_entered_does_nothing():
    assert model_request_stream_sync(SPEAKING, ASKED).__exit__(None, None, None) is None


async def test_the_events_of_a_stream_are_one_iterator():
    async with model_request_stream(SPEAKING, ASKED) as stream:
        events = aiter(stream)
        assert aiter(events) is events
        assert aiter(stream) is events


def test_a_thread_does_without_the_library_that_tells_event_loops(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, 'sniffio', raising=False)
    with model_request_stream_sync(SPEAKING, ASKED) as stream:
        pass
    assert stream.get().text == 'Paris'
