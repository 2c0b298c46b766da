"""Tools of pydantic_ai's agents that are put off: approved or answered by somebody else, in a run of their own."""

from pathlib import Path
from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic import BaseModel  # noqa: E402
from pydantic_ai import Agent, DeferredToolRequests, RunContext  # noqa: E402
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred  # noqa: E402
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402
from pydantic_ai.tools import DeferredToolResults, ToolApproved, ToolDefinition, ToolDenied  # noqa: E402
from pydantic_ai.toolsets import ExternalToolset  # noqa: E402

from replay import use_cassette  # noqa: E402

pytestmark = pytest.mark.anyio

RAN: list[str] = []


def calling(*turns: list[ToolCallPart] | str) -> FunctionModel:
    left = list(turns)

    def answer(_messages: Any, _info: Any) -> ModelResponse:
        turn = left.pop(0)
        return ModelResponse(parts=[TextPart(turn)] if isinstance(turn, str) else list(turn))

    return FunctionModel(answer)


def call(name: str, id: str, **args: Any) -> ToolCallPart:
    return ToolCallPart(name, args, tool_call_id=id)


def deferring() -> Agent[None, Any]:
    """An agent whose tools are put off in every way there is."""
    calls = [call(name, f'c{at}', n=at) for at, name in enumerate(['plain', 'ask', 'gated', 'outside', 'later'])]
    schema = {'type': 'object', 'properties': {'n': {'type': 'integer'}}}
    outside = ExternalToolset[None]([ToolDefinition(name='outside', parameters_json_schema=schema)])
    agent = Agent(calling(calls, 'Done'), name='agent', output_type=[str, DeferredToolRequests], toolsets=[outside])

    @agent.tool_plain
    def plain(n: int) -> int:
        RAN.append('plain')
        return n

    @agent.tool
    def ask(ctx: RunContext[None], n: int) -> int:
        RAN.append(f'ask {ctx.tool_call_approved}')
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return n * 10

    @agent.tool_plain(requires_approval=True)
    def gated(n: int) -> int:
        RAN.append('gated')
        return n * 100

    @agent.tool_plain
    def later(n: int) -> int:
        RAN.append(f'later {n}')
        raise CallDeferred

    return agent


@pytest.mark.parametrize('approval', [True, ToolApproved(override_args={'n': 7}), ToolDenied('no'), False])
async def test_deferred_calls_are_taken_up_by_a_second_run(approval: Any, tmp_path: Path):
    async def both() -> list[bytes]:
        agent = deferring()
        first = await agent.run('Go')
        asked = first.output
        assert {one.tool_call_id for one in asked.approvals} == {'c1', 'c2'}
        assert {one.tool_call_id for one in asked.calls} == {'c3', 'c4'}
        results = DeferredToolResults(
            calls={'c3': {'from': 'outside'}, 'c4': 5}, approvals={'c1': approval, 'c2': approval}
        )
        second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
        return [first.all_messages_json(), second.all_messages_json()]

    RAN.clear()
    with use_cassette('a', dir=tmp_path, record='once'):
        recorded = await both()
    ran = len(RAN)
    for _ in range(2):
        with use_cassette('a', dir=tmp_path):
            assert await both() == recorded
    assert len(RAN) == ran


class Answer(BaseModel):
    text: str


@pytest.mark.parametrize('strategy', ['early', 'exhaustive'])
async def test_output_tools_and_functions_always_run(strategy: Any, tmp_path: Path):
    outputs: list[str] = []
    ran: list[str] = []

    def finish(text: str) -> Answer:
        outputs.append(text)
        return Answer(text=text.upper())

    def make() -> Agent[None, Any]:
        output = 'final_result'
        turns = [[call('get', 'c0')], [call('get', 'c1'), call(output, 'o', text='end'), call('get', 'c2')]]
        agent = Agent(calling(*turns), name='agent', output_type=finish, end_strategy=strategy)

        @agent.tool_plain
        def get() -> str:
            ran.append('get')
            return 'got'

        return agent

    found: list[bytes] = []
    for _ in range(2):
        with use_cassette('a', dir=tmp_path, record='once'):
            result = await make().run('Go')
        assert result.output == Answer(text='END')
        found.append(result.all_messages_json())
    assert found[0] == found[1]
    assert outputs == ['end', 'end']
    assert len(ran) == (1 if strategy == 'early' else 3)
