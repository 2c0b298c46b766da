"""What a run sees is equal in its recording and in its replays, as objects and not only as bytes."""

import dataclasses
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from math import inf, nan
from pathlib import Path
from typing import Any, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel
from pydantic_core import to_json

from agentrun import Agent, ModelRetry, RunContext
from agentrun.exceptions import ApprovalRequired
from agentrun.messages import BinaryContent, ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturn
from agentrun.models.function import FunctionModel
from agentrun.tools import DeferredToolRequests
from replay import Diverged, use_cassette
from replay.adapters.agentrun._objects import NotFitting, canonical, name_of, restored, same, types_of

pytestmark = pytest.mark.anyio


class Sky(Enum):
    CLEAR = 'clear'


class Weather(BaseModel):
    sky: Sky
    at: datetime
    rain: Decimal = Decimal('0.10')


@dataclasses.dataclass
class Place:
    name: str
    since: date


class Row(TypedDict):
    id: UUID
    tags: list[str]


WEATHER = Weather(sky=Sky.CLEAR, at=datetime(2026, 11, 20, 9, 50, tzinfo=UTC))
ID = UUID('5f0c9a52-7d1e-4b7e-9c55-0b6a4f6f2c11')
STANDARD = {
    'when': datetime(2026, 11, 20, 9, 50, 1, 5, tzinfo=timezone(timedelta(hours=2))),
    'naive': datetime(2026, 11, 20),  # noqa: DTZ001, such values exist
    'day': date(2026, 11, 20),
    'at': time(9, 50, 1),
    'for': timedelta(days=-1, seconds=3.5),
    'price': Decimal('1.20'),
    'id': ID,
    'raw': b'\xff\xfe',
    'set': {'b', 'a', 'c'},
    'frozen': frozenset({ID}),
    'pair': (1, (date(2026, 1, 2), 'x')),
    'floats': [nan, inf, -inf, 1.5],
    'a/b~c': {'d': ID},
}

ANNOTATED: dict[str, tuple[Any, Any]] = {
    'model': (Weather, WEATHER),
    'list of models': (list[Weather], [WEATHER, WEATHER]),
    'dataclass': (Place, Place('Rome', date(2026, 1, 2))),
    'typed dict': (Row, Row(id=ID, tags=['a'])),
    'enum': (Sky, Sky.CLEAR),
    'optional': (Weather | None, WEATHER),
    'keys that are no text': (dict[int, str], {1: 'a'}),
    'standard types': (dict[str, Any], STANDARD),
    'no annotation': (Any, STANDARD),
}


def test_standard_types_are_tagged_by_path():
    content: Any = [{'id': str(ID), 'n': None}, ['x']]
    value = canonical([{'id': ID, 'n': nan}, {'x'}])
    assert types_of(value, content, Any, path='content') == {
        'content/0/id': 'uuid',
        'content/0/n': 'nan',
        'content/1': 'set',
    }


def test_keys_that_hold_a_slash_are_escaped():
    assert types_of({'a/b~c': ID}, {'a/b~c': str(ID)}, Any, path='content') == {'content/a~1b~0c': 'uuid'}


@pytest.mark.parametrize(
    ('annotation', 'name'),
    [(Weather, 'Weather'), (list[Weather], 'list[Weather]'), (Weather | None, 'Weather | None'), (Any, 'Any')],
)
def test_an_annotation_is_named_without_its_module(annotation: Any, name: str):
    assert name_of(annotation) == name


@pytest.mark.parametrize(('one', 'other'), [(1, True), (1, 1.0), ([1], (1,)), ({'a': 1}, {'a': 2}), ('a', Sky.CLEAR)])
def test_values_of_other_types_are_not_the_same(one: Any, other: Any):
    assert not same(one, other)
    assert same(one, one)


def test_content_that_a_tag_does_not_take_is_refused():
    with pytest.raises(NotFitting):
        restored('no uuid', {'content': 'uuid'}, Any, path='content')


