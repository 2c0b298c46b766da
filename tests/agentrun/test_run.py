"""`AgentRun`: driven by iteration and by `next`, as documented, and what is left of it."""

import re
from textwrap import dedent
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticSerializationError

from agentrun import (
    Agent,
    AgentRunResult,
    CallToolsNode,
    End,
    FinalResult,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestNode,
    ModelResponse,
    RequestUsage,
    SetFinalResult,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.models.function import AgentInfo, FunctionModel

pytestmark = pytest.mark.anyio


class City(BaseModel):
    """A city."""

    name: str


def paris(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(
        parts=[TextPart('The capital of France is Paris.')], usage=RequestUsage(input_tokens=56, output_tokens=7)
    )


def capital_agent() -> Agent[None, str]:
    return Agent(FunctionModel(paris, model_name='gpt-4o'))


def tool_agent() -> Agent[None, str]:
    """Calls `look` once, then answers."""

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart('look', {}, tool_call_id='1')])
        return ModelResponse(parts=[TextPart('done')])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def look() -> str:
        return 'seen'

    return agent


def failing_agent(times: int = 1) -> Agent[None, str]:
    """Its model fails the first times it is asked."""
    failures = iter(range(times))

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if next(failures, None) is not None:
            raise ValueError('model broke')
        return ModelResponse(parts=[TextPart('fine')])

    return Agent(FunctionModel(script))


def kinds(nodes: list[Any]) -> list[str]:
    return [type(node).__name__ for node in nodes]


DOCUMENTED = """
    UserPromptNode(user_prompt='What is the capital of France?', instructions_functions=[], system_prompts=(), system_prompt_functions=[], system_prompt_dynamic_functions={})
    ModelRequestNode(request=ModelRequest(parts=[UserPromptPart(content='What is the capital of France?', timestamp=datetime.datetime(...))], timestamp=datetime.datetime(...), run_id='...'))
    CallToolsNode(model_response=ModelResponse(parts=[TextPart(content='The capital of France is Paris.')], usage=RequestUsage(input_tokens=56, output_tokens=7), model_name='gpt-4o', timestamp=datetime.datetime(...), run_id='...'))
    End(data=FinalResult(output='The capital of France is Paris.'))
    """  # noqa: E501, as documented


def as_documented(nodes: list[Any]) -> list[str]:
    """The reprs of nodes with times and run ids left out, as the documentation prints them."""
    times = re.compile(r'datetime\.datetime\((?:[^()]|\([^()]*\))*\)')
    ids = re.compile(r"run_id='[0-9a-f-]{36}'")
    return [ids.sub("run_id='...'", times.sub('datetime.datetime(...)', repr(node))) for node in nodes]


# The examples of the documentation


async def test_the_documented_iteration_prints_what_is_documented():
    agent = capital_agent()
    nodes: list[Any] = []
    async with agent.iter('What is the capital of France?') as agent_run:
        async for node in agent_run:
            nodes.append(node)  # noqa: PERF401, as documented
    assert as_documented(nodes) == dedent(DOCUMENTED).strip().split('\n')
    assert agent_run.result is not None
    assert agent_run.result.output == 'The capital of France is Paris.'


async def test_the_documented_driving_by_next_prints_the_same():
    agent = capital_agent()
    async with agent.iter('What is the capital of France?') as agent_run:
        node = agent_run.next_node
        all_nodes: list[Any] = [node]
        while not isinstance(node, End):
            node = await agent_run.next(node)
            all_nodes.append(node)
    assert as_documented(all_nodes) == dedent(DOCUMENTED).strip().split('\n')


async def test_nodes_are_told_apart_by_the_agent():
    found: list[str] = []
    async with capital_agent().iter('go') as agent_run:
        async for node in agent_run:
            if Agent.is_user_prompt_node(node):
                found.append(f'prompt {node.user_prompt}')
            elif Agent.is_model_request_node(node):
                found.append(f'request of {len(node.request.parts)}')
            elif Agent.is_call_tools_node(node):
                found.append(f'response {node.model_response.text}')
            elif Agent.is_end_node(node):
                found.append(f'end {node.data.output}')
    text = 'The capital of France is Paris.'
    assert found == ['prompt go', 'request of 1', f'response {text}', f'end {text}']


# The order of steps


async def test_the_first_item_is_the_node_that_is_due_and_has_not_run():
    async with capital_agent().iter('go') as agent_run:
        due = agent_run.next_node
        assert await anext(agent_run) is due
        assert (agent_run.all_messages(), agent_run.next_node is due) == ([], True)


