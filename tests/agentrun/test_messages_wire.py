"""The JSON of messages: every trap by itself, and mutations that must show."""

import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import VERSION, BaseModel, Field, ValidationError
from pydantic_core import PydanticSerializationError

from agentrun.messages import (
    AgentStreamEvent,
    AgentStreamEventsTypeAdapter,
    BinaryContent,
    BinaryImage,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    RetryPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.messages._wire import dump_messages
from agentrun.usage import RequestUsage, RunUsage

TIME = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP = '"2025-01-02T03:04:05Z"'


class BaseModelWithAlias(BaseModel):
    b: int = Field(serialization_alias='B', validation_alias='b')


class Color(Enum):
    RED = 'red'


def text_of(message: ModelMessage) -> str:
    return dump_messages([message]).decode()


def returned(content: object) -> str:
    """The JSON of what a tool returned."""
    text = text_of(ModelRequest(parts=[ToolReturnPart('t', content, 'id', timestamp=TIME)]))
    before, after = '"content":', ',"tool_call_id":"id","metadata":null,'
    return text.partition(before)[2].partition(after)[0]


def prompted(content: Any) -> str:
    """The JSON of the content of a user prompt."""
    text = text_of(ModelRequest(parts=[UserPromptPart(content, timestamp=TIME)]))
    return text.partition('"content":')[2].partition(',"timestamp":')[0]


def loaded(content: str) -> Any:
    """What a tool's return or a prompt's items become when loaded."""
    text = f'[{{"kind":"request","parts":[{{"part_kind":"user-prompt","content":{content},"timestamp":{STAMP}}}]}}]'
    part = ModelMessagesTypeAdapter.validate_json(text)[0].parts[0]
    assert isinstance(part, UserPromptPart)
    return part.content


def test_a_request_is_dumped_whole_and_in_order():
    assert text_of(ModelRequest(parts=[])) == (
        '[{"parts":[],"timestamp":null,"instructions":null,"kind":"request","run_id":null,"metadata":null}]'
    )


def test_a_response_is_dumped_whole_and_in_order():
    assert text_of(ModelResponse(parts=[], timestamp=TIME)) == (
        '[{"parts":[],"usage":{"input_tokens":0,"cache_write_tokens":0,"cache_read_tokens":0,"output_tokens":0,'
        '"input_audio_tokens":0,"cache_audio_read_tokens":0,"output_audio_tokens":0,"details":{}},"model_name":null,'
        f'"timestamp":{STAMP},"kind":"response","provider_name":null,"provider_url":null,"provider_details":null,'
        '"provider_response_id":null,"finish_reason":null,"run_id":null,"metadata":null}]'
    )


def test_no_messages_are_an_empty_array():
    assert dump_messages([]) == b'[]'


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        ('"\\\n\r\t\b\f\x1f', r'"\"\\\n\r\t\b\f\u001f"'),
        ('/\x7f\u2028é😀', '"/\x7f\u2028é😀"'),
    ],
)
def test_only_quotes_backslashes_and_control_characters_are_escaped(content: str, text: str):
    assert returned(content) == text


def test_a_lone_surrogate_cannot_be_dumped():
    with pytest.raises(PydanticSerializationError):
        returned('\ud800')


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (20.0, '20.0'),
        (-0.0, '-0.0'),
        (0.1, '0.1'),
        (0.00001, '0.00001'),
        (1e-7, '1e-7'),
        (-2e-6, '-2e-6'),
        (float('nan'), 'null'),
        (float('-inf'), 'null'),
        (10**30, '1' + '0' * 30),
        (1e15, '1000000000000000.0'),
    ],
)
def test_numbers_have_their_shortest_form(value: float, text: str):
    assert returned(value) == text


def test_large_floats_are_written_as_the_installed_pydantic_writes_them():
    minor = tuple(int(number) for number in VERSION.split('.')[:2])
    assert returned(1e16) == ('1e+16' if minor >= (2, 13) else '1e16')


def test_bytes_are_url_safe_base64_at_every_level():
    assert returned({'a': [b'\xfb\xff']}) == '{"a":["-_8="]}'


def test_both_alphabets_of_base64_load():
    for data in ('+/8=', '-_8='):
        assert loaded(f'[{{"kind":"binary","data":"{data}","media_type":"a/b"}}]')[0].data == b'\xfb\xff'


