"""A scripted agent, and every way to drive a run of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel


class Asked:
    """Counts how often a scripted model was asked."""

    def __init__(self) -> None:
        self.times = 0


def scripted(asked: Asked) -> FunctionModel:
    """A model that calls the tool of its agent once, if it has one, and then answers by the output tool or in text."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.times += 1
        if info.function_tools and len(messages) == 1:
            return ModelResponse(parts=[TextPart('Let me see.'), ToolCallPart('weather', {'city': 'Paris'})])
        if info.output_tools:
            return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {'city': 'Paris', 'celsius': 21})])
        return ModelResponse(parts=[TextPart('It is sunny in Paris.')])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        asked.times += 1
        if info.function_tools and len(messages) == 1:
            yield 'Let me '
            yield 'see.'
            yield {1: DeltaToolCall('weather', '{"city": ')}
            yield {1: DeltaToolCall(json_args='"Paris"}')}
        elif info.output_tools:
            yield {0: DeltaToolCall(info.output_tools[0].name, '{"city": "Paris", ')}
            yield {0: DeltaToolCall(json_args='"celsius": 21}')}
        else:
            yield 'It is sunny '
            yield 'in Paris.'

    return FunctionModel(respond, stream_function=stream)


async def by_run(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """Output and result of `run`."""
    result = await agent.run(prompt)
    return result.output, result


async def by_run_in_thread(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """The same of `run_sync`, in a thread that has no context of its own."""
    result = await asyncio.to_thread(_run_sync, agent, prompt)
    return result.output, result


def _run_sync(agent: Agent[Any, Any], prompt: str) -> Any:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return agent.run_sync(prompt)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def by_run_stream(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """Output and result of `run_stream`."""
    async with agent.run_stream(prompt) as result:
        return await result.get_output(), result


async def by_events(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """Output and result of `run_stream_events`."""
    found: Any = None
    events: Any = agent.run_stream_events(prompt)
    if hasattr(events, '__aenter__'):
        async with events as opened:
            async for event in opened:
                found = getattr(event, 'result', found) if event.event_kind == 'agent_run_result' else found
    else:
        async for event in events:
            found = getattr(event, 'result', found) if event.event_kind == 'agent_run_result' else found
    return found.output, found


async def by_iter(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """Output and run of `iter`, by `async for`."""
    async with agent.iter(prompt) as run:
        async for _ in run:
            pass
        return run.result and run.result.output, run.result


async def by_next(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """The same, by `next`."""
    async with agent.iter(prompt) as run:
        node: Any = run.next_node
        while not Agent.is_end_node(node):
            node = await run.next(node)
        return run.result and run.result.output, run.result


async def by_node_stream(agent: Agent[Any, Any], prompt: str) -> tuple[Any, Any]:
    """The same, streaming each node that streams."""
    async with agent.iter(prompt) as run:
        async for node in run:
            if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as stream:
                    async for _ in stream:
                        pass
        return run.result and run.result.output, run.result


STYLES: Mapping[str, Callable[[Agent[Any, Any], str], Awaitable[tuple[Any, Any]]]] = {
    'run': by_run,
    'run_sync': by_run_in_thread,
    'run_stream': by_run_stream,
    'run_stream_events': by_events,
    'iter': by_iter,
    'next': by_next,
    'node.stream': by_node_stream,
}
"""Each way to drive a run."""