async def test_a_request_has_neither_time_nor_run_id_before_it_runs():
    async with capital_agent().iter('go') as agent_run:
        node = await agent_run.next(first(agent_run))
        assert isinstance(node, ModelRequestNode)
        assert (node.request.timestamp, node.request.run_id, agent_run.all_messages()) == (None, None, [])
        await agent_run.next(node)
        assert node.request.run_id == agent_run.run_id
        assert [message.run_id for message in agent_run.all_messages()] == [agent_run.run_id] * 2


def first(agent_run: Any) -> Any:
    return agent_run.next_node


async def test_a_node_run_inside_the_iteration_is_not_given_again():
    seen: list[Any] = []
    async with tool_agent().iter('go') as agent_run:
        async for node in agent_run:
            seen.append(node)
            if isinstance(node, ModelRequestNode):
                assert isinstance(await agent_run.next(node), CallToolsNode)
    assert kinds(seen) == ['UserPromptNode', 'ModelRequestNode', 'ModelRequestNode', 'End']


async def test_a_run_that_was_left_goes_on_where_it_was():
    async with tool_agent().iter('go') as agent_run:
        async for node in agent_run:
            if isinstance(node, CallToolsNode):
                break
        assert (agent_run.result, kinds([agent_run.next_node])) == (None, ['CallToolsNode'])
        rest = [node async for node in agent_run]
    assert kinds(rest) == ['ModelRequestNode', 'CallToolsNode', 'End']


async def test_next_after_the_end_gives_the_node_back():
    async with capital_agent().iter('go') as agent_run:
        nodes: list[Any] = [node async for node in agent_run]
        assert await agent_run.next(nodes[0]) is nodes[0]
        assert [node async for node in agent_run] == []


async def test_a_node_that_has_run_does_not_run_again():
    async with tool_agent().iter('go') as agent_run:
        request: Any = await agent_run.next(first(agent_run))
        assert await agent_run.next(request) is await agent_run.next(request)
        calls: Any = agent_run.next_node
        assert await agent_run.next(calls) is await agent_run.next(calls)
    assert len(agent_run.all_messages()) == 2


# Changing and skipping nodes


async def test_a_changed_request_is_what_the_model_is_sent():
    async with capital_agent().iter('go') as agent_run:
        async for node in agent_run:
            if isinstance(node, ModelRequestNode):
                node.request.parts = [UserPromptPart('changed')]
    assert agent_run.all_messages()[0].parts[0] == UserPromptPart('changed', timestamp=_time_of(agent_run))


def _time_of(agent_run: Any) -> Any:
    return agent_run.all_messages()[0].parts[0].timestamp


async def test_a_changed_response_decides_what_happens():
    async with tool_agent().iter('go') as agent_run:
        async for node in agent_run:
            if isinstance(node, CallToolsNode):
                node.model_response.parts = [TextPart('instead')]
    assert agent_run.result is not None
    assert (agent_run.result.output, agent_run.usage().tool_calls) == ('instead', 0)


async def test_another_node_may_run_in_place_of_the_one_that_is_due():
    async with tool_agent().iter('go') as agent_run:
        node: Any = CallToolsNode[None, str](ModelResponse(parts=[TextPart('skipped')]))
        assert await agent_run.next(node) == End(FinalResult('skipped'))
    assert (agent_run.usage().requests, agent_run.all_messages()) == (0, [])


async def test_a_final_result_can_be_set():
    async with tool_agent().iter('go') as agent_run:
        await agent_run.next(SetFinalResult[None, str](FinalResult('set')))
    assert agent_run.result == AgentRunResult('set')


# Errors


async def test_an_error_of_a_node_reaches_the_body_as_itself():
    async with failing_agent().iter('go') as agent_run:
        with pytest.raises(ValueError, match='model broke') as raised:
            [node async for node in agent_run]
        failed: Any = agent_run.next_node
        assert (kinds([failed]), agent_run.result) == (['ModelRequestNode'], None)
        assert [node async for node in agent_run] == []
        assert await agent_run.next(failed) is failed
    assert (raised.value.__context__, raised.value.__cause__) == (None, None)


async def test_an_error_that_is_not_caught_leaves_the_block_and_the_run():
    with pytest.raises(ValueError, match='model broke'):
        await failing_agent().run('go')