@pytest.mark.parametrize(
    ('time', 'text'),
    [
        (TIME, '2025-01-02T03:04:05Z'),
        (TIME.replace(microsecond=120000), '2025-01-02T03:04:05.120000Z'),
        (TIME.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))), '2025-01-02T03:04:05+05:30'),
        (TIME.replace(tzinfo=None), '2025-01-02T03:04:05'),
    ],
)
def test_timestamps_have_six_digits_or_none_and_keep_their_offset(time: datetime, text: str):
    dumped = text_of(ModelRequest(parts=[], timestamp=time))
    assert f'"timestamp":"{text}"' in dumped
    assert dump_messages(ModelMessagesTypeAdapter.validate_json(dumped)).decode() == dumped


def test_a_short_fraction_is_written_anew_in_full():
    message = ModelMessagesTypeAdapter.validate_json(
        '[{"kind":"request","parts":[],"timestamp":"2025-01-02T03:04:05.12Z"}]'
    )
    assert '"2025-01-02T03:04:05.120000Z"' in text_of(message[0])


def test_a_time_inside_provider_details_stays_text_when_loaded():
    text = text_of(ModelResponse(parts=[], timestamp=TIME, provider_details={'timestamp': TIME}))
    assert f'"provider_details":{{"timestamp":{STAMP}}}' in text
    message = ModelMessagesTypeAdapter.validate_json(text)[0]
    assert isinstance(message, ModelResponse)
    assert message.provider_details == {'timestamp': '2025-01-02T03:04:05Z'}


def test_a_url_in_a_prompt_has_its_computed_fields():
    assert prompted([ImageUrl('https://x.test/a.png')]) == (
        '[{"url":"https://x.test/a.png","force_download":false,"vendor_metadata":null,"kind":"image-url",'
        '"media_type":"image/png","identifier":"5449d8"}]'
    )


def test_a_file_in_a_prompt_has_its_computed_identifier():
    assert prompted([BinaryContent(b'data', media_type='text/plain')]) == (
        '[{"data":"ZGF0YQ==","media_type":"text/plain","vendor_metadata":null,"kind":"binary","identifier":"a17c9a"}]'
    )


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        (
            ImageUrl('https://x.test/a.png'),
            (
                '{"url":"https://x.test/a.png","force_download":false,"vendor_metadata":null,"_media_type":null,'
                '"_identifier":null,"kind":"image-url"}'
            ),
        ),
        (
            BinaryContent(b'data', media_type='text/plain', identifier='mine'),
            '{"data":"ZGF0YQ==","media_type":"text/plain","vendor_metadata":null,"_identifier":"mine","kind":"binary"}',
        ),
    ],
)
def test_a_file_in_an_untyped_place_has_its_private_fields_instead(content: object, text: str):
    assert returned(content) == text
    assert returned({'a': [content]}) == f'{{"a":[{text}]}}'


@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings')
def test_a_bare_file_as_a_prompt_is_in_an_untyped_place():
    assert prompted(BinaryContent(b'data', media_type='text/plain')) == (
        '{"data":"ZGF0YQ==","media_type":"text/plain","vendor_metadata":null,"_identifier":null,"kind":"binary"}'
    )


def test_a_url_of_unknown_type_makes_its_whole_message_untyped_with_a_warning():
    file, url = BinaryContent(b'data', media_type='text/plain'), ImageUrl('https://x.test/potato')
    spoilt = ModelRequest(parts=[UserPromptPart([file], timestamp=TIME), UserPromptPart([url], timestamp=TIME)])
    sound = ModelRequest(parts=[UserPromptPart([file], timestamp=TIME)])
    with pytest.warns(UserWarning, match='PydanticSerializationUnexpectedValue'):
        text = dump_messages([spoilt, sound])
    first, second = text.split(b'},{"parts"')
    assert first.count(b'"_identifier":null') == 2
    assert b'"_media_type":null' in first
    assert b'"identifier":"a17c9a"' in second
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert dump_messages(ModelMessagesTypeAdapter.validate_json(text)) == text


def test_an_image_from_a_model_comes_back_as_an_image():
    image, text = BinaryContent(b'x', media_type='image/png'), BinaryContent(b'x', media_type='text/plain')
    messages = [ModelResponse(parts=[FilePart(image), FilePart(text)], timestamp=TIME)]
    parts = ModelMessagesTypeAdapter.validate_json(dump_messages(messages))[0].parts
    assert [type(part.content) for part in parts if isinstance(part, FilePart)] == [BinaryImage, BinaryContent]


