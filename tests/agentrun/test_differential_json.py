"""Generated JSON, sound and unsound, loaded by both libraries: the same bytes come out, or the same error."""

import warnings
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentrun.messages

pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

THEIRS: Any = pytest.importorskip('pydantic_ai.messages')
OURS: Any = agentrun.messages

Value = st.SearchStrategy[Any]

TEXT = st.text(st.characters(exclude_categories=['Cs']), max_size=5)
JSON: Value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
DETAILS: Value = st.none() | st.dictionaries(TEXT, JSON, max_size=2)
TIME = st.sampled_from(
    [
        '2025-01-02T03:04:05Z',
        '2025-01-02T03:04:05.12+05:30',
        '2025-01-02 03:04',
        '2025-01-02',
        1735787045,
        1735787045.5,
    ]
)
DATA = st.sampled_from(['', 'aGk=', '-_8=', '+/8='])
URL = st.sampled_from(['https://x.test/a.png', 'https://x.test/a.mp3', 'https://youtu.be/x', 'https://x.test/a', ''])
COUNT = st.integers(0, 10**12)


def record(required: dict[str, Value], optional: dict[str, Value]) -> Value:
    """A JSON object: some keys always there, some not, now and then one with a value that does not belong there."""
    sound = st.fixed_dictionaries(required, optional=optional)
    unsound = st.tuples(sound, st.sampled_from([*required, *optional]), JSON)
    return st.integers(0, 49).flatmap(lambda dice: sound if dice else unsound.map(lambda x: {**x[0], x[1]: x[2]}))


def part(kind: str, required: dict[str, Value], **optional: Value) -> Value:
    return record({'part_kind': st.just(kind), **required}, optional)


FILES = st.one_of(
    *(
        record(
            {'kind': st.just(f'{kind}-url'), 'url': URL},
            {
                'media_type': st.none() | TEXT,
                'identifier': st.none() | TEXT,
                'force_download': st.booleans(),
                'vendor_metadata': DETAILS,
                '_media_type': TEXT,
            },
        )
        for kind in ('image', 'audio', 'video', 'document')
    ),
    record(
        {'kind': st.just('binary'), 'data': DATA, 'media_type': st.sampled_from(['image/png', 'text/plain', ''])},
        {'identifier': st.none() | TEXT, 'vendor_metadata': DETAILS},
    ),
    record({'kind': st.just('cache-point')}, {'ttl': st.sampled_from(['5m', '1h'])}),
)
CALL: dict[str, Value] = {'tool_name': TEXT, 'tool_call_id': TEXT}
ARGS: Value = st.none() | TEXT | st.dictionaries(TEXT, JSON, max_size=2)
ERROR = record({'type': TEXT, 'loc': st.lists(TEXT | COUNT, max_size=2), 'msg': TEXT, 'input': JSON}, {'ctx': DETAILS})
REQUEST = record(
    {
        'kind': st.just('request'),
        'parts': st.lists(
            st.one_of(
                part('system-prompt', {'content': TEXT, 'timestamp': TIME}, dynamic_ref=st.none() | TEXT),
                part('user-prompt', {'content': TEXT | st.lists(TEXT | FILES, max_size=3), 'timestamp': TIME}),
                part('tool-return', {**CALL, 'content': JSON, 'timestamp': TIME}, metadata=JSON),
                part(
                    'retry-prompt',
                    {'content': TEXT | st.lists(ERROR, max_size=2), 'tool_call_id': TEXT, 'timestamp': TIME},
                    tool_name=st.none() | TEXT,
                ),
            ),
            max_size=3,
        ),
    },
    {'timestamp': st.none() | TIME, 'instructions': st.none() | TEXT, 'run_id': TEXT, 'metadata': DETAILS},
)
USAGE = record(
    {},
    {
        'input_tokens': COUNT,
        'request_tokens': COUNT,
        'response_tokens': COUNT,
        'details': st.none() | st.dictionaries(TEXT, COUNT, max_size=2),
        'requests': COUNT,
    },
)
PROVIDER: dict[str, Value] = {'provider_name': st.none() | TEXT, 'provider_details': DETAILS, 'id': st.none() | TEXT}
RESPONSE = record(
    {
        'kind': st.just('response'),
        'timestamp': TIME,
        'parts': st.lists(
            st.one_of(
                part('text', {'content': TEXT}, **PROVIDER),
                part('thinking', {'content': TEXT}, signature=st.none() | TEXT, **PROVIDER),
                part('tool-call', CALL, args=ARGS, **PROVIDER),
                part('builtin-tool-call', CALL, args=ARGS, **PROVIDER),
                part('builtin-tool-return', {**CALL, 'content': JSON, 'timestamp': TIME}, **PROVIDER),
                part('file', {'content': FILES}, **PROVIDER),
            ),
            max_size=3,
        ),
    },
    {
        'usage': USAGE,
        'model_name': st.none() | TEXT,
        'provider_details': DETAILS,
        'vendor_details': DETAILS,
        'vendor_id': TEXT,
        'finish_reason': st.sampled_from([None, 'stop', 'length', 'other']),
        'nonsense': JSON,
    },
)


def outcome(m: Any, text: bytes) -> object:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            loaded = m.ModelMessagesTypeAdapter.validate_json(text)
        except ValueError as error:
            return str(error)
        dumped = m.ModelMessagesTypeAdapter.dump_json(loaded)
    return dumped, repr(loaded), [str(warning.message) for warning in caught]


@given(st.lists(REQUEST | RESPONSE, max_size=3))
def test_generated_json_loads_and_dumps_alike(messages: list[Any]):
    text = pydantic_core.to_json(messages)
    assert outcome(OURS, text) == outcome(THEIRS, text)
