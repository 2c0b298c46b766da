"""Streams of models through both libraries: same events, same response and usage after each, same errors."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.both import Library, stable

pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

OURS = Library('agentrun', 'agentrun.graph')
THEIRS = Library('pydantic_ai', 'pydantic_graph')

Made: TypeAlias = Callable[[Library], Any]
"""Something to be made with the classes of a library."""


class Offer(NamedTuple):
    """What a request offers and allows."""

    text: bool
    image: bool
    mode: str
    kinds: tuple[str, ...]
    """Kinds of the tools `t0`, `t1`, ..."""

    def parameters(self, library: Library) -> Any:
        tools = [library.ToolDefinition(name=f't{place}', kind=kind) for place, kind in enumerate(self.kinds)]
        return library.ModelRequestParameters(
            function_tools=[tool for tool in tools if tool.kind != 'output'],
            output_tools=[tool for tool in tools if tool.kind == 'output'],
            output_mode=self.mode,
            allow_text_output=self.text,
            allow_image_output=self.image,
        )


def drive(work: Coroutine[Any, Any, object]) -> object:
    """Run what never waits, without any event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError('it waits')


def shown(library: Library, error: Exception) -> object:
    return [type(error).__name__, str(error), type(error.__context__).__name__]


async def told(library: Library, stream: Any) -> list[object]:
    """The events of a stream, and what it holds after each."""
    seen: list[object] = [repr(stream.get())]
    try:
        async for event in stream:
            # one by one: what was seen before an error is compared too
            seen.append([repr(event), repr(stream.get()), repr(stream.final_result_event)])  # noqa: PERF401
    except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
        seen.append(shown(library, error))
    seen.append([repr(event) async for event in stream])
    return [*seen, repr(stream.get()), repr(stream.usage())]


async def opened(library: Library, opening: AbstractAsyncContextManager[Any]) -> list[object]:
    try:
        async with opening as stream:
            return await told(library, stream)
    except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
        return [shown(library, error)]


def agree(script: Callable[[Library], Coroutine[Any, Any, object]]) -> None:
    assert stable(drive(script(OURS))) == stable(drive(script(THEIRS)))


def scripted(library: Library, offer: Offer, steps: list[Made]) -> Any:
    """A stream as users of the followed library write it: a dataclass with an async generator."""

    class Scripted(library.StreamedResponse):
        model_name = 'm'
        provider_name = 'p'
        provider_url = 'u'
        timestamp = library.ModelResponse(parts=[]).timestamp

        async def _get_event_iterator(self) -> AsyncIterator[Any]:
            for step in steps:
                made = step(library)
                if isinstance(made, Exception):
                    raise made
                if hasattr(made, 'event_kind'):
                    yield made
                    continue
                method, values = made
                events = getattr(self._parts_manager, method)(**values)
                for event in events if hasattr(events, '__next__') else [events]:
                    if event is not None:
                        yield event

    return Scripted(offer.parameters(library))


def text(content: str, number: int | None) -> Made:
    return lambda _: ('handle_text_delta', {'vendor_part_id': number, 'content': content})


def thought(content: str, number: int | None) -> Made:
    return lambda _: ('handle_thinking_delta', {'vendor_part_id': number, 'content': content})


def call(name: str | None, number: int | None) -> Made:
    return lambda _: ('handle_tool_call_delta', {'vendor_part_id': number, 'tool_name': name, 'args': '{'})


def whole(part: Made, number: int | None) -> Made:
    return lambda library: ('handle_part', {'vendor_part_id': number, 'part': part(library)})


PARTS: list[Made] = [
    lambda x: x.FilePart(x.BinaryImage(b'x', media_type='image/png')),
    lambda x: x.FilePart(x.BinaryContent(b'x', media_type='image/png')),
    lambda x: x.BuiltinToolCallPart('t0', {}, 'b'),
    lambda x: x.BuiltinToolReturnPart('t0', 'found', 'b', timestamp=None),
    lambda x: x.ToolCallPart('t1', {}, 'c'),
]
SAID: list[Made] = [
    lambda x: x.PartEndEvent(index=0, part=x.TextPart('a')),
    lambda x: x.FinalResultEvent(tool_name=None, tool_call_id=None),
    lambda x: ValueError('broken'),
    lambda x: x.UnexpectedModelBehavior('broken'),
]
NUMBERS = st.sampled_from([None, 0, 1, 2])
NAMES = st.sampled_from(['t0', 't1', 't2', 'unknown'])
CONTENTS = st.sampled_from(['', ' ', 'a', 'two words.'])
OFFERS = st.builds(
    Offer,
    st.booleans(),
    st.just(value=False),
    st.just('tool'),
    st.lists(st.sampled_from(['function', 'output', 'external', 'unapproved']), max_size=3).map(tuple),
)