def test_arguments_that_are_text_are_kept_to_the_letter():
    text = text_of(ModelResponse(parts=[ToolCallPart('t', ' {"a": 1}', 'id')], timestamp=TIME))
    assert r'"args":" {\"a\": 1}"' in text


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (date(2025, 1, 2), '"2025-01-02"'),
        (timedelta(seconds=90.5), '"PT1M30.5S"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Color.RED, '"red"'),
        (Path('a'), '"a"'),
        (Decimal('1.10'), '"1.10"'),
        ({1}, '[1]'),
        ((1, 2), '[1,2]'),
        ({1: 1, 1.5: 2, True + 1: 3, None: 4}, '{"1":1,"1.5":2,"2":3,"None":4}'),
        ({True: 1}, '{"true":1}'),
        (RequestUsage(input_tokens=1).details, '{}'),
    ],
)
def test_other_values_have_their_json_form(value: object, text: str):
    assert returned(value) == text


def test_what_json_cannot_hold_is_an_error():
    with pytest.raises(PydanticSerializationError, match='Unable to serialize unknown type'):
        returned(object())


def test_an_exception_among_a_retrys_errors_cannot_be_dumped():
    part = RetryPromptPart([{'type': 'value_error', 'loc': (), 'msg': 'm', 'input': 1, 'ctx': {'error': ValueError()}}])
    with pytest.raises(PydanticSerializationError):
        text_of(ModelRequest(parts=[part]))
    assert part.model_response().startswith('1 validation error:')


def test_a_thinking_delta_with_a_function_cannot_be_dumped():
    event = PartDeltaEvent(index=0, delta=ThinkingPartDelta(provider_details=lambda details: details or {}))
    with pytest.raises(PydanticSerializationError):
        AgentStreamEventsTypeAdapter.dump_json([event])


def test_older_messages_load():
    text = (
        '[{"kind":"request","parts":[]},{"kind":"response","parts":[],"vendor_details":{"a":1},"vendor_id":"v",'
        '"usage":{"request_tokens":1,"response_tokens":2,"details":null,"requests":1},"unknown":0}]'
    )
    request, response = ModelMessagesTypeAdapter.validate_json(text)
    assert request == ModelRequest(parts=[])
    assert isinstance(response, ModelResponse)
    assert response == ModelResponse(
        parts=[],
        usage=RequestUsage(input_tokens=1, output_tokens=2),
        provider_details={'a': 1},
        provider_response_id='v',
        timestamp=response.timestamp,
    )


def test_a_missing_call_id_is_made_anew_on_each_load():
    text = '[{"kind":"response","parts":[{"part_kind":"tool-call","tool_name":"t"}]}]'
    ids = [
        part.tool_call_id
        for _ in '12'
        for part in ModelMessagesTypeAdapter.validate_json(text)[0].parts
        if isinstance(part, ToolCallPart)
    ]
    assert ids[0] != ids[1]


@pytest.mark.parametrize('text', ['[{"kind":"nonsense"}]', '[{}]', '{}', '['])
def test_what_is_no_history_is_refused(text: str):
    with pytest.raises(ValidationError):
        ModelMessagesTypeAdapter.validate_json(text)


def test_messages_can_be_fields_of_a_users_own_model():
    class Stored(BaseModel):
        last: ModelMessage
        events: list[AgentStreamEvent]

    event = PartDeltaEvent(index=0, delta=TextPartDelta('a'))
    stored = Stored(last=ModelRequest(parts=[UserPromptPart([ImageUrl('https://x.test/a.png')])]), events=[event])
    assert Stored.model_validate_json(stored.model_dump_json()) == stored


def test_python_values_go_there_and_back():
    messages = [ModelRequest(parts=[UserPromptPart('hi')]), ModelResponse(parts=[TextPart('ho')])]
    assert ModelMessagesTypeAdapter.validate_python(ModelMessagesTypeAdapter.dump_python(messages)) == messages


Edit = Callable[[Any, Any], object]
EDITS: list[Edit] = [
    lambda request, response: setattr(request, 'instructions', 'new'),
    lambda request, response: setattr(request.parts[0], 'content', 'new'),
    lambda request, response: request.parts.append(UserPromptPart('new', timestamp=TIME)),
    lambda request, response: request.parts.reverse(),
    lambda request, response: request.parts[1].content['deep'].append(1),
    lambda request, response: setattr(response.usage, 'input_tokens', 1),
    lambda request, response: response.usage.details.update(new=1),
    lambda request, response: response.parts[0].args.update(new=1),
    lambda request, response: response.provider_details['a'].append(1),
    lambda request, response: response.__dict__.update(model_name='new'),
]


