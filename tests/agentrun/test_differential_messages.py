"""Objects of every type, made alike in both libraries: same bytes, same repr, same answers."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import ErrorDetails

import agentrun.messages
import agentrun.usage
from agentrun.messages._wire import dump_messages
from tests.helpers import state_of, type_of

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

THEIRS: Any = pytest.importorskip('pydantic_ai.messages')
OURS: Any = agentrun.messages

pytestmark = [
    pytest.mark.filterwarnings('ignore:Pydantic serializer warnings'),
    pytest.mark.filterwarnings('ignore::DeprecationWarning'),
]

Recipe = Callable[[Any], Any]

TIME = datetime(2025, 3, 4, 5, 6, 7, 120000, tzinfo=UTC)
OFFSET = datetime(2025, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=5, minutes=30)))
NAIVE = datetime(2025, 3, 4, 5, 6, 7, 1)  # noqa: DTZ001, naive ones are part of the table
ERRORS: list[ErrorDetails] = [
    {'type': 'int_parsing', 'loc': ('a', 0), 'msg': 'no int', 'input': 'x'},
    {'type': 'value_error', 'loc': (), 'msg': 'wrong', 'input': {'b': 1}, 'ctx': {'limit': 3}},
]
DETAILS = {'finish_reason': 'stop', 'cost': 1e-7, 'timestamp': TIME, 'nested': [{'a': None}]}


def usage(m: Any, **values: Any) -> Any:
    return {OURS: agentrun.usage, THEIRS: pydantic_ai.usage}[m].RequestUsage(**values)


REQUEST_PARTS: list[Recipe] = [
    lambda m: m.SystemPromptPart('be kind', timestamp=TIME),
    lambda m: m.SystemPromptPart('be kind', timestamp=OFFSET, dynamic_ref='f.<locals>.g'),
    lambda m: m.UserPromptPart('hi "\\\n\x1f\x7f\u2028é😀', timestamp=NAIVE),
    lambda m: m.UserPromptPart(
        [
            'look',
            m.ImageUrl('https://x.test/a.png'),
            m.ImageUrl('https://x.test/a.png', media_type='image/webp', identifier='pic', force_download=True),
            m.AudioUrl('https://x.test/a.mp3', vendor_metadata={'k': [1, None]}),
            m.DocumentUrl('https://x.test/a.docx'),
            m.VideoUrl('https://youtu.be/x'),
            m.VideoUrl('https://x.test/a.three_gp'),
            m.BinaryContent(b'\xfb\xff\xfe', media_type='application/pdf'),
            m.BinaryContent(b'', media_type='text/plain', identifier='empty', vendor_metadata={}),
            m.BinaryImage(b'\x89PNG', media_type='image/png'),
            m.CachePoint(),
            m.CachePoint(ttl='1h'),
        ],
        timestamp=TIME,
    ),
    lambda m: m.UserPromptPart(('a', 'tuple'), timestamp=TIME),
    lambda m: m.UserPromptPart([], timestamp=TIME),
    lambda m: m.ToolReturnPart('t', 'text', 'id', timestamp=TIME),
    lambda m: m.ToolReturnPart('t', None, tool_call_id='id', timestamp=TIME, metadata={'a': b'\xff'}),
    lambda m: m.ToolReturnPart('t', {'n': [1, 2.0, True, None, 1e16]}, 'id', timestamp=TIME),
    lambda m: m.ToolReturnPart('t', [m.ImageUrl('https://x.test/a.png'), {1: 2}], 'id', timestamp=TIME),
    lambda m: m.RetryPromptPart('again', tool_call_id='id', timestamp=TIME),
    lambda m: m.RetryPromptPart('again', tool_name='t', tool_call_id='id', timestamp=TIME),
    lambda m: m.RetryPromptPart(ERRORS, tool_name='t', tool_call_id='id', timestamp=TIME),
    lambda m: m.RetryPromptPart(ERRORS[:1], tool_call_id='id', timestamp=TIME),
    lambda m: m.RetryPromptPart([], tool_call_id='id', timestamp=TIME),
]
RESPONSE_PARTS: list[Recipe] = [
    lambda m: m.TextPart(''),
    lambda m: m.TextPart('text', id='i', provider_details={'thought_signature': 's'}),
    lambda m: m.ThinkingPart(''),
    lambda m: m.ThinkingPart('hm', id='i', signature='s', provider_name='p', provider_details=DETAILS),
    lambda m: m.FilePart(m.BinaryContent(b'\xff', media_type='application/pdf')),
    lambda m: m.FilePart(m.BinaryImage(b'\xff', media_type='image/png'), id='i', provider_name='p'),
    lambda m: m.FilePart(m.BinaryContent(b'', media_type='image/png'), provider_details={}),
    lambda m: m.ToolCallPart('t', tool_call_id='id'),
    lambda m: m.ToolCallPart('t', '', 'id'),
    lambda m: m.ToolCallPart('t', {}, 'id'),
    lambda m: m.ToolCallPart('t', ' {"a": 1 } ', 'id', id='item'),
    lambda m: m.ToolCallPart('t', {'a': {'b': [1.5]}}, 'id', provider_details=DETAILS),
    lambda m: m.ToolCallPart('t', {'a': 0, 'b': ''}, 'id'),
    lambda m: m.BuiltinToolCallPart('web_search', {'q': 'x'}, 'id', provider_name='p'),
    lambda m: m.BuiltinToolReturnPart('web_search', [{'url': 'u'}], 'id', timestamp=TIME, provider_name='p'),
    lambda m: m.BuiltinToolReturnPart('x', None, 'id', timestamp=TIME, provider_details={'a': 1}, metadata=1),
]
MESSAGES: list[Recipe] = [
    lambda m: m.ModelRequest(parts=[]),
    lambda m: m.ModelRequest(parts=(), timestamp=TIME, instructions='do', run_id='r', metadata={'a': TIME}),
    *(lambda m, p=p: m.ModelRequest(parts=[p(m)], timestamp=TIME) for p in REQUEST_PARTS),
    lambda m: m.ModelRequest(parts=[p(m) for p in REQUEST_PARTS]),
    lambda m: m.ModelResponse(parts=[], timestamp=TIME),
    *(lambda m, p=p: m.ModelResponse(parts=[p(m)], timestamp=TIME) for p in RESPONSE_PARTS),
    lambda m: m.ModelResponse(
        parts=[p(m) for p in RESPONSE_PARTS],
        usage=usage(m, input_tokens=1, output_audio_tokens=2, details={'reasoning_tokens': 3}),
        model_name='model',
        timestamp=OFFSET,
        provider_name='p',
        provider_url='https://p.test',
        provider_details=DETAILS,
        provider_response_id='resp',
        finish_reason='tool_call',
        run_id='r',
        metadata={'k': [True]},
    ),
    # No media type to be guessed: the whole message is dumped the untyped way.
    lambda m: m.ModelRequest(
        parts=[
            m.UserPromptPart(
                [m.ImageUrl('https://x.test/a'), m.BinaryContent(b'\xff', media_type='x/y')], timestamp=TIME
            )
        ]
    ),
]
EVENTS: list[Recipe] = [
    *(lambda m, p=p: m.PartStartEvent(index=0, part=p(m), previous_part_kind='text') for p in RESPONSE_PARTS),
    *(lambda m, p=p: m.PartEndEvent(index=1, part=p(m), next_part_kind='thinking') for p in RESPONSE_PARTS),
    lambda m: m.PartStartEvent(index=0, part=m.TextPart('')),
    lambda m: m.PartDeltaEvent(index=0, delta=m.TextPartDelta('a')),
    lambda m: m.PartDeltaEvent(index=0, delta=m.TextPartDelta('a', provider_details={'l': 1})),
    lambda m: m.PartDeltaEvent(index=0, delta=m.ThinkingPartDelta(content_delta='a', signature_delta='s')),
    lambda m: m.PartDeltaEvent(index=0, delta=m.ThinkingPartDelta(provider_name='p', provider_details={'a': 1})),
    lambda m: m.PartDeltaEvent(index=0, delta=m.ToolCallPartDelta(args_delta='{"a"')),
    lambda m: m.PartDeltaEvent(index=0, delta=m.ToolCallPartDelta(tool_name_delta='t', args_delta={'a': 1})),
    lambda m: m.PartDeltaEvent(index=0, delta=m.ToolCallPartDelta(tool_call_id='id', provider_details={'a': 1})),
    lambda m: m.FinalResultEvent(tool_name=None, tool_call_id=None),
    lambda m: m.FinalResultEvent(tool_name='t', tool_call_id='id'),
    lambda m: m.FunctionToolCallEvent(m.ToolCallPart('t', {'a': 1}, 'id')),
    lambda m: m.FunctionToolResultEvent(m.ToolReturnPart('t', 1, 'id', timestamp=TIME)),
    lambda m: m.FunctionToolResultEvent(m.ToolReturnPart('t', 1, 'id', timestamp=TIME), content='more'),
    lambda m: m.FunctionToolResultEvent(
        m.RetryPromptPart(ERRORS, tool_name='t', tool_call_id='id', timestamp=TIME),
        content=['x', m.ImageUrl('https://x.test/a.png')],
    ),
]
BUILTIN_EVENTS: list[Recipe] = [
    lambda m: m.BuiltinToolCallEvent(m.BuiltinToolCallPart('t', 'x', 'id')),
    lambda m: m.BuiltinToolResultEvent(m.BuiltinToolReturnPart('t', 'x', 'id', timestamp=TIME)),
]
TOOL_RETURNS: list[Recipe] = [
    lambda m: m.ToolReturn(1),
    lambda m: m.ToolReturn({'a': 1}, content=['x', m.ImageUrl('https://x.test/a.png')], metadata={'m': 1}),
]

event_list: Any = list.__class_getitem__(THEIRS.AgentStreamEvent)
their_events: TypeAdapter[Any] = TypeAdapter(
    event_list, config=ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')
)

CONTENT: list[Recipe] = [
    (lambda m, index=index: REQUEST_PARTS[3](m).content[index])
    for index in range(1, len(REQUEST_PARTS[3](OURS).content))
]


def table(*recipes: Recipe) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('recipe', recipes)


def answers(value: object) -> dict[str, Any]:
    """What every property and every method without arguments says, errors included."""
    found = dict[str, Any]()
    for name, member in inspect.getmembers(type(value)):
        if name.startswith(('_', 'otel_')) or name in {'cost', 'price'}:
            continue
        if isinstance(inspect.getattr_static(type(value), name), classmethod | staticmethod):
            continue
        if callable(member) and len(inspect.signature(member).parameters) != 1:
            continue
        try:
            found[name] = repr(getattr(value, name)() if callable(member) else getattr(value, name))
        except Exception as error:  # noqa: BLE001, any error is an answer
            found[name] = type(error).__name__, str(error)
    return found


def text_of(adapter: TypeAdapter[Any], value: Any) -> tuple[bytes, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        text = adapter.dump_json(value)
    return text, [str(warning.message) for warning in caught]


@table(*MESSAGES)
def test_a_message_has_the_same_bytes_and_warnings(recipe: Recipe):
    expected = text_of(THEIRS.ModelMessagesTypeAdapter, [recipe(THEIRS)])
    assert text_of(OURS.ModelMessagesTypeAdapter, [recipe(OURS)]) == expected
    assert dump_messages([recipe(OURS)]) == expected[0]


@table(*MESSAGES)
@pytest.mark.parametrize('mode', ['python', 'json'])
def test_a_message_is_the_same_in_python_terms(recipe: Recipe, mode: str):
    ours = OURS.ModelMessagesTypeAdapter.dump_python([recipe(OURS)], mode=mode)
    assert ours == THEIRS.ModelMessagesTypeAdapter.dump_python([recipe(THEIRS)], mode=mode)


@table(*MESSAGES)
def test_a_message_loads_to_the_same_object(recipe: Recipe):
    text = THEIRS.ModelMessagesTypeAdapter.dump_json([recipe(THEIRS)])
    ours, theirs = (m.ModelMessagesTypeAdapter.validate_json(text) for m in (OURS, THEIRS))
    assert repr(ours) == repr(theirs)
    assert (ours == [recipe(OURS)]) == (theirs == [recipe(THEIRS)])
    assert OURS.ModelMessagesTypeAdapter.dump_json(ours) == THEIRS.ModelMessagesTypeAdapter.dump_json(theirs)


@table(*EVENTS)
def test_an_event_has_the_same_bytes_and_loads_alike(recipe: Recipe):
    text = their_events.dump_json([recipe(THEIRS)])
    assert OURS.AgentStreamEventsTypeAdapter.dump_json([recipe(OURS)]) == text
    assert repr(OURS.AgentStreamEventsTypeAdapter.validate_json(text)) == repr(their_events.validate_json(text))


@table(*BUILTIN_EVENTS)
def test_an_event_of_a_built_in_tool_has_the_same_bytes(recipe: Recipe):
    assert OURS.AgentStreamEventsTypeAdapter.dump_json([recipe(OURS)]) == their_events.dump_json([recipe(THEIRS)])


@table(*BUILTIN_EVENTS)
def test_an_event_of_a_built_in_tool_warns_alike(recipe: Recipe):
    texts: list[str] = []
    for m in (OURS, THEIRS):
        with pytest.warns(DeprecationWarning, match='is deprecated') as caught:
            recipe(m)
        texts.append(str(caught[0].message))
    assert texts[0] == texts[1]


@table(*REQUEST_PARTS, *RESPONSE_PARTS, *MESSAGES, *EVENTS, *TOOL_RETURNS, *CONTENT)
def test_an_object_has_the_same_repr_fields_and_answers(recipe: Recipe):
    ours, theirs = recipe(OURS), recipe(THEIRS)
    assert repr(ours) == repr(theirs)
    assert [(f.name, f.repr, f.compare, f.kw_only) for f in fields(ours)] == [
        (f.name, f.repr, f.compare, f.kw_only) for f in fields(theirs)
    ]
    assert answers(ours) == answers(theirs)
    assert type_of(ours).__match_args__ == type_of(theirs).__match_args__


@table(*REQUEST_PARTS, *RESPONSE_PARTS, *MESSAGES, *EVENTS, *TOOL_RETURNS, *CONTENT)
def test_an_object_is_equal_to_what_theirs_is_equal_to(recipe: Recipe):
    others = [*REQUEST_PARTS, *RESPONSE_PARTS, *TOOL_RETURNS, *CONTENT, recipe]
    equal = [recipe(OURS) == other(OURS) for other in others]
    assert equal == [recipe(THEIRS) == other(THEIRS) for other in others]
    assert any(equal)


def test_the_json_schemas_are_the_same():
    for mode in ('validation', 'serialization'):
        ours = OURS.ModelMessagesTypeAdapter.json_schema(mode=mode)
        theirs = THEIRS.ModelMessagesTypeAdapter.json_schema(mode=mode)
        assert stripped(ours) == stripped(theirs)


def stripped(schema: Any) -> Any:
    """A JSON schema without the texts of docstrings, which are each library's own."""
    if isinstance(schema, dict):
        return {
            key: stripped(value)
            for key, value in schema.items()  # pyright: ignore[reportUnknownVariableType]
            if not (key == 'description' and isinstance(value, str))
        }
    return [stripped(item) for item in schema] if isinstance(schema, list) else schema  # pyright: ignore[reportUnknownVariableType]