@given(
    OFFERS.flatmap(lambda offer: st.booleans().map(lambda image: offer._replace(image=image))),
    st.lists(
        st.builds(text, CONTENTS, NUMBERS)
        | st.builds(thought, CONTENTS, NUMBERS)
        | st.builds(call, NAMES | st.none(), NUMBERS)
        | st.builds(whole, st.sampled_from(PARTS), NUMBERS)
        | st.sampled_from(SAID),
        max_size=8,
    ),
)
def test_any_stream_gives_the_same_events(offer: Offer, steps: list[Made]):
    agree(lambda library: told(library, scripted(library, offer, steps)))


def call_piece(name: str | None, args: str | None, tool_call_id: str | None) -> Made:
    return lambda x: x.DeltaToolCall(name, args, tool_call_id=tool_call_id)


def thought_piece(content: str | None, signature: str | None) -> Made:
    return lambda x: x.DeltaThinkingPart(content=content, signature=signature)


def text_item(content: str) -> Made:
    return lambda _: content


def item_of(pieces: dict[int, Made]) -> Made:
    return lambda library: {number: piece(library) for number, piece in pieces.items()}


PIECES = (
    st.builds(call_piece, NAMES | st.none(), st.sampled_from([None, '', '{"a": ', '1}']), st.sampled_from([None, 'c']))
    | st.builds(thought_piece, CONTENTS | st.none(), st.sampled_from([None, '', 's']))
    | st.sampled_from([PARTS[2], PARTS[3], text_item('neither')])
)
ITEMS = st.builds(text_item, CONTENTS) | st.builds(item_of, st.dictionaries(st.integers(0, 2), PIECES, max_size=3))


@given(OFFERS, st.lists(ITEMS | st.sampled_from([SAID[2], lambda x: None]), max_size=6))
def test_any_stream_of_a_function_gives_the_same_events(offer: Offer, items: list[Made]):
    def script(library: Library) -> Coroutine[Any, Any, object]:
        async def streamed(messages: Any, info: Any) -> AsyncIterator[Any]:
            for make in items:
                item = make(library)
                if isinstance(item, Exception):
                    raise item
                yield item

        model = library.FunctionModel(stream_function=streamed)
        asked = [library.ModelRequest(parts=[library.UserPromptPart('four words are here')])]
        return opened(library, model.request_stream(asked, None, offer.parameters(library)))

    agree(script)


HISTORIES: list[Made] = [
    lambda x: [x.ModelRequest(parts=[x.UserPromptPart('three more words')])],
    lambda x: [
        x.ModelRequest(parts=[x.UserPromptPart('three more words')]),
        x.ModelResponse(parts=[x.ToolCallPart('t0', {}, 'c'), x.TextPart('and text')]),
        x.ModelRequest(parts=[x.ToolReturnPart('t0', {'a': 'b c'}, 'c')]),
    ],
    lambda x: [
        x.ModelRequest(parts=[x.UserPromptPart('three more words')]),
        x.ModelResponse(parts=[x.ToolCallPart('t0', {}, 'c')]),
        x.ModelRequest(parts=[x.RetryPromptPart('again', tool_name='t0', tool_call_id='c')]),
    ],
    lambda x: [x.ModelResponse(parts=[])],
]


@given(
    OFFERS,
    st.sampled_from(HISTORIES),
    st.sampled_from(['text', 'tool']),
    st.none() | st.text('ab .', max_size=6),
    st.none() | st.just({'a': 1}),
)
def test_any_stream_of_the_test_model_gives_the_same_events(
    offer: Offer, history: Made, mode: str, said: str | None, args: Any
):
    def script(library: Library) -> Coroutine[Any, Any, object]:
        model = library.TestModel(custom_output_text=said, custom_output_args=args)
        asked = offer._replace(mode=mode).parameters(library)
        return opened(library, model.request_stream(history(library), None, asked))

    agree(script)