def agent_with(returns: Any, value: Any, *, fails: bool = False) -> Agent[None, str]:
    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart('look', {}, 'c1')])
        return ModelResponse([TextPart('Done')])

    agent = Agent(FunctionModel(model), name='agent')

    def look() -> Any:
        assert not fails, 'a replay ran the tool'
        return value

    look.__annotations__['return'] = returns
    agent.tool_plain(look)
    return agent


async def twice(folder: Path, returns: Any, value: Any) -> tuple[Any, Any]:
    """Messages of a recorded run and of its replay."""
    with use_cassette('a', dir=folder, record='once'):
        one = await agent_with(returns, value).run('Hi')
    with use_cassette('a', dir=folder):
        two = await agent_with(returns, value, fails=True).run('Hi')
    assert one.all_messages_json() == two.all_messages_json()
    return one.all_messages(), two.all_messages()


@pytest.mark.parametrize('case', ANNOTATED)
async def test_what_a_tool_returns_is_the_same_object_in_a_replay(case: str, tmp_path: Path):
    returns, value = ANNOTATED[case]
    one, two = await twice(tmp_path, returns, value)
    content = one[2].parts[0].content
    assert same(one, two)
    assert same(content, canonical(value))


@pytest.mark.parametrize(
    ('returns', 'value', 'form'),
    [
        (Any, WEATHER, WEATHER.model_dump(mode='json')),
        (str, Place('Rome', date(2026, 1, 2)), {'name': 'Rome', 'since': '2026-01-02'}),
        (Any, [ID, WEATHER], [ID, WEATHER.model_dump(mode='json')]),
    ],
)
async def test_what_nothing_restores_is_json_in_the_recording_too(returns: Any, value: Any, form: Any, tmp_path: Path):
    one, two = await twice(tmp_path, returns, value)
    assert same(one, two)
    assert same(one[2].parts[0].content, form)


async def test_metadata_content_and_files_are_the_same_in_a_replay(tmp_path: Path):
    file = BinaryContent(b'\x89PNG', media_type='image/png')
    one, two = await twice(tmp_path, ToolReturn, ToolReturn((1, ID), content=['See', file], metadata={'at': STANDARD}))
    assert same(one, two)
    assert same(one[2].parts[0].metadata, canonical({'at': STANDARD}))
    assert one[2].parts[1].content == ['See', file]