@pytest.mark.parametrize('edit', EDITS)
def test_an_edit_shows_in_the_next_dump(edit: Edit):
    request = ModelRequest(
        parts=[UserPromptPart('hi', timestamp=TIME), ToolReturnPart('t', {'deep': [0]}, 'id', timestamp=TIME)]
    )
    response = ModelResponse(
        parts=[ToolCallPart('t', {'a': 1}, 'id')], timestamp=TIME, provider_details={'a': list[int]()}
    )
    before = dump_messages([request, response])
    assert dump_messages([request, response]) == before
    edit(request, response)
    after = dump_messages([request, response])
    assert after != before
    assert after == ModelMessagesTypeAdapter.dump_json([request, response])


class OwnText(TextPart):
    """A user's own kind of text."""


@dataclass(repr=False)
class NotedText(TextPart):
    """A user's own kind of text, with a field more."""

    note: str = 'noted'


def odd(part: Any, **changes: Any) -> Any:
    part.__dict__.update(changes)
    return part


def moved(record: Any, name: str) -> Any:
    record.__dict__[name] = record.__dict__.pop(name)
    return record


def answer(**changes: Any) -> ModelResponse:
    return odd(ModelResponse(parts=[TextPart('a')], timestamp=TIME), **changes)


@pytest.mark.parametrize(
    'message',
    [
        answer(parts=(TextPart('a'),)),
        answer(parts=deque([TextPart('a')])),
        answer(parts=[OwnText('a')]),
        answer(parts=[NotedText('a')]),
        answer(parts=[moved(TextPart('a'), 'content')]),
        answer(parts=[odd(TextPart('a'), new=1)]),
        answer(parts=[odd(TextPart('a'), content=1)]),
        answer(parts=[odd(TextPart('a'), content=b'\xff')]),
        answer(parts=[odd(TextPart('a'), content=Color.RED)]),
        answer(parts=[odd(TextPart('a'), id=TIME, provider_details={1: b'\xff', None: 1.0})]),
        answer(parts=[ToolCallPart('t', {'a': {2: timedelta(1)}}, 'id')]),
        answer(parts=[odd(ToolCallPart('t', tool_call_id='id'), args=[1, 1e20])]),
        answer(parts=[{'a': 1}]),
        answer(parts=[UserPromptPart('a', timestamp=TIME)]),
        answer(parts=[TextPart('a'), FilePart(BinaryContent(b'', media_type='a/b'))]),
        answer(usage=moved(RequestUsage(), 'input_tokens')),
        answer(usage=RunUsage(requests=1)),
        answer(usage={'a': 1}),
        answer(usage=RequestUsage(input_tokens=True)),
        answer(usage=RequestUsage(details={'a': True})),
        answer(usage=odd(RequestUsage(), details=[True])),
        answer(timestamp='now', finish_reason='other', metadata=[1]),
        answer(kind='other'),
        moved(answer(), 'kind'),
        ModelRequest(parts=[odd(UserPromptPart('a', timestamp=TIME), content=3)]),
        ModelRequest(parts=[RetryPromptPart([], tool_call_id='id', timestamp=TIME)]),
        ModelRequest(parts=[ToolReturnPart('t', BaseModelWithAlias(b=1), 'id', timestamp=TIME)]),
    ],
)
@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings')
def test_odd_values_have_the_bytes_that_the_adapter_gives_them(message: ModelMessage):
    assert dump_messages([message]) == ModelMessagesTypeAdapter.dump_json([message])


def test_an_odd_message_leaves_its_neighbours_as_they_are():
    file = FilePart(BinaryContent(b'', media_type='a/b'))
    messages = [answer(), answer(parts=[file]), ModelRequest(parts=[UserPromptPart('a', timestamp=TIME)])]
    assert dump_messages(messages) == ModelMessagesTypeAdapter.dump_json(messages)


@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings')
def test_what_is_no_message_has_the_bytes_that_the_adapter_gives_it():
    messages: Any = [answer(), {'kind': 'request', 'parts': []}]
    assert dump_messages(messages) == ModelMessagesTypeAdapter.dump_json(messages)


def test_a_message_of_no_kind_at_all_is_refused_as_by_the_adapter():
    for dump in (ModelMessagesTypeAdapter.dump_json, dump_messages):
        with pytest.raises(PydanticSerializationError):
            dump([answer(kind=[1])])