def test_every_public_name_is_here():
    other = {'RequestUsage', 'UnexpectedModelBehavior'}  # imported there for its own use
    theirs = {
        name
        for name, value in state_of(THEIRS).items()
        if not name.startswith('_') and getattr(value, '__module__', '').startswith('pydantic_ai')
    }
    assert theirs - other - set(OURS.__all__) == set()


OLD_TEXTS = [
    '[{"kind":"request","parts":[]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":"x","timestamp":"2025-01-01T00:00:00+02:00"}]}]',
    '[{"kind":"response","timestamp":0,"parts":[],"vendor_details":{"a":1},"vendor_id":"v","unknown":1}]',
    '[{"kind":"response","timestamp":"2025-01-01","parts":[],"usage":{"request_tokens":3,"response_tokens":4,"details":null}}]',
    '[{"kind":"response","timestamp":1e9,"parts":[],"usage":{"requests":1,"input_tokens":true}}]',
    '[{"kind":"response","timestamp":"2025-01-01T00:00:00.12","parts":[{"part_kind":"tool-call","tool_name":"t","args":3}]}]',
    '[{"kind":"nonsense"}]',
    '[{"parts":[]}]',
    '[{"kind":"request","parts":[{"part_kind":"text","content":""}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"kind":"binary","data":"+/8=","media_type":"a/b"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"kind":"binary","data":"-_8=","media_type":"a/b"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"kind":"binary","data":"-/!","media_type":"a/b"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"url":"https://x.test/a.png"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"kind":"image-url","url":"u","media_type":"m","identifier":"i"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"kind":"image-url","url":"u","_media_type":"m","_identifier":"i"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":{"kind":"binary","data":"aa==","media_type":"a/b"},"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"user-prompt","content":[{"kind":"cache-point"},{"kind":"cache-point","ttl":"2h"}],"timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"retry-prompt","content":[{"type":"t","loc":["a",1],"msg":"m","input":null}],"tool_call_id":"i","timestamp":0}]}]',
    '[{"kind":"request","parts":[{"part_kind":"tool-return","tool_name":"t","content":{"d":"aGk="},"tool_call_id":"i","timestamp":0}]}]',
    '[{"kind":"response","timestamp":0,"parts":[{"part_kind":"file","content":{"kind":"binary","data":"aa==","media_type":"image/png"}}]}]',
    '[{"kind":"response","timestamp":0,"parts":[],"provider_details":{"timestamp":"2025-01-01T00:00:00Z"}}]',
    '[{"kind":"response","timestamp":0,"parts":[],"finish_reason":"nonsense"}]',
    '{"kind":"request"}',
    '[',
]


@pytest.mark.parametrize('text', OLD_TEXTS)
def test_old_and_odd_json_loads_or_fails_alike(text: str):
    def outcome(m: Any) -> object:
        try:
            loaded = m.ModelMessagesTypeAdapter.validate_json(text)
        except ValueError as error:
            return str(error)
        return text_of(m.ModelMessagesTypeAdapter, loaded), type_of(getattr(loaded[0], 'provider_details', None))

    assert outcome(OURS) == outcome(THEIRS)
