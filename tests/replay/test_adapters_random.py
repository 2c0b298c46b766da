"""Random scripts: whatever a run does, its recording replays to the same bytes and plays to them without its agent."""

from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentrun import Agent, ModelRetry
from agentrun.messages import ModelMessage, ModelResponse, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart
from agentrun.models.function import FunctionModel
from agentrun.usage import RequestUsage
from replay import Session
from replay.cassette import Cassette
from replay.check import check_cassette
from replay.codec import dumps, loads


class City(BaseModel):
    name: str
    size: int


ARGS = st.sampled_from([{}, {'place': 'a'}, {'place': 3}, '{"place": "b"}', '{"place": ', ''])
CITY = st.sampled_from([{'name': 'Rome', 'size': 3}, {'name': 'Rome', 'size': 'big'}, '{"name": "Oslo", "size": 1}'])
PARTS = st.one_of(
    st.builds(TextPart, st.sampled_from(['Hello', '', '{"name": "Rome", "size": 3}', '3'])),
    st.builds(ThinkingPart, st.just('Hm.')),
    st.tuples(st.sampled_from(['look', 'slow', 'stubborn', 'nothing', 'failing']), ARGS),
    st.tuples(st.just('final_result'), CITY),
)
SCRIPTS = st.lists(st.lists(PARTS, max_size=3), min_size=1, max_size=4)


def part(item: Any, id: str) -> ModelResponsePart:
    if not isinstance(item, tuple):
        return item
    name, args = cast('tuple[str, Any]', item)
    return ToolCallPart(name, args, id)


def agent_of(script: list[list[Any]], **options: Any) -> tuple[Agent[None, Any], list[str]]:
    left = [[part(item, f'c{at}{place}') for place, item in enumerate(items)] for at, items in enumerate(script)]
    ran: list[str] = []

    def model(messages: list[ModelMessage], info: Any) -> ModelResponse:
        ran.append('model')
        parts = left.pop(0) if left else [TextPart('The end')]
        return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=1, output_tokens=1))

    agent = Agent[None, Any](FunctionModel(model), name='agent', retries=2, **options)

    @agent.tool_plain
    def look(place: str) -> dict[str, Any]:
        ran.append('look')
        return {'seen': place}

    @agent.tool_plain
    async def slow(place: str = '') -> list[str]:
        ran.append('slow')
        return [place]

    @agent.tool_plain
    def stubborn() -> str:
        raise ModelRetry('Not like this.')

    @agent.tool_plain
    def failing(place: int) -> str:
        raise LookupError('broken')

    return agent, ran


def end_of(agent: Agent[None, Any]) -> tuple[Any, ...]:
    try:
        result = agent.run_sync('Go on.')
    except Exception as error:  # noqa: BLE001, how a run fails is compared too
        return type(error), str(error)
    return result.all_messages_json(), result.output, result.usage()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=SCRIPTS,
    output=st.sampled_from([str, City, [str, City]]),
    end_strategy=st.sampled_from(['early', 'exhaustive']),
)
def test_a_random_run_replays_and_plays_to_its_bytes(
    script: list[list[Any]], output: Any, end_strategy: Any, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp('random')
    options: dict[str, Any] = {'output_type': output, 'end_strategy': end_strategy}
    with Session('run', dir=folder, record='once') as session:
        recorded = end_of(agent_of(script, **options)[0])
    agent, ran = agent_of(script, **options)
    with Session('run', dir=folder) as session:
        assert end_of(agent) == recorded
    assert ran == []
    cassette = Cassette(runs=session.recorded_runs)
    assert [checked for checked in check_cassette(cassette) if checked.verdict != 'exact'] == []
    assert loads(dumps(cassette)).runs == cassette.runs