async def test_the_first_error_of_parallel_tools_is_raised_as_itself_and_ends_the_others():
    ended: list[str] = []

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('slow', {}), ToolCallPart('bad', {}), ToolCallPart('slow', {})])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def slow() -> None:
        try:
            await anyio.sleep(10)
        finally:
            ended.append('slow')

    @agent.tool_plain
    async def bad() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError('tool broke')

    with pytest.raises(ValueError, match='tool broke') as raised:
        await agent.run('go')
    assert (raised.value.__context__, raised.value.__cause__, ended) == (None, None, ['slow', 'slow'])


async def test_parallel_tools_end_with_whoever_waits_for_them():
    ended: list[str] = []

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('slow', {}), ToolCallPart('slow', {})])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def slow() -> None:
        try:
            await anyio.sleep(10)
        finally:
            ended.append('slow')

    with anyio.move_on_after(0.05) as scope:
        await agent.run('go')
    assert (scope.cancelled_caught, ended) == (True, ['slow', 'slow'])


async def test_parallel_tools_that_take_long_to_end_are_waited_for_however_often_the_caller_is_cancelled():
    begun: list[str] = []
    ended: list[str] = []

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('slow', {}), ToolCallPart('stubborn', {})])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def slow() -> None:
        begun.append('slow')
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
            ended.append('slow')

    @agent.tool_plain
    async def stubborn() -> str:
        begun.append('stubborn')
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            ended.append('stubborn')
            raise
        return 'never'

    with anyio.move_on_after(0.02) as outer, anyio.move_on_after(0.01) as inner:
        await agent.run('go')
    assert (begun, sorted(ended)) == (['slow', 'stubborn'], ['slow', 'stubborn'])
    assert outer.cancelled_caught or inner.cancelled_caught


async def test_a_run_that_was_cancelled_before_its_parallel_tools_begins_none_of_them():
    begun: list[str] = []

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        scope.cancel()
        return ModelResponse(parts=[ToolCallPart('look', {}), ToolCallPart('look', {})])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def look() -> None:
        await anyio.lowlevel.checkpoint()
        begun.append('look')

    with anyio.CancelScope() as scope:
        await agent.run('go')
    assert (scope.cancelled_caught, begun) == (True, [])


async def test_a_batch_with_a_sequential_tool_runs_one_call_after_the_other():
    order: list[str] = []

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) > 1:
            return ModelResponse(parts=[TextPart('done')])
        return ModelResponse(parts=[ToolCallPart('step', {'n': n}) for n in range(3)])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain(sequential=True)
    async def step(n: int) -> None:
        order.append(f'{n} starts')
        await anyio.lowlevel.checkpoint()
        order.append(f'{n} ends')

    await agent.run('go')
    assert order == [f'{n} {what}' for n in range(3) for what in ('starts', 'ends')]


# What is left of it


async def test_a_run_shows_itself():
    async with capital_agent().iter('go') as agent_run:
        assert repr(agent_run) == '<AgentRun result=<run not finished> usage=RunUsage()>'
        assert [node async for node in agent_run]
    usage = 'RunUsage(input_tokens=56, output_tokens=7, requests=1)'
    assert repr(agent_run) == f"<AgentRun result='The capital of France is Paris.' usage={usage}>"


async def test_run_and_result_offer_the_same():
    async with tool_agent().iter('go', message_history=[ModelRequest(parts=[UserPromptPart('before')])]) as agent_run:
        assert [node async for node in agent_run]
    result = agent_run.result
    assert result is not None
    assert result.all_messages() is agent_run.all_messages()
    assert result.all_messages_json() == agent_run.all_messages_json(output_tool_return_content='no effect')
    assert ModelMessagesTypeAdapter.validate_json(result.all_messages_json()) == result.all_messages()
    assert result.new_messages_json() == agent_run.new_messages_json()
    assert result.new_messages() == agent_run.new_messages() == result.all_messages()[1:]
    assert result.usage() is agent_run.usage()
    assert (result.run_id, result.response) == (agent_run.run_id, result.all_messages()[-1])
    assert result.timestamp() == result.response.timestamp


async def test_an_edit_of_a_message_shows_in_the_json():
    result = await tool_agent().run('go')
    call = result.all_messages()[1].parts[0]
    assert isinstance(call, ToolCallPart)
    assert isinstance(call.args, dict)
    call.args['deep'] = ['edit']
    assert b'{"deep":["edit"]}' in result.all_messages_json()


def city_agent() -> Agent[None, City]:
    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('final_result', {'name': 'Paris'}, tool_call_id='1')])

    return Agent(FunctionModel(script), output_type=City)