async def test_a_tool_that_returns_another_type_now_leaves_the_recording(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await agent_with(Weather, WEATHER).run('Hi')
    with pytest.raises(Diverged, match='look'), use_cassette('a', dir=tmp_path):
        await agent_with(Place, WEATHER).run('Hi')


async def test_metadata_of_a_deferred_call_is_the_same_in_a_replay(tmp_path: Path):
    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        return ModelResponse([ToolCallPart('ask', {}, 'c1')])

    def agent() -> Agent[None, Any]:
        made: Agent[None, Any] = Agent(FunctionModel(model), name='agent', output_type=[str, DeferredToolRequests])

        @made.tool
        def ask(ctx: RunContext[None]) -> str:
            raise ApprovalRequired(metadata=STANDARD)

        return made

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await agent().run('Hi')
    with use_cassette('a', dir=tmp_path):
        two = await agent().run('Hi')
    assert same(one.output, two.output)
    assert same(one.output.metadata['c1'], canonical(STANDARD))


async def test_the_time_of_a_provider_is_a_datetime_in_a_replay_too(tmp_path: Path):
    details = {'timestamp': datetime(2026, 11, 20, tzinfo=UTC), 'other': ID, 'finish_reason': 'stop'}
    agent = Agent(FunctionModel(lambda _, __: ModelResponse([TextPart('Hi')], provider_details=dict(details))))
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await agent.run('Hi')
    with use_cassette('a', dir=tmp_path):
        two = await agent.run('Hi')
    assert same(one.all_messages(), two.all_messages())
    assert type((two.response.provider_details or {})['timestamp']) is datetime


class Tagged(BaseModel):
    tags: set[str]
    plain: Any = None
    inner: 'Tagged | None' = None


@dataclasses.dataclass(frozen=True)
class Group:
    names: frozenset[str]


TAGS = set('abcdefghij')
TAGGED = Tagged(tags=TAGS, plain={'of': TAGS}, inner=Tagged(tags=TAGS))


@pytest.mark.parametrize('value', [{1, 2, 3}, {'one'}, frozenset({5, 6}), set[str](), {ID}, [{True}]], ids=repr)
async def test_a_set_whose_order_is_always_the_same_is_a_plain_one(value: Any, tmp_path: Path):
    one, two = await twice(tmp_path, Any, value)
    for messages in (one, two):
        content = messages[2].parts[0].content
        assert same(content, value)


async def test_a_set_that_sorts_looks_and_is_used_like_a_plain_one(tmp_path: Path):
    one, two = await twice(tmp_path, Any, [{'b', 'a'}, frozenset({'d', 'c'}), {nan, 1.0}])
    for messages in (one, two):
        tags, frozen, _ = messages[2].parts[0].content
        assert (repr(tags), repr(frozen)) == ("{'a', 'b'}", "frozenset({'c', 'd'})")
        assert tags == {'a', 'b'}
        assert tags | {'c'} == {'a', 'b', 'c'}
        assert {'a'} < tags


@pytest.mark.parametrize(
    ('returns', 'value'),
    [(Tagged, Tagged(tags=TAGS, inner=Tagged(tags=TAGS))), (list[Group], [Group(frozenset(TAGS))] * 2)],
    ids=['model', 'dataclasses'],
)
async def test_models_that_hold_sets_are_the_same_objects_in_a_replay(returns: Any, value: Any, tmp_path: Path):
    one, two = await twice(tmp_path, returns, value)
    assert same(one, two)
    assert one[2].parts[0].content == value
    assert b'["a","b","c","d","e","f","g","h","i","j"]' in to_json(one[2].parts[0].content)


async def test_what_a_tool_returned_is_its_own_to_change(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        state: list[str] = ['a']
        agent = agent_with(list[str], state)
        agent.output_validator(lambda text: state.append('b') or text)
        one = await agent.run('Hi')
    with use_cassette('a', dir=tmp_path):
        two = await agent_with(list[str], None, fails=True).run('Hi')
    assert one.all_messages() == two.all_messages()
    assert state == ['a', 'b']


_SETS = """
import sys, anyio
from pathlib import Path
sys.path.insert(0, 'tests/replay')
from typing import Any
from test_objects import TAGGED, TAGS, Group, Tagged, agent_with
from replay import use_cassette
async def main():
    with use_cassette('a', dir=Path(sys.argv[1]), record='once'):
        found = await agent_with(set[str], set('abcdefghij')).run('Hi')
        made = await agent_with(list[Tagged], [TAGGED]).run('Hi')
        other = await agent_with(Any, [Group(frozenset(TAGS))]).run('Hi')
    for one in (found, made, other):
        sys.stdout.buffer.write(one.all_messages_json())
anyio.run(main)
"""


def test_the_order_of_a_set_does_not_depend_on_the_hash_seed(tmp_path: Path):
    found = [
        subprocess.run(
            [sys.executable, '-c', _SETS, str(tmp_path / folder)],
            check=True,
            capture_output=True,
            env={**os.environ, 'PYTHONHASHSEED': str(seed)},
            cwd=Path(__file__).parents[2],
        ).stdout
        for seed, folder in enumerate(['one', 'one', 'two'])
    ]
    assert found[0] == found[1] == found[2]


async def test_a_retry_says_the_same_in_a_replay(tmp_path: Path):
    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart('look', {'at': 'x'}, 'c1'), ToolCallPart('look', {'at': '3'}, 'c2')])
        return ModelResponse([TextPart('Done')])

    def agent() -> Agent[None, str]:
        made = Agent(FunctionModel(model), name='agent')

        @made.tool_plain
        def look(at: int) -> str:
            raise ModelRetry('Higher.')

        return made

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await agent().run('Hi')
    with use_cassette('a', dir=tmp_path):
        two = await agent().run('Hi')
    assert same(one.all_messages(), two.all_messages())
