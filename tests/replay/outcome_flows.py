"""Runs inside of runs, runs after runs, runs at the same time, and runs whose nodes and histories code changes."""

import threading
from collections.abc import Sequence
from typing import Any, cast

import anyio
import anyio.to_thread

from agentrun import Agent, RunContext
from agentrun.direct import model_request, model_request_sync
from agentrun.exceptions import ApprovalRequired, CallDeferred
from agentrun.messages import (
    ModelMessage,
    ModelRequest,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.models import ModelRequestParameters
from agentrun.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDefinition, ToolDenied
from agentrun.usage import UsageLimits

from .outcome_runs import Scenario, World, call, down


def looking(world: World, *script: Any, **options: Any) -> Agent[None, Any]:
    """An agent with a tool; by default it looks once and is done."""
    model = world.model('m', *(script or ([call('look', place='a')], [TextPart('Done')])))
    agent = Agent[None, Any](model, name='agent', **options)

    @agent.tool_plain
    async def look(place: str) -> str:
        world.ran.append(f'look {place}')
        await anyio.sleep(0.002)
        return f'seen {place}'

    return agent


async def gathered(*functions: Any) -> None:
    async with anyio.create_task_group() as group:
        for function in functions:
            group.start_soon(function)


# -- runs inside of runs


async def three_levels(world: World) -> None:
    bottom = Agent(world.model('bottom', [TextPart('deep')]), name='bottom')
    middle = Agent(world.model('middle', [call('dig'), call('dig', 'c2')], [TextPart('mid')]), name='middle')
    top = Agent(world.model('top', [call('ask'), call('ask', 'c2')], [TextPart('top')]), name='top')

    @middle.tool
    async def dig(ctx: RunContext[None]) -> str:
        world.ran.append('dig')
        return (await bottom.run('Dig', usage=ctx.usage)).output

    @top.tool
    async def ask(ctx: RunContext[None]) -> str:
        world.ran.append('ask')
        fresh = Agent(world.model('middle', [call('dig'), call('dig', 'c2')], [TextPart('mid')]), name='middle')
        fresh.tool(dig)
        results: list[str] = []

        async def one() -> None:
            results.append((await fresh.run('Ask', usage=ctx.usage)).output)

        await gathered(one)
        return results[0]

    await world.attempt(top.run('Go', usage_limits=UsageLimits(request_limit=20)))


async def gathered_inside_a_tool(world: World) -> None:
    top = Agent(world.model('top', [call('ask', n=2), call('ask', 'c2', n=3)], [TextPart('top')]), name='top')

    @top.tool
    async def ask(ctx: RunContext[None], n: int) -> list[str]:
        world.ran.append('ask')
        found: list[str] = []

        async def one() -> None:
            inner = Agent(world.model('inner', [TextPart(f'inner {n}')]), name='inner')
            found.append((await inner.run('Same', usage=ctx.usage)).output)

        await gathered(*[one] * n)
        return found

    await world.attempt(top.run('Go'))


async def inner_run_fails(world: World) -> None:
    inner = Agent(world.model('inner', down()), name='inner')
    top = Agent(world.model('top', [call('ask')], [TextPart('top')]), name='top')

    @top.tool_plain
    async def ask() -> str:
        world.ran.append('ask')
        return (await inner.run('Same')).output

    await world.attempt(top.run('Go'))


# -- runs at the same time


async def gathered_with_equal_prompts(world: World) -> None:
    agents = [looking(world, [call('look', place=f'{n}')], [TextPart(f'{n}')]) for n in range(4)]
    found: list[Any] = []

    async def one(agent: Agent[None, Any]) -> None:
        found.append((await agent.run('Same')).output)

    await gathered(*[lambda agent=agent: one(agent) for agent in agents])
    world.seen.append(sorted(found))


async def in_threads(world: World) -> None:
    agents = [looking(world, [call('look', place=f'{n}')], [TextPart(f'{n}')]) for n in range(3)]
    found: list[Any] = []

    def one(n: int) -> None:
        found.append(agents[n].run_sync(f'Go {n}').output)

    def all_of_them() -> None:
        threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    await anyio.to_thread.run_sync(all_of_them)
    world.seen.append(sorted(found))


# -- runs after runs


async def handed_on(world: World) -> None:
    first = await world.attempt(looking(world).run('One'))
    second = await world.attempt(looking(world).run('Two', message_history=first.all_messages()))
    await world.attempt(looking(world).run('Three', message_history=second.all_messages()[:4]))
    await world.attempt(looking(world).run('Four', message_history=second.new_messages()))


async def edited_between(world: World) -> None:
    first = await world.attempt(looking(world).run('One'))
    history = first.all_messages()
    history[0].parts[0].content = 'Another one'
    del history[2:]
    history.append(ModelRequest(parts=[ToolReturnPart('look', 'invented', 'c1')]))
    await world.attempt(looking(world).run('Two', message_history=history))


async def put_off(world: World) -> None:
    agent = looking(
        world,
        [call('later'), call('sure', 'c2', n=1), call('sure', 'c3', n=2), call('look', 'c4', place='b')],
        [TextPart('Done')],
        output_type=[str, DeferredToolRequests],
    )

    @agent.tool_plain
    def later() -> str:
        raise CallDeferred

    @agent.tool
    def sure(ctx: RunContext[None], n: int) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        world.ran.append('sure')
        return f'sure {n}'

    first = await world.attempt(agent.run('Go'))
    results = DeferredToolResults(
        calls={'c1': 'at last'}, approvals={'c2': ToolApproved(override_args={'n': 5}), 'c3': ToolDenied('No.')}
    )
    await world.attempt(agent.run(message_history=first.all_messages(), deferred_tool_results=results))


async def exhaustive(world: World) -> None:
    def final(text: str) -> str:
        world.seen.append(text)
        return text

    agent = looking(
        world,
        [call('final_result', text='a'), call('look', 'c2', place='b'), call('final_result', 'c3', text='c')],
        output_type=[final, int],
        end_strategy='exhaustive',
    )
    agent.end_strategy = 'exhaustive'
    await world.attempt(agent.run('Go'))


# -- histories and nodes that code changes


def only_last(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[-1:]


def last_of_many(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[-1:] if len(messages) > 4 else messages


async def last_only(world: World) -> None:
    script = [call('look', place='a')], [call('look', 'c2', place='b')], [TextPart('Done')]
    agent = looking(world, *script, history_processors=[only_last])
    await world.attempt(agent.run('Go'))


async def summarised(world: World) -> None:
    def summary(messages: list[ModelMessage]) -> list[ModelMessage]:
        if len(messages) < 4:
            return messages
        return [ModelRequest(parts=[SystemPromptPart('So far: much.')]), *messages[-3:]]

    script = [call('look', place='a')], [call('look', 'c2', place='b')], [TextPart('Done')]
    await world.attempt(looking(world, *script, history_processors=[summary]).run('Go'))


async def shortened_first(world: World) -> None:
    first = await world.attempt(looking(world).run('One'))
    agent = looking(world, history_processors=[last_of_many])
    await world.attempt(agent.run('Two', message_history=first.all_messages()))


async def parts_edited(world: World) -> None:
    async with looking(world).iter('Go') as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                node.request.parts = [*node.request.parts, UserPromptPart('Hurry.')]
    world.seen.append(run.result and run.result.all_messages())


async def response_edited(world: World) -> None:
    async with looking(world).iter('Go') as run:
        node: Any = run.next_node
        while not Agent.is_end_node(node):
            if Agent.is_call_tools_node(node) and node.model_response.tool_calls:
                node.model_response.parts = [call('look', 'mine', place='elsewhere')]
            node = await run.next(node)
    world.seen.append(run.result and run.result.all_messages())


async def node_replaced(world: World) -> None:
    from agentrun._core._nodes import ModelRequestNode

    async with looking(world, [TextPart('One')], [TextPart('Two')]).iter('Go') as run:
        node: Any = run.next_node
        again = True
        while not Agent.is_end_node(node):
            node = await run.next(node)
            if Agent.is_call_tools_node(node) and again:
                again = False
                node = ModelRequestNode[None, Any](ModelRequest(parts=[UserPromptPart('Really?')]))
    world.seen.append(run.result and run.result.all_messages())


async def node_twice(world: World) -> None:
    async with looking(world).iter('Go') as run:
        node: Any = await run.next(cast('Any', run.next_node))
        first = await run.next(node)
        try:
            world.seen.append((await run.next(node)) is first)
        except Exception as error:  # noqa: BLE001
            world.seen.append(str(error))
        node = first
        while not Agent.is_end_node(node):
            node = await run.next(node)
    world.seen.append(run.result and run.result.all_messages())


async def next_and_for(world: World) -> None:
    async with looking(world).iter('Go') as run:
        node: Any = await run.next(cast('Any', run.next_node))
        world.seen.append(type(node).__name__)
        async for other in run:
            world.seen.append(type(other).__name__)
    world.seen.append(run.result and run.result.all_messages())


async def left_and_resumed(world: World) -> None:
    async with looking(world).iter('Go') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                break
    world.seen.append(run.all_messages())
    await world.attempt(looking(world, [TextPart('Done')]).run(message_history=run.all_messages()))


# -- requests without an agent


async def direct(world: World) -> None:
    request = ModelRequest.user_text_prompt('Hi', instructions='Be brief.')
    tool = ToolDefinition(name='look', parameters_json_schema={'type': 'object', 'properties': {}})
    offered = ModelRequestParameters(function_tools=[tool])
    answer = await model_request(world.model('m', [TextPart('Hello')]), [request])
    world.seen.append(answer)
    more = [request, answer, ModelRequest.user_text_prompt('Look')]
    model = world.model('m', [call('look')])
    found = await model_request(model, more, model_settings={'temperature': 0.5}, model_request_parameters=offered)
    world.seen.append(found)
    try:
        await model_request(world.model('m', down()), [request])
    except Exception as error:  # noqa: BLE001
        world.seen.append(str(error))
    in_thread = await anyio.to_thread.run_sync(model_request_sync, world.model('m', [TextPart('Sync')]), [request])
    world.seen.append(in_thread)


FLOWS: Sequence[Scenario] = (
    three_levels,
    gathered_inside_a_tool,
    inner_run_fails,
    gathered_with_equal_prompts,
    in_threads,
    handed_on,
    edited_between,
    put_off,
    exhaustive,
    last_only,
    summarised,
    shortened_first,
    parts_edited,
    response_edited,
    node_replaced,
    node_twice,
    next_and_for,
    left_and_resumed,
    direct,
)
