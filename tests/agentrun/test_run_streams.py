"""Streams that are left early, dropped, cancelled, timed out, or break: on both back ends, with nothing left behind."""

import gc
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Self, cast

import anyio
import pytest

from agentrun import (
    Agent,
    AgentRunError,
    AgentRunResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    FunctionToolset,
    ModelMessage,
    ModelRequestNode,
    ModelResponse,
    PartStartEvent,
    RunContext,
    TextPart,
    ToolReturnPart,
    UserError,
    _effects,
)
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart, ToolBatch, ToolWork
from agentrun.messages import AgentStreamEvent, BuiltinToolCallPart, BuiltinToolReturnPart
from agentrun.models import Model, StreamedResponse
from agentrun.models.function import AgentInfo, BuiltinToolCallsReturns, DeltaToolCall, DeltaToolCalls, FunctionModel
from agentrun.models.test import TestModel
from agentrun.models.wrapper import WrapperModel
from agentrun.result import StreamedRunResult

pytestmark = pytest.mark.anyio

Piece = str | DeltaToolCalls


class Scripted:
    """A model that streams `script`, a list for each response, and notes which of its streams were closed."""

    def __init__(self, *script: list[Piece], pause: float = 0) -> None:
        self.closed: list[int] = []
        self.asked = 0
        self._script = script
        self._pause = pause
        self.model = FunctionModel(stream_function=self._say)

    async def _say(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        number = sum(isinstance(message, ModelResponse) for message in messages)
        self.asked += 1
        try:
            for piece in self._script[number]:
                yield piece
                await anyio.sleep(self._pause)
        finally:
            self.closed.append(number)


def calls(*names: str) -> list[Piece]:
    return [{place: DeltaToolCall(name, '{}', tool_call_id=name)} for place, name in enumerate(names)]


class Tools:
    """An agent with a slow tool, a fast one and a broken one, and what they did.

    Args:
        scripted: The model.
        pause: Seconds that the slow tool takes; where it is to be cancelled, so many that a loaded machine has time.
    """

    def __init__(self, scripted: Scripted, *, pause: float = 0.05) -> None:
        self.did: list[str] = []
        self.pause = pause
        self.released: anyio.Event | None = None
        """What the slow tool waits for, if not for the time to pass."""
        self.when_fast: Callable[[], object] = lambda: None
        """Called when the fast tool has ended."""
        self.agent = Agent(scripted.model)
        for tool in (self.slow, self.fast, self.broken):
            self.agent.tool_plain(tool)

    async def slow(self) -> str:
        try:
            await (anyio.sleep(self.pause) if self.released is None else self.released.wait())
        except BaseException:
            self.did.append('slow was cancelled')
            raise
        self.did.append('slow')
        return 'slow'

    async def fast(self) -> str:
        await anyio.sleep(0.001)
        self.did.append('fast')
        self.when_fast()
        return 'fast'

    async def broken(self) -> str:
        await anyio.sleep(0.001)
        raise ValueError('broken')


def names_of(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


# Left early


async def test_a_model_stream_left_early_is_taken_to_its_end_and_counted():
    scripted = Scripted(['one ', 'two ', 'three'])
    async with Agent(scripted.model).iter('go') as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    async for _ in stream:
                        break
    assert run.result is not None
    assert (run.result.output, run.usage().output_tokens, scripted.asked) == ('one two three', 3, 1)
    assert scripted.closed == [0]


async def test_a_turn_left_early_is_taken_to_its_end():
    tools = Tools(Scripted(calls('slow', 'fast'), ['done']))
    async with tools.agent.iter('go') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    async for _ in events:
                        break
            elif Agent.is_model_request_node(node):
                async with node.stream(run.ctx):
                    pass
    assert tools.did == ['fast', 'slow']
    assert run.result is not None
    assert run.result.output == 'done'


async def test_run_stream_left_early_counts_the_whole_response_and_adds_nothing_to_its_messages():
    async with Agent(Scripted(['one ', 'two ', 'three']).model).run_stream('go') as result:
        async for text in result.stream_text(debounce_by=None):
            assert text == 'one '
            break
    assert not result.is_complete
    assert (len(result.all_messages()), result.usage().output_tokens) == (1, 3)


async def test_run_stream_events_closed_early_closes_the_model_stream_and_ends_the_run():
    scripted, toolset = Scripted(['one ', 'two ', 'three']), Entered()
    async with aclosing(cast('Any', Agent(scripted.model, toolsets=[toolset]).run_stream_events('go'))) as events:
        async for event in events:
            assert isinstance(event, PartStartEvent)
            break
        assert toolset.open == 1
    assert (scripted.closed, toolset.open) == ([0], 0)
    assert [event async for event in events] == []
    await events.aclose()


class Entered(FunctionToolset[None]):
    """A toolset that knows how often it is entered."""

    open = 0

    async def __aenter__(self) -> Self:
        self.open += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open -= 1


# Dropped by a generator of the user's


def streams_of(agent: Agent[None, str]) -> dict[str, Callable[[], AsyncIterator[Any]]]:
    async def run_stream() -> AsyncIterator[Any]:
        async with agent.run_stream('go') as result:
            async for text in result.stream_text(debounce_by=None):
                yield text

    async def outputs() -> AsyncIterator[Any]:
        async with agent.run_stream('go') as result:
            async for text in result.stream_output(debounce_by=0):
                yield text

    async def nodes() -> AsyncIterator[Any]:
        async with agent.iter('go') as run:
            async for node in run:
                if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                    async with cast('Any', node.stream(run.ctx)) as stream:
                        async for event in stream:
                            yield event

    async def events() -> AsyncIterator[Any]:
        async for event in agent.run_stream_events('go'):
            yield event

    return {'run_stream': run_stream, 'outputs': outputs, 'nodes': nodes, 'events': events}


@pytest.mark.parametrize('steps', [1, 2, 4, 6])
@pytest.mark.parametrize('name', ['run_stream', 'outputs', 'nodes', 'events'])
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.filterwarnings('ignore:Async generator')
async def test_a_stream_in_a_generator_that_is_dropped_leaves_the_loop_usable(name: str, steps: int):
    tools = Tools(Scripted(calls('fast', 'slow'), ['one ', 'two ', 'three ', 'four ', 'five']))
    generator = streams_of(tools.agent)[name]()
    for _ in range(steps):
        await anext(generator, None)
    del generator
    gc.collect()
    await anyio.sleep(0.001)
    with anyio.fail_after(5):  # a scope left open would be in the way of this one
        result = await Tools(Scripted(calls('fast', 'slow'), ['done'])).agent.run('go', event_stream_handler=take_all)
    assert result.output == 'done'


@pytest.mark.parametrize('name', ['run_stream', 'outputs', 'nodes'])
async def test_a_generator_that_is_closed_closes_the_model_stream(name: str):
    scripted = Scripted(['one ', 'two ', 'three ', 'four ', 'five'])
    generator: Any = streams_of(Agent(scripted.model))[name]()
    async with aclosing(generator):
        await anext(generator)
    assert scripted.closed == [0]


async def take_all(ctx: RunContext[None], events: AsyncIterable[AgentStreamEvent]) -> None:
    async for _ in events:
        pass


# Cancelled, timed out


@pytest.mark.parametrize('name', ['run_stream', 'outputs', 'nodes', 'events'])
async def test_a_stream_that_is_cancelled_from_outside_closes_the_model_stream(name: str):
    scripted = Scripted(['one ', 'two '], pause=10)
    with anyio.move_on_after(0.02) as scope:
        async for _ in streams_of(Agent(scripted.model))[name]():
            pass
    assert scope.cancelled_caught
    assert scripted.closed == [0]


@pytest.mark.parametrize('name', ['nodes', 'events', 'handler'])
async def test_tools_of_a_stream_that_is_cancelled_from_outside_are_cancelled(name: str):
    tools = Tools(Scripted(calls('fast', 'slow'), ['done']), pause=60)
    with anyio.CancelScope() as scope:
        tools.when_fast = scope.cancel
        if name == 'handler':
            await tools.agent.run('go', event_stream_handler=take_all)
        else:
            async for _ in streams_of(tools.agent)[name]():
                pass
    assert scope.cancelled_caught
    assert tools.did == ['fast', 'slow was cancelled']


async def test_a_time_limit_for_each_step_ends_the_stream_and_the_response_stays_what_had_come():
    scripted = Scripted(['one ', 'two '], pause=10)
    async with Agent(scripted.model).iter('go') as run:
        node = await anext(run), await anext(run)
        async with cast('Any', node[1]).stream(run.ctx) as stream:
            got: list[Any] = []
            while True:
                with anyio.move_on_after(0.25) as step:
                    got.append(await anext(aiter(stream), None))
                if step.cancelled_caught:
                    break
            assert await anext(aiter(stream), None) is None
        await anext(run)
        assert run.all_messages()[-1].parts == [TextPart('one ')]
    assert names_of(got) == ['PartStartEvent', 'FinalResultEvent']


@pytest.mark.parametrize('live', [True, False])
async def test_a_time_limit_for_a_step_of_a_turn_cancels_its_tools_and_the_run_cannot_go_on(live: bool):
    tools = Tools(Scripted(calls('fast', 'slow'), ['done']), pause=60)

    async def impatient(ctx: RunContext[None], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            if isinstance(event, FunctionToolCallEvent) and event.tool_call_id == 'slow':
                break
        iterator = aiter(events)
        with anyio.move_on_after(60) as limit:
            tools.when_fast = limit.cancel
            while await anext(iterator, None) is not None:
                pass

    async def by_node() -> None:
        async with tools.agent.iter('go') as run:
            async for node in run:
                if Agent.is_model_request_node(node):
                    async with node.stream(run.ctx):
                        pass
                elif Agent.is_call_tools_node(node):
                    async with node.stream(run.ctx) as events:
                        await impatient(cast('Any', None), events)

    with pytest.raises(AgentRunError, match='cannot go on'):
        await (tools.agent.run('go', event_stream_handler=impatient) if live else by_node())
    assert tools.did == ['fast', 'slow was cancelled']


async def test_a_node_cannot_run_while_it_is_streamed_nor_be_streamed_twice():
    async with Agent(Scripted(['one ', 'two ']).model).iter('go') as run:
        await anext(run)
        node = await anext(run)
        assert Agent.is_model_request_node(node)
        async with node.stream(run.ctx):
            with pytest.raises(AgentRunError, match='You must finish streaming before calling'):
                await node.run(run.ctx)
            with pytest.raises(AssertionError, match='only be called once'):
                node.stream(run.ctx)


# Errors


@pytest.mark.parametrize('name', ['nodes', 'events', 'handler'])
async def test_the_first_error_of_a_batch_is_raised_as_itself(name: str):
    tools = Tools(Scripted(calls('slow', 'broken'), ['done']), pause=60)

    async def run() -> None:
        if name == 'handler':
            await tools.agent.run('go', event_stream_handler=take_all)
        else:
            async for _ in streams_of(tools.agent)[name]():
                pass

    with pytest.raises(ValueError, match=r'^broken$') as caught:
        await run()
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert tools.did == ['slow was cancelled']


async def test_an_error_of_a_handler_is_raised_as_itself_and_cancels_the_tools():
    tools = Tools(Scripted(calls('fast', 'slow'), ['done']), pause=60)

    async def failing(ctx: RunContext[None], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            if event.event_kind == 'function_tool_result':
                raise LookupError('handler')

    with pytest.raises(LookupError, match=r'^handler$') as caught:
        await tools.agent.run('go', event_stream_handler=failing)
    assert caught.value.__context__ is None
    assert tools.did == ['fast', 'slow was cancelled']


async def test_an_error_in_the_block_closes_the_model_stream_and_is_raised_as_itself():
    scripted = Scripted(['one ', 'two '])
    with pytest.raises(LookupError, match=r'^mine$') as caught:
        async with Agent(scripted.model).run_stream('go'):
            raise LookupError('mine')
    assert (scripted.closed, caught.value.__context__) == ([0], None)


async def test_a_stream_that_breaks_raises_its_error_as_itself_while_it_is_left():
    async def breaking(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'one '
        raise ValueError('broke off')

    with pytest.raises(ValueError, match=r'^broke off$'):
        async with Agent(FunctionModel(stream_function=breaking)).run_stream('go'):
            pass


# Results of tools


async def test_a_handler_gets_each_result_as_soon_as_it_is_there():
    tools = Tools(Scripted(calls('slow', 'fast'), ['done']))
    tools.released = anyio.Event()

    async def handler(ctx: RunContext[None], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            if isinstance(event, FunctionToolResultEvent):
                tools.did.append(f'told of {event.tool_call_id}')
                cast('anyio.Event', tools.released).set()

    result = await tools.agent.run('go', event_stream_handler=handler)
    assert tools.did == ['fast', 'told of fast', 'slow', 'told of slow']
    returns = [part.tool_name for part in result.all_messages()[2].parts if isinstance(part, ToolReturnPart)]
    assert returns == ['slow', 'fast']


@pytest.mark.parametrize('name', ['nodes', 'events'])
async def test_results_come_in_the_order_in_which_calls_ended_after_all_calls(name: str):
    tools = Tools(Scripted(calls('slow', 'fast'), ['done']))
    events = [event async for event in streams_of(tools.agent)[name]()]
    told = [e for e in events if isinstance(e, FunctionToolCallEvent | FunctionToolResultEvent)]
    assert [f'{type(event).__name__} {event.tool_call_id}' for event in told] == [
        'FunctionToolCallEvent slow',
        'FunctionToolCallEvent fast',
        'FunctionToolResultEvent fast',
        'FunctionToolResultEvent slow',
    ]


async def test_the_handler_of_an_agent_is_asked_unless_the_run_has_its_own():
    asked: list[str] = []

    def handler(name: str) -> Callable[[RunContext[None], AsyncIterable[AgentStreamEvent]], Awaitable[None]]:
        async def handle(ctx: RunContext[None], events: AsyncIterable[AgentStreamEvent]) -> None:
            asked.append(name)

        return handle

    agent = Agent(TestModel(), event_stream_handler=handler('agent'))
    assert agent.event_stream_handler is not None
    await agent.run('go')
    await agent.run('go', event_stream_handler=handler('run'))
    async with agent.run_stream('go', event_stream_handler=handler('run_stream')):
        pass
    async for _ in agent.run_stream_events('go'):
        pass
    assert asked == ['agent', 'agent', 'run', 'run', 'run_stream', 'run_stream']


async def test_events_of_builtin_tools_are_told_without_a_warning():
    async def say(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        call: BuiltinToolCallsReturns = {0: BuiltinToolCallPart('web_search', {}, tool_call_id='a')}
        yield call
        result: BuiltinToolCallsReturns = {1: BuiltinToolReturnPart('web_search', {}, tool_call_id='a')}
        yield result
        yield 'found'

    events = [event async for event in Agent(FunctionModel(stream_function=say)).run_stream_events('go')]
    assert names_of(events)[-3:] == ['BuiltinToolCallEvent', 'BuiltinToolResultEvent', 'AgentRunResultEvent']


async def test_the_name_of_an_agent_is_inferred_by_every_way_to_stream():
    mine = Agent(TestModel())
    async with mine.run_stream('go'):
        assert mine.name == 'mine'
    other = Agent(TestModel())
    async for _ in other.run_stream_events('go'):
        assert other.name == 'other'


async def test_stream_text_of_another_output_is_refused():
    async with Agent(TestModel(), output_type=int).run_stream('go') as result:
        with pytest.raises(UserError, match='can only be used with text responses'):
            result.stream_text()


# Without async


def test_run_stream_sync_gives_plain_iterators_and_leaves_the_run_at_their_end():
    toolset = Entered()
    own_name = Agent(Scripted(['one ', 'two ', 'three']).model, toolsets=[toolset])
    result = own_name.run_stream_sync('go')
    assert (own_name.name, toolset.open, result.is_complete) == ('own_name', 1, False)
    assert list(result.stream_text(delta=True, debounce_by=None)) == ['one ', 'two ', 'three']
    assert (toolset.open, result.is_complete) == (0, True)
    assert result.get_output() == 'one two three'
    assert [type(message).__name__ for message in result.all_messages()] == ['ModelRequest', 'ModelResponse']
    assert result.new_messages_json() == result.all_messages_json()
    assert result.new_messages()[-1].parts == result.response.parts
    assert (result.usage().requests, result.timestamp()) == (1, result.response.timestamp)
    assert result.run_id == result.new_messages()[-1].run_id
    assert result.validate_response_output(result.response) == 'one two three'


def test_outputs_and_responses_can_be_had_without_async():
    def streamed() -> Any:
        return Agent(Scripted(['one ', 'two']).model).run_stream_sync('go')

    assert list(streamed().stream_output(debounce_by=None)) == ['one ', 'one two']
    assert [last for _, last in streamed().stream_responses(debounce_by=None)] == [False, False, False, True]


def test_a_stream_that_breaks_without_async_leaves_the_run():
    async def breaking(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'one '
        raise ValueError('broke off')

    toolset = Entered()
    result = Agent(FunctionModel(stream_function=breaking), toolsets=[toolset]).run_stream_sync('go')
    with pytest.raises(ValueError, match=r'^broke off$'):
        result.get_output()
    assert toolset.open == 0


# The seam


class Watcher:
    """A handler that takes streams through and notes what it is told."""

    def __init__(self, source: Any) -> None:
        self.noted: list[str] = []
        self.source = source

    def start(self, run: RunStart) -> RunHandler | None:
        return self

    def node(self, node: object) -> None:
        self.noted.append(type(node).__name__)

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        raise AssertionError(call)

    def stream(
        self, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        self.noted.append(f'stream {call.step}')
        return do()

    async def count_tokens(self, call: Any, do: Any) -> Any:
        raise AssertionError(call)

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        self.noted.append(f'batch of {len(batch.calls)}')
        await work.perform(work.execute)

    def finished(self, end: RunEnd) -> None:
        self.noted.append(f'ended {end.ended}')


@pytest.mark.parametrize('name', ['run_stream', 'nodes', 'events', 'handler'])
async def test_a_handler_of_effects_is_told_once_of_each_node_before_its_effects(name: str):
    tools = Tools(Scripted(calls('fast', 'slow'), ['done']))
    watcher = Watcher(_effects_source())
    with _effects.install(watcher):
        if name == 'handler':
            await tools.agent.run('go', event_stream_handler=take_all)
        else:
            async for _ in streams_of(tools.agent)[name]():
                pass
    last = 'SetFinalResult' if name == 'run_stream' else 'CallToolsNode'
    assert watcher.noted == [
        'UserPromptNode',
        'ModelRequestNode',
        'stream 1',
        'CallToolsNode',
        'batch of 2',
        'ModelRequestNode',
        'stream 2',
        last,
        'End',
        'ended True',
    ]


def _effects_source() -> Any:
    from agentrun._ambient import LogicalSource

    return LogicalSource('watched')


@pytest.mark.parametrize('name', ['run_stream', 'events'])
async def test_streams_are_stamped_by_the_clock_and_ids_of_the_run(name: str):
    from agentrun._ambient import BASE_TIME

    async def say(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[DeltaToolCalls]:
        yield {0: DeltaToolCall('final_result', '{"response": 1}')}

    seen: list[Any] = []
    with _effects.install(Watcher(_effects_source())):
        agent = Agent(FunctionModel(stream_function=say), output_type=int)
        if name == 'run_stream':
            async with agent.run_stream('go') as result:
                await result.get_output()
            seen = result.all_messages()
        else:
            async for event in agent.run_stream_events('go'):
                seen = event.result.all_messages() if isinstance(event, AgentRunResultEvent) else []
    assert [(message.timestamp - BASE_TIME).total_seconds() for message in seen] == [1, 1, 1]
    assert {message.run_id for message in seen} == {_effects_source().run_id()}
    assert seen[1].parts[0].tool_call_id == _effects_source().tool_call_id()


async def test_a_streamed_result_that_holds_neither_stream_nor_result_says_so():
    nothing = StreamedRunResult[None, str]([], 0)
    with pytest.raises(ValueError, match='No stream response or run result provided'):
        await nothing.get_output()
    with pytest.raises(NotImplementedError, match='Setting output tool return content is not supported'):
        nothing.all_messages(output_tool_return_content='x')


class Watched(WrapperModel):
    """Tells when a stream of the wrapped model is opened and closed, and by which error."""

    def __init__(self, wrapped: Model) -> None:
        super().__init__(wrapped)
        self.log: list[str] = []

    @asynccontextmanager
    async def request_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[StreamedResponse]:
        async with super().request_stream(*args, **kwargs) as stream:
            self.log.append('open')
            try:
                yield stream
            except Exception as error:
                self.log.append(str(error))
                raise
            finally:
                self.log.append('closed')


async def test_the_stream_of_a_model_is_closed_when_the_rest_of_it_cannot_be_taken():
    async def breaks(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncGenerator[str]:
        yield 'one '
        yield 'two'
        raise ValueError('the line is dead')

    async def leave_early(model: Model) -> None:
        async with Agent(model).iter('go') as run:
            node = await run.next(run.next_node)  # type: ignore[arg-type]
            assert isinstance(node, ModelRequestNode)
            async with node.stream(run.ctx) as stream:
                async for _ in stream:
                    break

    model = Watched(FunctionModel(stream_function=breaks))
    with pytest.raises(ValueError, match='the line is dead'):
        await leave_early(model)
    assert model.log == ['open', 'the line is dead', 'closed']
