"""The wire tables against what they describe."""

from typing import Any

import pytest

from replay import shapes
from replay.shapes import PYDANTIC_AI_1_38, TABLES, Shape
from tests.helpers import state_of, type_of

KINDS = (
    ('messages', {**PYDANTIC_AI_1_38.messages}),
    ('request parts', {**PYDANTIC_AI_1_38.request_parts}),
    ('response parts', {**PYDANTIC_AI_1_38.response_parts}),
)


def test_tables_stand_under_their_names():
    assert 'pydantic-ai 1.38' in TABLES
    assert [table.name for table in TABLES.values()] == list(TABLES)
    assert shapes.FULL not in TABLES


@pytest.mark.parametrize('shapes', [pytest.param(found, id=name) for name, found in KINDS])
def test_a_kind_goes_without_saying_in_its_own_shape(shapes: dict[str, Shape]):
    for kind, shape in shapes.items():
        assert kind in shape.usual.values()
        assert set(shape.usual) <= set(shape.keys)


@pytest.mark.parametrize(
    ('message', 'table'),
    [
        ('ModelRequest(parts=[])', PYDANTIC_AI_1_38.messages['request']),
        ('ModelResponse(parts=[])', PYDANTIC_AI_1_38.messages['response']),
        ('SystemPromptPart(content="x")', PYDANTIC_AI_1_38.request_parts['system-prompt']),
        ('UserPromptPart(content="x")', PYDANTIC_AI_1_38.request_parts['user-prompt']),
        ('ToolReturnPart(tool_name="x", content=1, tool_call_id="c")', PYDANTIC_AI_1_38.request_parts['tool-return']),
        ('RetryPromptPart(content="x")', PYDANTIC_AI_1_38.request_parts['retry-prompt']),
        ('TextPart(content="x")', PYDANTIC_AI_1_38.response_parts['text']),
        ('ThinkingPart(content="x")', PYDANTIC_AI_1_38.response_parts['thinking']),
        ('ToolCallPart(tool_name="x")', PYDANTIC_AI_1_38.response_parts['tool-call']),
        ('BuiltinToolCallPart(tool_name="x")', PYDANTIC_AI_1_38.response_parts['builtin-tool-call']),
        (
            'BuiltinToolReturnPart(tool_name="x", content=1, tool_call_id="c")',
            PYDANTIC_AI_1_38.response_parts['builtin-tool-return'],
        ),
        (
            'FilePart(content=BinaryContent(data=b"x", media_type="text/plain"))',
            PYDANTIC_AI_1_38.response_parts['file'],
        ),
        ('ImageUrl(url="http://x/y.png")', PYDANTIC_AI_1_38.items['image-url']),
        ('AudioUrl(url="http://x/y.mp3")', PYDANTIC_AI_1_38.items['audio-url']),
        ('DocumentUrl(url="http://x/y.pdf")', PYDANTIC_AI_1_38.items['document-url']),
        ('VideoUrl(url="http://x/y.mp4")', PYDANTIC_AI_1_38.items['video-url']),
        ('BinaryContent(data=b"x", media_type="text/plain")', PYDANTIC_AI_1_38.items['binary']),
        ('CachePoint()', PYDANTIC_AI_1_38.items['cache-point']),
    ],
)
def test_the_table_says_what_the_library_writes(message: str, table: Shape):
    library = pytest.importorskip('pydantic_ai.messages', reason='the library that is followed is not installed')
    pydantic = pytest.importorskip('pydantic')
    value: Any = eval(message, state_of(library))
    dumped: dict[str, Any] = pydantic.TypeAdapter(type_of(value)).dump_python(value, mode='json')
    assert tuple(dumped) == table.keys
    assert {key: dumped[key] for key in table.usual} == dict(table.usual)


def test_the_table_says_what_the_library_writes_of_usage():
    library = pytest.importorskip('pydantic_ai.usage', reason='the library that is followed is not installed')
    pydantic = pytest.importorskip('pydantic')
    dumped: dict[str, Any] = pydantic.TypeAdapter(library.RequestUsage).dump_python(library.RequestUsage())
    assert (tuple(dumped), dumped) == (PYDANTIC_AI_1_38.usage.keys, dict(PYDANTIC_AI_1_38.usage.usual))
