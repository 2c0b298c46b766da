"""Streamed requests without an agent: as the library that is followed makes them."""

import asyncio
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from typing import Any

import pytest

from tests.both import Table, agree

pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

case = Table()


@pytest.fixture(autouse=True)
def _loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The loops that the other library makes in its threads, and would leave open."""
    made: list[asyncio.AbstractEventLoop] = []

    def loop() -> asyncio.AbstractEventLoop:
        made.append(asyncio.new_event_loop())
        return made[-1]

    monkeypatch.setattr('pydantic_ai.direct._get_event_loop', loop)
    yield
    for each in made:
        each.close()


def direct(lib: Any) -> Any:
    return import_module(f'{lib.name}.direct')


def question(lib: Any, text: str = 'go') -> list[Any]:
    return [lib.ModelRequest.user_text_prompt(text)]


def broken(lib: Any) -> Exception:
    return lib.ModelHTTPError(503, 'm', 'body')


def streaming(lib: Any, *pieces: Any, **options: Any) -> Any:
    """A model that streams these pieces; an error among them is raised in its place."""

    async def stream(messages: Any, info: Any) -> Any:
        lib.asked.append(f'{lib.dump(messages)} {info.function_tools} {info.model_settings}')
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    return lib.FunctionModel(stream_function=stream, model_name='streaming', **options)


def models(lib: Any) -> list[Any]:
    """Models that stream text, calls, thoughts and nothing but errors, now and later."""
    fallback = import_module(f'{lib.name}.models.fallback').FallbackModel
    wrapper = import_module(f'{lib.name}.models.wrapper').WrapperModel
    function: Any = import_module(f'{lib.name}.models.function')
    call = {0: lib.DeltaToolCall(name='get', json_args='{"n"', tool_call_id='c1')}
    rest = {0: lib.DeltaToolCall(json_args=': 1}')}
    thought = {0: function.DeltaThinkingPart(content='hm', signature='s')}
    return [
        'test',
        lib.TestModel(custom_output_text='three words here', settings={'seed': 1}),
        streaming(lib, 'a', 'b', 'c', settings={'seed': 1}),
        streaming(lib, call, rest),
        streaming(lib, thought, {1: lib.DeltaToolCall(name='get', json_args='{}', tool_call_id='c1')}),
        wrapper(streaming(lib, 'wrapped')),
        fallback(streaming(lib, broken(lib)), streaming(lib, 'good')),
        streaming(lib, broken(lib)),
        streaming(lib, 'a', 'b', broken(lib)),
        streaming(lib),
        lib.says('whole'),
    ]


def offers(lib: Any) -> list[Any]:
    """What requests offer."""
    schema: dict[str, Any] = {'type': 'object', 'properties': {}}
    tool = lib.ToolDefinition(name='get', description='d', parameters_json_schema=schema)
    output = lib.ToolDefinition(name='out', parameters_json_schema=schema, kind='output')
    return [
        None,
        lib.ModelRequestParameters(function_tools=[tool], allow_text_output=True),
        lib.ModelRequestParameters(output_tools=[output], output_mode='tool', allow_text_output=False),
        lib.ModelRequestParameters(output_mode='native', allow_image_output=True),
    ]


def shown_of(stream: Any) -> list[object]:
    """What a response says of itself."""
    return [repr(stream.get()), repr(stream.usage()), stream.model_name, type(stream.timestamp).__name__]


@case
async def the_events_are_the_models_and_the_response_grows(lib: Any) -> object:
    shown: list[object] = []
    for offered in offers(lib):
        for model in models(lib):
            seen: list[object] = []
            try:
                async with direct(lib).model_request_stream(
                    model, question(lib), model_settings={'temperature': 0.5}, model_request_parameters=offered
                ) as stream:
                    seen.append(type(stream).__name__)
                    seen.append(repr(stream).split(', _model_name=')[0])  # then what subclasses keep for themselves
                    seen.extend([[repr(event), repr(stream.get()), repr(stream.usage())] async for event in stream])
                    seen.append([event async for event in stream])
                seen.append(shown_of(stream))
            except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
                seen.append(lib.error(error)[:2])
            shown.append(seen)
    return shown, lib.asked


@case
async def a_stream_may_be_left_at_any_point(lib: Any) -> object:
    shown: list[object] = []
    for count in range(4):
        for error in (None, ValueError('own')):
            stream: Any = None
            try:
                async with direct(lib).model_request_stream(streaming(lib, 'a', 'b', 'c'), question(lib)) as stream:
                    for _ in range(count):
                        await anext(aiter(stream))
                    if error is not None:
                        raise error
            except ValueError as raised:
                shown.append(lib.error(raised))
            shown.append(shown_of(stream))
    return shown


@case
async def what_is_wrong_at_the_call_is_raised_by_the_call(lib: Any) -> object:
    names = ('model_request_stream', 'model_request_stream_sync')
    calls: list[Any] = [getattr(direct(lib), name) for name in names]
    return [lib.raised(lambda call=call: call('nope', question(lib)))[0] for call in calls]


@case
async def code_that_is_not_async_sees_the_same_beside_a_running_loop(lib: Any) -> object:
    shown: list[object] = []
    for offered in offers(lib):
        for model in models(lib):
            seen: list[object] = []
            request: Any = direct(lib).model_request_stream_sync(
                model, question(lib), model_settings={'temperature': 0.5}, model_request_parameters=offered
            )
            seen.append([repr(request), str(request), type(request).__name__])
            with request as stream:
                seen.append(stream is request)
                try:
                    seen.extend([repr(event) for event in stream])
                except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
                    seen.append(lib.error(error)[:2])
                seen.append(lib.raised(lambda stream=stream: shown_of(stream))[:2])
            seen.append(lib.raised(lambda stream=stream: (repr(stream.response), stream.model_name))[:2])
            shown.append(seen)
    return shown, lib.asked


@case
async def a_stream_that_is_left_early_in_code_that_is_not_async_is_received_whole(lib: Any) -> object:
    shown: list[object] = []
    for error in (None, ValueError('own')):
        stream: Any = direct(lib).model_request_stream_sync(streaming(lib, 'a', 'b', 'c'), question(lib))
        try:
            with stream:
                shown.append([repr(stream.timestamp)[:17], stream.model_name])
                for event in stream:
                    shown.append(repr(event))
                    break
                if error is not None:
                    raise error
        except ValueError as raised:
            shown.append(lib.error(raised))
        shown.append([repr(event) for event in stream])
        shown.append(shown_of(stream))
    with direct(lib).model_request_stream_sync(streaming(lib, 'a', broken(lib)), question(lib)):
        pass
    return shown


@case
async def a_stream_is_not_read_outside_of_its_block(lib: Any) -> object:
    stream: Any = direct(lib).model_request_stream_sync('test', question(lib))
    uses: list[Any] = [
        lambda: list(stream),
        stream.get,
        lambda: stream.response,
        stream.usage,
        lambda: stream.model_name,
        lambda: stream.timestamp,
    ]
    return [lib.raised(use) for use in uses], repr(stream)


@case
async def parameters_have_the_same_names_and_kinds(lib: Any) -> object:
    names = ('model_request_stream', 'model_request_stream_sync', 'StreamedResponseSync')
    found = [signature(getattr(direct(lib), name)).parameters.values() for name in names]
    # `instrument` is about a service that this library does not know
    return [[(p.name, p.kind, p.default) for p in params if p.name != 'instrument'] for params in found]


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