def test_an_error_is_told_in_the_adapters_words():
    message = ModelRequest(parts=[ToolReturnPart('t', object(), 'id')])
    with pytest.raises(PydanticSerializationError) as expected:
        ModelMessagesTypeAdapter.dump_json([message])
    with pytest.raises(PydanticSerializationError) as error:
        dump_messages([message])
    assert str(error.value) == str(expected.value)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=['Cs'])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=['Cs'])), inner)
    ),
    max_leaves=8,
)
TEXTS = st.text(st.characters(exclude_categories=['Cs']))
TIMES = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1))  # noqa: DTZ001
FILES = st.builds(ImageUrl, TEXTS, media_type=st.just('image/png')) | st.builds(
    BinaryContent, st.binary(), media_type=st.sampled_from(['text/plain', 'application/pdf'])
)
REQUESTS = st.builds(
    ModelRequest,
    parts=st.lists(
        st.builds(UserPromptPart, TEXTS | st.lists(TEXTS | FILES), timestamp=TIMES)
        | st.builds(ToolReturnPart, TEXTS, JSON_VALUES, TEXTS, timestamp=TIMES, metadata=JSON_VALUES)
        | st.builds(RetryPromptPart, TEXTS, tool_name=st.none() | TEXTS, tool_call_id=TEXTS, timestamp=TIMES)
    ),
    timestamp=st.none() | TIMES,
    instructions=st.none() | TEXTS,
)
RESPONSES = st.builds(
    ModelResponse,
    parts=st.lists(
        st.builds(TextPart, TEXTS)
        | st.builds(ToolCallPart, TEXTS, st.none() | TEXTS | st.dictionaries(TEXTS, JSON_VALUES), TEXTS)
    ),
    timestamp=TIMES,
    provider_details=st.none() | st.dictionaries(TEXTS, JSON_VALUES),
)


@given(st.lists(REQUESTS | RESPONSES, max_size=4))
def test_any_history_comes_back_equal_and_to_the_byte(messages: list[ModelMessage]):
    text = dump_messages(messages)
    assert ModelMessagesTypeAdapter.dump_json(messages) == text
    restored = ModelMessagesTypeAdapter.validate_json(text)
    assert restored == messages
    assert dump_messages(restored) == text


VALUES: list[object] = ['a', 'b', 1, True, 1.0, None, TIME, TIME.astimezone(timezone(timedelta(hours=2))), Color.RED]
ASSIGNMENTS: list[Callable[[Any, str, object], object]] = [
    setattr,
    object.__setattr__,
    lambda record, name, value: record.__dict__.update({name: value}),
    lambda record, name, value: setattr(record, '__dict__', {**record.__dict__, name: value}),
    lambda record, name, value: moved(odd(record, **{name: value}), name),
]


@given(st.data())
@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings')
def test_edits_of_every_kind_and_depth_show_in_the_next_dump(data: st.DataObject):
    nested: dict[str, Any] = {'deep': [{}]}
    parts = [UserPromptPart('hi', timestamp=TIME), ToolReturnPart('t', nested, 'id', timestamp=TIME)]
    request = ModelRequest(parts=parts)
    response = ModelResponse(parts=[TextPart('a'), ToolCallPart('t', {'a': nested}, 'id')], timestamp=TIME)
    messages: list[Any] = [request, response]

    def assign() -> None:
        record = data.draw(st.sampled_from([*messages, *parts, *response.parts, response.usage]))
        # Without its parts or its kind an object is no message any more, and the adapter fails.
        names = [f.name for f in fields(record) if f.name not in {'parts', 'kind', 'part_kind', 'usage', 'details'}]
        data.draw(st.sampled_from(ASSIGNMENTS))(record, data.draw(st.sampled_from(names)), data.draw(values))

    values = st.sampled_from(VALUES)
    edits: list[Callable[[], object]] = [
        assign,
        lambda: parts.append(UserPromptPart(data.draw(TEXTS), timestamp=TIME)),
        parts.reverse,
        lambda: list[Any].extend(parts, [ToolReturnPart('t', data.draw(values), 'id', timestamp=TIME)]),
        lambda: parts.__setitem__(slice(-1, None), []),
        lambda: nested['deep'][0].update({data.draw(TEXTS): data.draw(values)}),
        lambda: response.usage.details.update(new=data.draw(st.integers(0, 9))),
        lambda: setattr(response, 'usage', RequestUsage(input_tokens=data.draw(st.integers(0, 9)))),
        lambda: setattr(response.parts[0], '__class__', data.draw(st.sampled_from([TextPart, OwnText]))),
        lambda: messages.append(ModelRequest(parts=list(parts))),
    ]
    for edit in data.draw(st.lists(st.sampled_from(edits), max_size=6)):
        edit()
        assert dump_messages(messages) == ModelMessagesTypeAdapter.dump_json(messages)
