"""Models that are wrapped explicitly, in sessions that replace nothing in the library."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent  # noqa: E402
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart  # noqa: E402
from pydantic_ai.models.function import AgentInfo, FunctionModel  # noqa: E402

from replay import Diverged, Session, use_cassette  # noqa: E402
from replay.adapters.pydantic_ai import record_model  # noqa: E402
from tests.replay.pydantic_ai.driving import STYLES, Asked, scripted  # noqa: E402
from tests.replay.pydantic_ai.test_runs import KINDS  # noqa: E402

pytestmark = pytest.mark.anyio


def made(kind: str, asked: Asked, prompt: str = 'Be brief.') -> Agent[Any, Any]:
    """An agent with a wrapped model, with or without a tool, with text or structured output."""
    tools, output = KINDS[kind]
    agent = Agent[Any, Any](record_model(scripted(asked), name='forecaster'), output_type=output, system_prompt=prompt)
    if tools:

        @agent.tool_plain
        def weather(city: str) -> str:
            """Weather of a city."""
            return f'{city}: sunny'

    return agent


def told(result: Any) -> list[Any]:
    """The parts of all messages, without their times."""
    messages = json.loads(result.all_messages_json())
    return [
        [message['kind'], *({k: v for k, v in part.items() if k != 'timestamp'} for part in message['parts'])]
        for message in messages
    ]


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('kind', KINDS)
async def test_a_wrapped_model_is_recorded_and_replayed_while_nothing_is_replaced(
    tmp_path: Path, kind: str, style: str
):
    async def once() -> tuple[Session, int, Any, Any]:
        asked, before = Asked(), Agent.__dict__['iter']
        agent = made(kind, asked)
        with use_cassette('one', dir=tmp_path, record='once', patch=False) as session:
            assert Agent.__dict__['iter'] is before
            output, result = await STYLES[style](agent, 'Weather in Paris?')
        return session, asked.times, output, result

    recording, asked, first, one = await once()
    assert asked == recording.live_requests > 0
    text = (tmp_path / 'one.json').read_bytes()
    for _ in range(2):
        replayed, asked, second, other = await once()
        assert (asked, replayed.live_requests) == (0, 0)
        assert first == second
        assert told(one) == told(other)
        assert replayed.all_messages_json() == recording.all_messages_json()
    assert (tmp_path / 'one.json').read_bytes() == text


async def test_requests_are_kept_with_logical_times_so_that_none_is_written(tmp_path: Path):
    with use_cassette('one', dir=tmp_path, record='once', patch=False) as session:
        await made('both', Asked()).run('Weather in Paris?')
    nodes, _, provider = (tmp_path / 'one.json').read_text().partition('"provider"')
    assert '"timestamp"' not in nodes
    assert provider.count('"timestamp"') == 2, 'when the answers came'
    assert session.node_kinds == ['UserPromptNode', 'ModelRequestNode', 'CallToolsNode', 'ModelRequestNode']


async def test_a_change_is_told_by_its_node(tmp_path: Path):
    with use_cassette('one', dir=tmp_path, record='once', patch=False):
        await made('tools', Asked()).run('Weather in Paris?')
    with pytest.raises(Diverged) as caught, use_cassette('one', dir=tmp_path, patch=False):
        await made('tools', Asked(), prompt='Be long.').run('Weather in Paris?')
    assert 'ModelRequestNode' in str(caught.value)


async def test_runs_of_a_model_are_told_apart(tmp_path: Path):
    async def once(asked: Asked) -> list[Any]:
        agent = made('tools', asked)
        with use_cassette('one', dir=tmp_path, record='once', patch=False) as session:
            both = await asyncio.gather(agent.run('Weather in Paris?'), agent.run('Weather in Rome?'))
            third = await agent.run('And now?', message_history=both[0].all_messages())
        assert sorted(run.name for run in session.runs) == ['forecaster', 'forecaster#2', 'forecaster#3']
        return [told(result) for result in [*both, third]]

    asked = Asked()
    assert await once(asked) == await once(asked)
    assert asked.times == 5


async def test_an_error_of_a_wrapped_model_is_replayed(tmp_path: Path):
    asked = Asked()

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.times += 1
        raise ConnectionError('nobody there')

    for _ in range(2):
        agent = Agent[None, str](record_model(FunctionModel(respond)))
        with (
            use_cassette('one', dir=tmp_path, record='once', patch=False),
            pytest.raises(ConnectionError, match='nobody there'),
        ):
            await agent.run('Hello')
    assert asked.times == 1


async def test_a_wrapped_model_by_name_needs_no_key_in_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    with use_cassette('one', dir=tmp_path, record='once', patch=False):
        await Agent[None, str](record_model(FunctionModel(_hello))).run('Hello')
    with use_cassette('one', dir=tmp_path, patch=False):
        result = await Agent[None, str](record_model('openai:gpt-5')).run('Hello')
    assert result.output == 'hello'


async def test_outside_of_sessions_and_where_hooks_see_the_run_it_is_the_model(tmp_path: Path):
    asked = Asked()
    agent = made('text', asked)
    await agent.run('Weather in Paris?')
    assert asked.times == 1
    with use_cassette('one', dir=tmp_path, record='once'):
        await agent.run('Weather in Paris?')
    with use_cassette('one', dir=tmp_path) as session:
        await agent.run('Weather in Paris?')
    assert asked.times == 2
    assert [run.name for run in session.runs] == ['agent']
    assert session.node_kinds[-1] == 'End'


def _hello(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart('hello')])
