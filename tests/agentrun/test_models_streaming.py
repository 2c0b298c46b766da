"""Scripted models that stream: a function's pieces, and the test model's words."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import anyio
import pytest

from agentrun._ambient import BASE_TIME, LogicalSource, use
from agentrun.builtin_tools import WebSearchTool
from agentrun.exceptions import UserError
from agentrun.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FinalResultEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from agentrun.models import Model, ModelRequestParameters
from agentrun.models.function import (
    AgentInfo,
    DeltaThinkingPart,
    DeltaToolCall,
    FunctionModel,
    FunctionStreamedResponse,
)
from agentrun.models.test import TestModel, TestStreamedResponse
from agentrun.settings import ModelSettings
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

pytestmark = pytest.mark.anyio

ASKED: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart('Say hello to all')])]
TEXT = ModelRequestParameters()
TOOL = ToolDefinition(name='get', parameters_json_schema={'type': 'object', 'properties': {}})


class Spy:
    """A function for streams that gives items in order and notes what became of it."""

    __name__ = 'spy'

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.asked: list[tuple[list[ModelMessage], AgentInfo]] = []
        self.closed = 0

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.asked.append((messages, info))
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed += 1


async def streamed(model: Model, params: ModelRequestParameters = TEXT) -> tuple[list[str], ModelResponse]:
    """Kinds of all events, and the response at the end."""
    async with model.request_stream(ASKED, None, params) as stream:
        return [event.event_kind async for event in stream], stream.get()


async def test_text_of_a_function_is_one_part():
    async with FunctionModel(stream_function=Spy('hello ', 'world')).request_stream(ASKED, None, TEXT) as stream:
        assert [event async for event in stream] == [
            PartStartEvent(index=0, part=TextPart('hello ')),
            FinalResultEvent(tool_name=None, tool_call_id=None),
            PartDeltaEvent(index=0, delta=TextPartDelta('world')),
            PartEndEvent(index=0, part=TextPart('hello world')),
        ]


async def test_pieces_with_a_number_make_the_part_of_that_number():
    call, found = BuiltinToolCallPart('search', {'q': 'a b'}, 'b'), BuiltinToolReturnPart('search', 'it is', 'b')
    spy = Spy(
        {0: DeltaThinkingPart(content='so ')},
        {0: DeltaThinkingPart(content='what'), 1: DeltaToolCall(json_args='{')},
        {0: DeltaThinkingPart(signature='s')},
        {1: DeltaToolCall('get', tool_call_id='c')},
        {1: DeltaToolCall(json_args='}')},
        {2: call, 3: found},
    )
    kinds, response = await streamed(FunctionModel(stream_function=spy))
    assert response.parts == [
        ThinkingPart('so what', signature='s', provider_name='function'),
        ToolCallPart('get', '{}', 'c'),
        call,
        found,
    ]
    assert kinds == [
        *('part_start', 'part_delta', 'part_delta', 'part_end'),
        *('part_start', 'part_delta', 'part_end'),
        *('part_start', 'part_end', 'part_start'),
    ]


async def test_a_function_is_charged_fifty_tokens_and_what_it_streams():
    call, found = BuiltinToolCallPart('search', {'q': 'b'}, 'b'), BuiltinToolReturnPart('search', 'it is', 'b')
    spy = Spy(
        'two words', {1: DeltaToolCall('get', 'x y z')}, {2: DeltaThinkingPart(content='hm')}, {3: call, 4: found}
    )
    _, response = await streamed(FunctionModel(stream_function=spy))
    assert response.usage == RequestUsage(input_tokens=50, output_tokens=2 + 3 + 1 + 4 + 2)


async def test_usage_that_was_handed_out_stays_as_it_was():
    async with FunctionModel(stream_function=Spy('a', 'b c')).request_stream(ASKED, None, TEXT) as stream:
        seen = [stream.usage()]
        async for _ in stream:
            seen.append(stream.usage())  # noqa: PERF401, the stream's own state
    assert [usage.output_tokens for usage in seen] == [0, 1, 1, 3, 3]


async def test_each_piece_shows_when_its_event_is_handed_out():
    spy = Spy({0: DeltaToolCall('a', tool_call_id='1'), 1: DeltaToolCall('b', tool_call_id='2')})
    async with FunctionModel(stream_function=spy).request_stream(ASKED, None, TEXT) as stream:
        await anext(aiter(stream))
        assert stream.get().tool_calls == [ToolCallPart('a', None, '1')]


async def test_what_is_neither_text_nor_pieces_is_passed_over():
    _, response = await streamed(FunctionModel(stream_function=Spy(None, {}, 'a')))
    assert response.parts == [TextPart('a')]


async def test_a_piece_of_an_unknown_class_is_an_error():
    with pytest.raises(AssertionError, match="'neither'"):
        await streamed(FunctionModel(stream_function=Spy({0: 'neither'})))


async def test_a_function_is_told_what_is_on_offer():
    spy = Spy('a')
    model = FunctionModel(stream_function=spy, settings=ModelSettings(temperature=0))
    params = ModelRequestParameters(function_tools=[TOOL])
    asked: list[ModelMessage] = [ModelRequest(parts=[], instructions='Be brief.')]
    async with model.request_stream(asked, ModelSettings(seed=1), params):
        pass
    assert spy.asked == [
        (
            asked,
            AgentInfo(
                function_tools=[TOOL],
                allow_text_output=True,
                output_tools=[],
                model_settings=ModelSettings(temperature=0, seed=1),
                model_request_parameters=params,
                instructions='Be brief.',
            ),
        )
    ]


async def hello(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart('hello')])


def test_a_function_model_is_named_after_its_functions():
    assert FunctionModel(hello, stream_function=Spy()).model_name == 'function:hello:spy'
    assert FunctionModel(stream_function=Spy()).model_name == 'function::spy'
    assert FunctionModel(hello).model_name == 'function:hello:'


async def test_a_stream_of_a_function_names_the_model_and_no_provider():
    with use(LogicalSource('run')):
        async with FunctionModel(stream_function=Spy('a'), model_name='m').request_stream(ASKED, None, TEXT) as stream:
            response = stream.get()
    assert (response.model_name, response.provider_name, response.provider_url) == ('m', None, None)
    assert response.timestamp == BASE_TIME


async def test_a_request_needs_the_function_for_its_kind():
    with pytest.raises(AssertionError) as raised:
        await FunctionModel(stream_function=Spy('a')).request(ASKED, None, TEXT)
    assert str(raised.value) == 'FunctionModel must receive a `function` to support non-streamed requests'
    with pytest.raises(AssertionError) as raised:
        await streamed(FunctionModel(hello))
    assert str(raised.value) == 'FunctionModel must receive a `stream_function` to support streamed requests'


async def test_a_function_that_yields_nothing_is_refused():
    with pytest.raises(ValueError) as raised:
        await streamed(FunctionModel(stream_function=Spy()))
    assert str(raised.value) == 'Stream function must return at least one item'
    assert raised.value.__context__ is None


async def test_an_error_before_the_first_item_is_raised_on_entering():
    with pytest.raises(KeyError, match='broken'):
        await streamed(FunctionModel(stream_function=Spy(KeyError('broken'))))


async def test_an_error_in_mid_stream_is_raised_as_itself():
    spy = Spy('a', KeyError('broken'))
    async with FunctionModel(stream_function=spy).request_stream(ASKED, None, TEXT) as stream:
        with pytest.raises(KeyError, match='broken') as raised:
            _ = [event async for event in stream]
        assert raised.value.__context__ is None
        assert stream.get().text == 'a'


@pytest.mark.parametrize('taken', [0, 1, 3])
async def test_a_stream_that_is_left_early_closes_the_function(taken: int):
    spy = Spy('a', 'b', 'c', 'd')
    async with FunctionModel(stream_function=spy).request_stream(ASKED, None, TEXT) as stream:
        iterator = aiter(stream)
        for _ in range(taken):
            await anext(iterator)
    assert spy.closed == 1
    assert [event async for event in stream] == []


async def test_a_stream_that_is_cancelled_from_outside_closes_the_function():
    closed = anyio.Event()

    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        try:
            yield 'a'
            await anyio.sleep_forever()
        finally:
            closed.set()

    with anyio.move_on_after(0.02) as scope:
        await streamed(FunctionModel(stream_function=endless))
    assert scope.cancelled_caught
    assert closed.is_set()


async def test_a_timeout_around_one_step_ends_the_stream_and_nothing_else():
    async def slow(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'a'
        await anyio.sleep_forever()

    async with FunctionModel(stream_function=slow).request_stream(ASKED, None, TEXT) as stream:
        seen: list[str] = []
        iterator = aiter(stream)
        with anyio.move_on_after(0.02):
            while True:
                seen.append((await anext(iterator)).event_kind)
        assert seen == ['part_start', 'final_result']
        assert [event async for event in stream] == []
        assert stream.get().text == 'a'


async def test_a_stream_that_a_generator_of_the_user_abandons_is_closed_with_it():
    spy = Spy('a', 'b')

    async def mine() -> AsyncIterator[object]:
        async with FunctionModel(stream_function=spy).request_stream(ASKED, None, TEXT) as stream:
            async for event in stream:
                yield event

    generator = cast('Any', mine())
    await anext(generator)
    await generator.aclose()
    assert spy.closed == 1


async def test_what_a_stream_iterates_over_can_be_iterated_itself():
    async with FunctionModel(stream_function=Spy('a', 'b')).request_stream(ASKED, None, TEXT) as opened:
        stream = cast('FunctionStreamedResponse', opened)
        assert aiter(stream._iter) is stream._iter
        events = [event.event_kind async for event in stream._get_event_iterator()]
    assert events == ['part_start', 'part_delta']


async def test_any_async_iterator_will_do():
    class Letters:
        def __init__(self) -> None:
            self.left: Iterator[str] = iter('ab')

        def __aiter__(self) -> AsyncIterator[str]:
            return self

        async def __anext__(self) -> str:
            for letter in self.left:
                return letter
            raise StopAsyncIteration

    def letters(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        return Letters()

    _, response = await streamed(FunctionModel(stream_function=letters))
    assert response.parts == [TextPart('ab')]


@pytest.mark.parametrize(
    ('text', 'pieces'),
    [
        ('two words here', ['two ', 'words ', 'here']),
        ('word', ['wo', 'rd']),
        ('ab', ['ab']),
        ('', ['']),
        ('a ', ['a ', '']),
    ],
)
async def test_the_test_model_streams_text_word_by_word(text: str, pieces: list[str]):
    async with TestModel(custom_output_text=text).request_stream(ASKED, None, TEXT) as stream:
        assert [event async for event in stream] == [
            PartStartEvent(index=0, part=TextPart('')),
            FinalResultEvent(tool_name=None, tool_call_id=None),
            *(PartDeltaEvent(index=0, delta=TextPartDelta(piece)) for piece in pieces),
            PartEndEvent(index=0, part=TextPart(text)),
        ]


async def test_the_test_model_streams_each_tool_call_at_once():
    kinds, response = await streamed(TestModel(), ModelRequestParameters(function_tools=[TOOL]))
    assert kinds == ['part_start', 'part_end']
    assert response.parts == [ToolCallPart('get', {}, 'pyd_ai_tool_call_id__get')]


async def test_the_test_model_counts_what_was_asked_and_the_text_that_it_streams():
    _, response = await streamed(TestModel(custom_output_text='two words'))
    assert response.usage == RequestUsage(input_tokens=50 + 4, output_tokens=1 + 1)
    _, response = await streamed(TestModel(), ModelRequestParameters(function_tools=[TOOL]))
    assert response.usage == RequestUsage(input_tokens=50 + 4)


async def test_a_stream_of_the_test_model_names_model_and_provider():
    with use(LogicalSource('run')):
        async with TestModel(model_name='m').request_stream(ASKED, None, TEXT) as stream:
            response = stream.get()
    assert (response.model_name, response.provider_name, response.provider_url) == ('m', 'test', None)
    assert response.timestamp == BASE_TIME
    assert isinstance(stream, TestStreamedResponse)


async def test_the_test_model_keeps_what_a_streamed_request_offered():
    model = TestModel()
    await streamed(model, ModelRequestParameters(function_tools=[TOOL]))
    assert model.last_model_request_parameters == ModelRequestParameters(function_tools=[TOOL])


async def test_the_test_model_refuses_built_in_tools_in_streams_too():
    with pytest.raises(UserError) as raised:
        await streamed(TestModel(), ModelRequestParameters(builtin_tools=[WebSearchTool()]))
    assert str(raised.value) == 'TestModel does not support built-in tools'
