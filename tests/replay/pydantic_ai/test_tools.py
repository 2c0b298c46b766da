"""Tools of pydantic_ai's agents: their calls recorded, and answered from the recording."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic import BaseModel  # noqa: E402
from pydantic_ai import Agent, BinaryContent, ModelRetry, RunContext, ToolReturn  # noqa: E402
from pydantic_ai.messages import FunctionToolResultEvent, ModelResponse, TextPart, ToolCallPart  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402

from replay import Diverged, use_cassette  # noqa: E402

pytestmark = pytest.mark.anyio


def calling(*turns: Sequence[ToolCallPart] | str) -> FunctionModel:
    """A model that makes these calls or gives these answers, one after the other."""
    left = list(turns)

    def answer(_messages: Any, _info: Any) -> ModelResponse:
        turn = left.pop(0)
        return ModelResponse(parts=[TextPart(turn)] if isinstance(turn, str) else list(turn))

    return FunctionModel(answer)


def call(name: str, id: str = 'c0', **args: Any) -> ToolCallPart:
    return ToolCallPart(name, args, tool_call_id=id)


class City(BaseModel):
    name: str
    founded: datetime


@dataclass
class Both:
    """The same agent run twice: recorded, then replayed."""

    folder: Path
    make: Callable[[], Agent[Any, Any]]
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    text: str = ''

    async def run(self) -> tuple[Any, Any]:
        found: list[Any] = []
        for _ in range(2):
            with use_cassette('one', dir=self.folder, record='once'):
                found.append(await self.make().run('Go', **self.kwargs))
        self.text = (self.folder / 'one.json').read_text()
        assert found[0].all_messages_json() == found[1].all_messages_json()
        assert found[0].all_messages() == found[1].all_messages()
        return found[0], found[1]


async def test_a_tool_is_not_run_in_a_replay(tmp_path: Path):
    ran: list[str] = []

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('weather', city='Paris')], 'Sunny'), name='agent')

        @agent.tool_plain
        def weather(city: str) -> str:
            ran.append(city)
            return f'Sunny in {city}'

        return agent

    one, other = await Both(tmp_path, make).run()
    assert ran == ['Paris']
    assert one.output == other.output == 'Sunny'


def _usage(result: Any) -> Any:
    from replay.adapters.pydantic_ai._compat import read  # loads pydantic_ai

    return read(result, 'usage')


KINDS: dict[str, tuple[Any, Any]] = {
    'model': (City(name='Rome', founded=datetime(1, 4, 21, tzinfo=UTC)), City),
    'bytes': (b'\x00\xff', bytes),
    'bytes without annotation': (b'\x00\xff', None),
    'ToolReturn': (ToolReturn(return_value={'a': Decimal('1.50')}, content=['see', 'this'], metadata={'n': 1}), None),
    'BinaryContent': (BinaryContent(data=b'GIF89a', media_type='image/gif'), None),
    'files and text': (['look', BinaryContent(data=b'GIF89a', media_type='image/gif')], None),
    'ToolReturn with a file': (
        ToolReturn(return_value='ok', content=['see', BinaryContent(data=b'GIF89a', media_type='image/gif')]),
        None,
    ),
    'Decimal': (Decimal('1.50'), Decimal),
    'datetime': (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None),
    'set': ({3, 1, 2}, set[int]),
    'set of texts': ({'b', 'c', 'a'}, None),
    'None': (None, None),
    'list': ([datetime(2026, 1, 2, tzinfo=UTC), timedelta(seconds=5), Decimal('1.0'), UUID(int=5), inf], None),
    'tuple': ((1, 'a'), tuple[int, str]),
    'empty text': ('', str),
}


@pytest.mark.parametrize('kind', KINDS)
async def test_what_a_tool_returns_comes_back_as_an_equal_object(kind: str, tmp_path: Path):
    value, annotation = KINDS[kind]
    ran: list[int] = []

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('get')], 'Done'), name='agent')

        def get() -> Any:
            ran.append(1)
            return value

        if annotation is not None:
            get.__annotations__['return'] = annotation
        agent.tool_plain(get)
        return agent

    one, other = await Both(tmp_path, make).run()
    assert ran == [1]
    assert [
        type(part.content) for message in one.all_messages() for part in message.parts if hasattr(part, 'content')
    ] == [type(part.content) for message in other.all_messages() for part in message.parts if hasattr(part, 'content')]
    assert _usage(one) == _usage(other)


async def test_calls_of_a_response_are_answered_each_by_its_own_result(tmp_path: Path):
    def make() -> Agent[None, str]:
        calls = [call('double', f'c{at}', at=at) for at in range(6)]
        agent = Agent(calling(calls, [call('double', 'd', at=9)], 'Done'), name='agent')

        @agent.tool_plain
        async def double(at: int) -> int:
            await anyio.sleep((9 - at) / 500)
            return at * 2

        return agent

    one, _ = await Both(tmp_path, make).run()
    returns = [
        part.content for message in one.all_messages() for part in message.parts if part.part_kind == 'tool-return'
    ]
    assert returns == [0, 2, 4, 6, 8, 10, 18]


async def _order(agent: Agent[Any, Any]) -> list[str]:
    found: list[str] = []
    async with agent.iter('Hi') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    found += [one.tool_call_id async for one in events if isinstance(one, FunctionToolResultEvent)]
    return found


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_calls_end_in_the_recorded_order(tools: str, tmp_path: Path):
    ran: list[int] = []
    delays = {at: (at * 7 % 20) / 1000 for at in range(20)}

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('look', f'c{at}', at=at) for at in range(20)], 'Done'), name='agent')

        @agent.tool_plain
        async def look(at: int) -> int:
            await anyio.sleep(delays[at])
            ran.append(at)
            return at

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await _order(make())
    assert one == [f'c{at}' for at in ran]
    assert one != sorted(one, key=lambda name: int(name[1:]))
    ran.clear()
    delays = dict.fromkeys(delays, 0)
    with use_cassette('a', dir=tmp_path, tools=tools):
        assert await _order(make()) == one
    assert sorted(ran) == ([] if tools == 'replay' else list(range(20)))


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_retries_come_back(tools: str, tmp_path: Path):
    def make() -> Agent[None, str]:
        turns = [[call('pick', n=1)], [call('pick', n='x')], [call('pick', n=2), call('none', 'c1')], 'Done']
        agent = Agent(calling(*turns), name='agent', retries=5)

        @agent.tool
        def pick(ctx: RunContext[None], n: int) -> int:
            if ctx.retry == 0:
                raise ModelRetry('another one')
            return n

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await make().run('Go')
    with use_cassette('a', dir=tmp_path, tools=tools):
        other = await make().run('Go')
    assert one.all_messages_json() == other.all_messages_json()
    assert b'another one' in one.all_messages_json()
    assert b'Unknown tool name' in one.all_messages_json()


async def test_a_validation_error_inside_of_a_tool_comes_back(tmp_path: Path):
    ran: list[int] = []

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('pick')], 'Done'), name='agent')

        @agent.tool_plain
        def pick() -> Any:
            ran.append(1)
            return City.model_validate({'name': 5, 'founded': '{never}'})

        return agent

    await Both(tmp_path, make).run()
    assert ran == [1]


class BrokenError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f'broken with {code}')
        self.code = code


async def test_an_error_of_a_tool_is_raised_again(tmp_path: Path):
    ran: list[int] = []

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('fine', 'c0'), call('fail', 'c1'), call('fine', 'c2')]), name='agent')

        @agent.tool_plain
        async def fail() -> str:
            ran.append(1)
            raise BrokenError(7)

        @agent.tool_plain
        async def fine() -> str:
            await anyio.sleep(0.01)
            return 'fine'

        return agent

    for _ in range(2):
        with (
            use_cassette('a', dir=tmp_path, record='once'),
            pytest.raises(BrokenError, match='broken with 7') as caught,
        ):
            await make().run('Go')
        assert caught.value.code == 7
    assert ran == [1]


@pytest.mark.parametrize(('tools', 'node'), [('live', 'ModelRequestNode'), ('verify', 'CallToolsNode')])
async def test_another_result_leaves_the_recording(tools: str, node: str, tmp_path: Path):
    def make(result: int) -> Agent[None, str]:
        agent = Agent(calling([call('get')], 'Done'), name='agent')

        @agent.tool_plain
        def get() -> int:
            return result

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        await make(1).run('Go')
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path, tools={'get': tools}):
        await make(2).run('Go')
    assert (caught.value.divergence.cause, caught.value.divergence.kind) == ('tool result', node)


async def test_nested_runs_count_into_the_usage_in_a_replay(tmp_path: Path):
    ran: list[int] = []

    def make() -> Agent[None, str]:
        inner = Agent(calling([call('add', a=1)], 'Inner'), name='inner')

        @inner.tool_plain
        def add(a: int) -> int:
            return a

        agent = Agent(calling([call('ask')], 'Outer'), name='outer')

        @agent.tool
        async def ask(ctx: RunContext[None]) -> str:
            ran.append(1)
            return (await inner.run('And?', usage=ctx.usage)).output

        return agent

    one, other = await Both(tmp_path, make).run()
    assert ran == [1]
    assert _usage(one) == _usage(other)
    assert _usage(one).requests == 4


def test_run_sync_and_tools_in_threads_are_recorded(tmp_path: Path):
    ran: list[int] = []

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('get', 'c0'), call('get', 'c1')], 'Done'), name='agent')

        @agent.tool_plain
        def get() -> int:
            ran.append(1)
            return 5

        return agent

    found: list[bytes] = []
    loop = asyncio.new_event_loop()  # the library would make one and leave it open
    asyncio.set_event_loop(loop)
    for _ in range(2):
        with use_cassette('a', dir=tmp_path, record='once'):
            found.append(make().run_sync('Go').all_messages_json())
    asyncio.set_event_loop(None)
    loop.close()
    assert found[0] == found[1]
    assert ran == [1, 1]
