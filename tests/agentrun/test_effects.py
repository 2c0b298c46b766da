"""The seam: who is asked, with what, and what an answer does to the run."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from agentrun import Agent, ModelResponse, TextPart, ToolCallPart, _ambient, _effects
from agentrun._ambient import BASE_TIME, LogicalSource
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart, ToolBatch, ToolWork
from agentrun._outcomes import ToolOutcome, ToolReturned
from agentrun.direct import model_request, model_request_stream
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import ModelMessage, ModelRequest, ToolReturnPart
from agentrun.models import StreamedResponse
from agentrun.models.fallback import FallbackModel
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.models.wrapper import WrapperModel
from agentrun.usage import RequestUsage, UsageLimits

pytestmark = pytest.mark.anyio


class Watcher:
    """A handler that does everything as it would be done anyway, and notes it."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.source: _ambient.Source = LogicalSource('watched')
        self.ended: RunEnd | None = None

    def start(self, run: RunStart) -> RunHandler | None:
        self.noted.append(f'start {run.agent_name} {run.prompt!r}')
        return self

    def node(self, node: object) -> None:
        self.noted.append(type(node).__name__)

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        self.noted.append(f'request {call.step} of {len(call.messages)} messages')
        return await do()

    def stream(
        self, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        self.noted.append(f'stream {call.step} of {len(call.messages)} messages')
        return do()

    async def count_tokens(self, call: ModelCall, do: Callable[[], Awaitable[RequestUsage]]) -> RequestUsage:
        self.noted.append(f'count {call.step}')
        return RequestUsage(input_tokens=1)

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        self.noted.append(f'batch {batch.step} {[call.tool_name for call in batch.calls]}')
        await work.perform(work.execute)

    def finished(self, end: RunEnd) -> None:
        self.noted.append('finished')
        self.ended = end


def calls_then_answers(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if len(messages) > 1:
        return ModelResponse(parts=[TextPart('done')])
    return ModelResponse(parts=[ToolCallPart('slow', {}, 'a'), ToolCallPart('fast', {}, 'b')])


def make_agent() -> tuple[Agent[None, str], list[str]]:
    agent, ran = Agent(FunctionModel(calls_then_answers), name='helper'), list[str]()

    @agent.tool_plain
    async def slow() -> str:
        ran.append('slow')
        await anyio.sleep(0.01)
        return 'slow'

    @agent.tool_plain
    async def fast() -> str:
        ran.append('fast')
        return 'fast'

    return agent, ran


async def test_a_handler_sees_every_node_and_effect_of_a_run():
    agent, _ = make_agent()
    watcher = Watcher()
    with _effects.install(watcher):
        result = await agent.run('go')
    assert watcher.noted == [
        "start helper 'go'",
        'UserPromptNode',
        'ModelRequestNode',
        'request 1 of 1 messages',
        'CallToolsNode',
        "batch 1 ['slow', 'fast']",
        'ModelRequestNode',
        'request 2 of 3 messages',
        'CallToolsNode',
        'End',
        'finished',
    ]
    assert watcher.ended is not None
    assert (watcher.ended.ended, watcher.ended.error, watcher.ended.new_from) == (True, None, 0)
    assert watcher.ended.messages is result.all_messages()


async def test_a_run_reads_clock_and_ids_from_its_handler():
    agent, _ = make_agent()
    with _effects.install(Watcher()):
        result = await agent.run('go')
    times = [(message.timestamp or BASE_TIME) - BASE_TIME for message in result.all_messages()]
    assert [time.total_seconds() for time in times] == [1, 1, 2, 2]
    assert result.run_id == LogicalSource('watched').run_id()


async def test_outcomes_can_be_fed_in_place_of_running_tools():
    agent, ran = make_agent()

    class Feeder(Watcher):
        async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
            for index in (1, 0):
                assert work.check(index) is None
                work.arrived(index, ToolReturned(f'fed {index}'))

    with _effects.install(Feeder()):
        result = await agent.run('go')
    parts = result.all_messages()[2].parts
    assert [part.content for part in parts if isinstance(part, ToolReturnPart)] == ['fed 0', 'fed 1']
    assert (ran, result.usage().tool_calls) == ([], 2)


async def test_each_call_may_be_carried_out_in_a_way_of_the_handlers_own():
    agent, ran = make_agent()

    class Wrapper(Watcher):
        async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
            async def execute(index: int) -> ToolOutcome:
                outcome = await work.execute(index)
                self.noted.append(f'{batch.calls[index].tool_name} -> {outcome}')
                return outcome

            await work.perform(execute)

    wrapper = Wrapper()
    with _effects.install(wrapper):
        await agent.run('go')
    assert ran == ['slow', 'fast']
    assert [note for note in wrapper.noted if '->' in note] == [
        "fast -> ToolReturned(value='fast')",
        "slow -> ToolReturned(value='slow')",
    ]


async def test_a_handler_counts_tokens_only_if_the_limits_ask_for_it():
    agent, _ = make_agent()
    watcher = Watcher()
    with _effects.install(watcher):
        await agent.run('go', usage_limits=UsageLimits(count_tokens_before_request=True, input_tokens_limit=10_000))
    assert [note for note in watcher.noted if note.startswith('count')] == ['count 1', 'count 2']


async def test_a_handler_that_leaves_a_run_alone_changes_nothing():
    agent, ran = make_agent()

    class Deaf(Watcher):
        def start(self, run: RunStart) -> RunHandler | None:
            return None

    with _effects.install(Deaf()):
        result = await agent.run('go')
    assert (result.output, ran) == ('done', ['slow', 'fast'])


async def test_the_innermost_handler_is_asked_and_only_it():
    agent, _ = make_agent()
    outer, inner = Watcher(), Watcher()
    with _effects.install(outer), _effects.install(inner):
        await agent.run('go')
    assert (outer.noted, inner.noted[0]) == ([], "start helper 'go'")


async def test_an_error_of_a_run_is_told_at_its_end():
    agent, _ = make_agent()
    watcher = Watcher()

    async def left_early() -> None:
        async with agent.iter('go') as run:
            async for _ in run:
                raise RuntimeError('stop')

    with _effects.install(watcher), pytest.raises(RuntimeError, match='stop'):
        await left_early()
    assert watcher.ended is not None
    assert (watcher.ended.ended, str(watcher.ended.error)) == (False, 'stop')


async def test_deterministic_runs_have_the_same_bytes_every_time():
    async def messages() -> bytes:
        agent, _ = make_agent()
        with _ambient.deterministic():
            return (await agent.run('go')).all_messages_json()

    assert await messages() == await messages()


async def test_calls_of_a_batch_start_in_call_order():
    started = list[int]()

    def many_calls(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) > 1:
            return ModelResponse(parts=[TextPart('done')])
        return ModelResponse(parts=[ToolCallPart('note', {'number': number}) for number in range(20)])

    agent = Agent(FunctionModel(many_calls))

    @agent.tool_plain
    async def note(number: int) -> None:
        started.append(number)
        await anyio.lowlevel.checkpoint()

    await agent.run('go')
    assert started == list(range(20))


def naming_the_model(watcher: Watcher) -> Watcher:
    """Have a watcher note which model is asked."""
    request, stream = watcher.request, watcher.stream

    async def named_request(call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        watcher.noted.append(f'{call.model.model_name} inside={call.inside}')
        return await request(call, do)

    def named_stream(
        call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        watcher.noted.append(f'{call.model.model_name} inside={call.inside}')
        return stream(call, do)

    watcher.request, watcher.stream = named_request, named_stream
    return watcher


def two_models() -> FallbackModel:
    def down(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(503, 'first')

    async def down_stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise ModelHTTPError(503, 'first')
        yield ''

    async def says(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'done'

    return FallbackModel(
        FunctionModel(down, stream_function=down_stream, model_name='first'),
        WrapperModel(FunctionModel(lambda _, __: ModelResponse([TextPart('done')]), stream_function=says)),
    )


ASKED = ['first inside=True', 'function:<lambda>:says inside=True']


async def test_each_model_of_a_fallback_is_asked_by_the_handler():
    watcher = naming_the_model(Watcher())
    with _effects.install(watcher):
        result = await Agent(two_models(), name='helper').run('Hi')
    assert result.output == 'done'
    assert [note for note in watcher.noted if 'inside' in note] == ASKED


async def test_each_model_of_a_fallback_is_asked_for_a_stream_by_the_handler():
    watcher = naming_the_model(Watcher())
    with _effects.install(watcher):
        async with Agent(WrapperModel(two_models()), name='helper').run_stream('Hi') as result:
            assert await result.get_output() == 'done'
    assert [note for note in watcher.noted if 'inside' in note] == ASKED


async def test_each_model_of_a_fallback_is_asked_by_the_handler_of_a_direct_request():
    watcher = naming_the_model(Watcher())
    request = ModelRequest.user_text_prompt('Hi')
    with _effects.install(watcher):
        await model_request(two_models(), [request])
        async with model_request_stream(two_models(), [request]) as stream:
            assert [event async for event in stream]
    assert [note for note in watcher.noted if 'inside' in note] == ASKED * 2


async def test_what_a_model_inside_asks_in_turn_is_no_effect_of_the_run():
    class Opaque(FunctionModel):
        async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> ModelResponse:
            return await two_models().request(messages, model_settings, model_request_parameters)

    watcher = naming_the_model(Watcher())
    with _effects.install(watcher):
        await Agent(FallbackModel(Opaque(calls_then_answers, model_name='opaque')), name='helper').run('Hi')
    assert [note for note in watcher.noted if 'inside' in note] == ['opaque inside=True']


async def test_an_error_that_stops_the_run_is_nothing_to_fall_back_on():
    class Stopped(Exception):  # noqa: N818
        stops_run = True

    class Stopping(Watcher):
        async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
            self.noted.append('asked')
            raise Stopped

    watcher = Stopping()
    models = FallbackModel(*two_models().models, fallback_on=lambda _: True)
    with _effects.install(watcher), pytest.raises(Stopped):
        await Agent(models, name='helper').run('Hi')
    assert watcher.noted.count('asked') == 1