async def test_the_return_of_the_output_tool_can_be_set_on_a_copy():
    result = await city_agent().run('go')
    changed = result.new_messages(output_tool_return_content='thank you')[-1].parts[0]
    assert isinstance(changed, ToolReturnPart)
    assert changed.content == 'thank you'
    assert b'thank you' in result.all_messages_json(output_tool_return_content='thank you')
    assert b'thank you' in result.new_messages_json(output_tool_return_content='thank you')
    assert b'Final result processed.' in result.all_messages_json()


async def test_the_return_of_an_output_tool_that_is_not_there_cannot_be_set():
    with pytest.raises(ValueError, match='when the return type is `str`'):
        (await capital_agent().run('go')).all_messages(output_tool_return_content='x')
    result = await city_agent().run('go')
    result.all_messages().pop()
    with pytest.raises(LookupError, match="No tool call found with tool name 'final_result'"):
        result.all_messages(output_tool_return_content='x')


async def test_a_result_without_a_response_has_none():
    with pytest.raises(ValueError, match='No response found in the message history'):
        _ = AgentRunResult('x').response


async def test_the_response_of_a_result_is_the_last_one_whatever_follows_it():
    result = await city_agent().run('go')
    assert [message.kind for message in result.all_messages()][-2:] == ['response', 'request']
    assert result.response is result.all_messages()[-2]


async def test_a_result_goes_to_json_and_back():
    result = await city_agent().run('go')
    adapter = TypeAdapter(AgentRunResult[City])
    loaded = adapter.validate_json(adapter.dump_json(result))
    assert (loaded, repr(loaded)) == (result, "AgentRunResult(output=City(name='Paris'))")
    assert loaded.all_messages() == result.all_messages()


async def test_the_older_name_of_an_output_warns_and_works():
    result = await capital_agent().run('go')
    with pytest.warns(DeprecationWarning, match=re.escape('`AgentRunResult.data` is deprecated, use `output` instead')):
        assert result.data == result.output
    with pytest.warns(DeprecationWarning, match=re.escape('`FinalResult.data` is deprecated, use `output` instead')):
        assert FinalResult(7).data == 7


async def test_a_tool_result_that_json_cannot_hold_fails_when_the_messages_are_dumped():
    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        parts = [TextPart('done')] if len(messages) > 1 else [ToolCallPart('even', {}), ToolCallPart('odd', {})]
        return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=1))

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def even() -> int:
        return 2

    @agent.tool_plain
    async def odd() -> object:
        return object()

    result = await agent.run('go')
    with pytest.raises(
        PydanticSerializationError, match="Unable to serialize unknown type: <class 'object'>"
    ) as raised:
        result.all_messages_json()
    (note,) = raised.value.__notes__
    assert note.startswith("Message 2: the tool 'odd' returned <object object at ")


async def test_a_tool_that_gives_itself_up_gives_the_run_up():
    cancelled = anyio.get_cancelled_exc_class()
    if not cancelled.__module__.startswith('asyncio'):
        pytest.skip('trio raises its own cancellations only')

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('give_up', {}), ToolCallPart('give_up', {})])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def give_up() -> None:
        raise cancelled

    with pytest.raises(cancelled):
        await agent.run('go')


async def test_tools_with_timeouts_of_their_own_run_side_by_side():
    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) > 1:
            return ModelResponse(parts=[TextPart('done')])
        return ModelResponse(parts=[ToolCallPart('nap', {}, tool_call_id=str(n)) for n in range(3)])

    agent = Agent(FunctionModel(script), tool_timeout=5)

    @agent.tool_plain
    async def nap() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(1)
        return scope.cancelled_caught

    result = await agent.run('go')
    returns = result.all_messages()[2].parts
    assert [part.content for part in returns if isinstance(part, ToolReturnPart)] == [True] * 3


@pytest.mark.parametrize('ended_by', ['neighbour', 'caller'])
async def test_what_a_tool_shields_is_not_cut_short_when_its_batch_ends(ended_by: str):
    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('commit', {}), ToolCallPart('fail', {})])

    agent = Agent(FunctionModel(script))
    log: list[str] = []

    @agent.tool_plain
    async def commit() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.02)
            log.append('committed')
        await anyio.sleep(5)
        log.append('went on')

    @agent.tool_plain
    async def fail() -> None:
        await anyio.sleep(0.005 if ended_by == 'neighbour' else 5)
        raise ValueError('no')

    if ended_by == 'neighbour':
        with pytest.raises(ValueError, match='no'):
            await agent.run('go')
    else:
        with anyio.move_on_after(0.005) as scope:
            await agent.run('go')
        assert scope.cancelled_caught
    assert log == ['committed']
