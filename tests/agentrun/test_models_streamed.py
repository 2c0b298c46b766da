"""What a subclass yields, and what a stream makes of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from agentrun.messages import (
    BinaryContent,
    BinaryImage,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    FinalResultEvent,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
)
from agentrun.models import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._streamed import Opening, Ready
from agentrun.models.test import TestModel
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

pytestmark = pytest.mark.anyio

NOTHING = ModelRequestParameters(allow_text_output=False)
TEXT = ModelRequestParameters()
IMAGE = FilePart(BinaryImage(b'x', media_type='image/png'))
RETURN = BuiltinToolReturnPart('search', 'found', 'b')


@dataclass
class Scripted(StreamedResponse):
    """Streams whole parts, texts, errors, as users write it."""

    script: list[Any]
    closed: bool = field(default=False, init=False)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        try:
            for number, item in enumerate(self.script):
                if isinstance(item, Exception):
                    raise item
                self._usage = self._usage + RequestUsage(output_tokens=1)
                if isinstance(item, str):
                    for event in self._parts_manager.handle_text_delta(vendor_part_id='text', content=item):
                        yield event
                else:
                    yield self._parts_manager.handle_part(vendor_part_id=number, part=item)
        finally:
            self.closed = True

    @property
    def model_name(self) -> str:
        return 'm'

    @property
    def provider_name(self) -> str:
        return 'p'

    @property
    def provider_url(self) -> str:
        return 'u'

    @property
    def timestamp(self) -> datetime:
        return datetime(2000, 1, 1, tzinfo=UTC)


async def events(*script: Any, params: ModelRequestParameters = NOTHING) -> list[ModelResponseStreamEvent]:
    return [event async for event in Scripted(params, list(script))]


async def test_each_part_ends_before_the_next_begins():
    first, second = ThinkingPart('a'), ToolCallPart('t', {}, 'c')
    assert await events(first, second) == [
        PartStartEvent(index=0, part=first),
        PartEndEvent(index=0, part=first, next_part_kind='tool-call'),
        PartStartEvent(index=1, part=second, previous_part_kind='thinking'),
        PartEndEvent(index=1, part=second),
    ]


async def test_the_end_of_a_part_holds_all_of_it():
    assert await events('a', 'b') == [
        PartStartEvent(index=0, part=TextPart('a')),
        PartDeltaEvent(index=0, delta=TextPartDelta('b')),
        PartEndEvent(index=0, part=TextPart('ab')),
    ]


async def test_files_and_returns_of_built_in_tools_have_no_end():
    call = BuiltinToolCallPart('search', {}, 'b')
    assert await events(call, RETURN, IMAGE) == [
        PartStartEvent(index=0, part=call),
        PartEndEvent(index=0, part=call, next_part_kind='builtin-tool-return'),
        PartStartEvent(index=1, part=RETURN, previous_part_kind='builtin-tool-call'),
        PartStartEvent(index=2, part=IMAGE, previous_part_kind='builtin-tool-return'),
    ]


async def test_behind_a_call_whose_tool_never_came_parts_end_in_an_error_as_in_the_library_that_is_followed():
    class Unfinished(Scripted):
        async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
            assert self._parts_manager.handle_tool_call_delta(vendor_part_id='call', args='{') is None
            for event in self._parts_manager.handle_text_delta(vendor_part_id='text', content='a'):
                yield event

    stream = Unfinished(NOTHING, [])
    iterator = aiter(stream)
    assert await anext(iterator) == PartStartEvent(index=1, part=TextPart('a'))
    with pytest.raises(IndexError) as raised:
        await anext(iterator)
    assert raised.value.__context__ is None
    assert stream.get().parts == [TextPart('a')]


async def test_a_stream_of_nothing_has_no_events():
    assert await events() == []


def offering(kind: Any) -> ModelRequestParameters:
    return ModelRequestParameters(function_tools=[ToolDefinition(name='t', kind=kind)], allow_text_output=False)


@pytest.mark.parametrize(
    ('part', 'params', 'expected'),
    [
        (TextPart('a'), TEXT, FinalResultEvent(tool_name=None, tool_call_id=None)),
        (TextPart('a'), NOTHING, None),
        (ThinkingPart('a'), TEXT, None),
        (IMAGE, ModelRequestParameters(allow_image_output=True), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (IMAGE, TEXT, None),
        (FilePart(BinaryContent(b'', media_type='a/b')), ModelRequestParameters(allow_image_output=True), None),
        (ToolCallPart('t', {}, 'c'), offering('output'), FinalResultEvent(tool_name='t', tool_call_id='c')),
        (ToolCallPart('t', {}, 'c'), offering('external'), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (ToolCallPart('t', {}, 'c'), offering('unapproved'), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (ToolCallPart('t', {}, 'c'), offering('function'), None),
        (ToolCallPart('t', {}, 'c'), NOTHING, None),
    ],
)
async def test_the_notice_of_the_result_follows_the_start_that_matches(
    part: ModelResponsePart, params: ModelRequestParameters, expected: FinalResultEvent | None
):
    found = await events(part, params=params)
    start = PartStartEvent(index=0, part=part)
    end = [PartEndEvent(index=0, part=part)] if part.part_kind != 'file' else []
    assert found == [start, *([expected] if expected else []), *end]


async def test_the_result_is_noticed_once():
    found = await events('a', ToolCallPart('t', {}, 'c'), 'b', params=TEXT)
    assert [event.event_kind for event in found] == [
        'part_start', 'final_result', 'part_end', 'part_start', 'part_delta', 'part_end',
    ]  # fmt: skip


async def test_the_stream_knows_the_notice_when_it_is_handed_out():
    stream = Scripted(TEXT, ['a'])
    iterator = aiter(stream)
    await anext(iterator)
    assert stream.final_result_event is None
    assert await anext(iterator) == stream.final_result_event


async def test_the_response_so_far_can_be_had_at_any_time():
    stream = Scripted(TEXT, ['a', 'b'])
    seen = [stream.get()]
    async for event in stream:
        if not isinstance(event, FinalResultEvent | PartEndEvent):
            seen.append(stream.get())  # noqa: PERF401, beside the loop's own state
    assert [(response.text, response.usage.output_tokens) for response in seen] == [(None, 0), ('a', 1), ('ab', 2)]


async def test_the_response_carries_what_the_provider_said():
    stream = Scripted(TEXT, [])
    stream.provider_response_id, stream.provider_details, stream.finish_reason = 'r', {'k': 1}, 'stop'
    assert stream.get() == ModelResponse(
        parts=[],
        model_name='m',
        timestamp=datetime(2000, 1, 1, tzinfo=UTC),
        provider_name='p',
        provider_url='u',
        provider_response_id='r',
        provider_details={'k': 1},
        finish_reason='stop',
    )


async def test_a_second_loop_goes_on_with_the_first():
    stream = Scripted(NOTHING, ['a', 'b'])
    async for _ in stream:
        break
    assert [event.event_kind async for event in stream] == ['part_delta', 'part_end']
    assert [event async for event in stream] == []


async def test_a_stream_that_broke_is_over():
    stream = Scripted(NOTHING, ['a', ValueError('broken'), 'b'])
    with pytest.raises(ValueError, match='broken') as raised:
        async for _ in stream:
            pass
    assert raised.value.__context__ is None
    assert [event async for event in stream] == []
    assert stream.get().text == 'a'


async def test_a_stream_that_is_closed_early_ends_its_generator_at_once():
    stream = Scripted(NOTHING, ['a', 'b'])
    await anext(aiter(stream))
    await stream.aclose()
    assert stream.closed
    assert [event async for event in stream] == []


async def test_only_one_task_may_wait_for_the_next_event():
    class Waiting(Scripted):
        async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
            await anyio.sleep_forever()
            yield PartEndEvent(index=0, part=TextPart('never'))

    iterator = aiter(Waiting(NOTHING, []))

    async def wait() -> None:
        await anext(iterator)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match=r'^anext\(\): asynchronous generator is already running$'):
            await anext(iterator)
        group.cancel_scope.cancel()
    assert [event async for event in iterator] == []


async def test_a_stream_that_never_began_can_be_closed():
    stream = Scripted(NOTHING, ['a'])
    await stream.aclose()
    assert not stream.closed
    assert [event async for event in stream] == []


async def test_leaving_the_context_of_a_request_closes_the_stream():
    made = Scripted(NOTHING, ['a', 'b'])

    async def request() -> StreamedResponse:
        return made

    async with Opening(request) as stream:
        await anext(aiter(stream))
        assert not made.closed
    assert made.closed


async def test_an_iterator_that_cannot_be_closed_is_left_alone():
    class Whole(Scripted):
        def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
            return Ready([PartEndEvent(index=0, part=TextPart('a'))])

    stream = Whole(NOTHING, [])
    assert [event async for event in aiter(stream)] == [PartEndEvent(index=0, part=TextPart('a'))]
    await stream.aclose()


async def test_values_that_are_there_can_be_iterated():
    assert [value async for value in Ready('ab')] == ['a', 'b']


async def test_a_model_that_cannot_stream_says_so():
    class Mute(TestModel):
        request_stream = Model.request_stream

    with pytest.raises(NotImplementedError) as raised:
        Mute().request_stream([], None, TEXT)
    assert str(raised.value) == 'Streamed requests not supported by this Mute'
