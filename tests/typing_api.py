"""What the types of the public interface tell a user. Nothing runs here: pyright checks each `assert_type`."""

from typing import assert_type

from pydantic import BaseModel

from agentrun import (
    Agent,
    AgentRun,
    AgentRunResult,
    NativeOutput,
    PromptedOutput,
    RunContext,
    TextOutput,
    ToolOutput,
)
from agentrun.agent import WrapperAgent
from agentrun.result import StreamedRunResult, StreamedRunResultSync
from agentrun.tools import DeferredToolRequests
from replay import RunView, Session, use_cassette


class City(BaseModel):
    """A city."""

    name: str


def shout(text: str) -> bytes:
    """An output function."""
    return text.upper().encode()


def lookup(name: str) -> City:
    """An output function that is a tool."""
    return City(name=name)


text_agent = Agent('test')
city_agent = Agent('test', output_type=City)
deps_agent = Agent('test', deps_type=int, output_type=[City, str])

assert_type(text_agent, Agent[None, str])
assert_type(city_agent, Agent[None, City])
assert_type(deps_agent, Agent[int, City | str])
assert_type(Agent('test', output_type=ToolOutput(City)), Agent[None, City])
assert_type(Agent('test', output_type=NativeOutput(City)), Agent[None, City])
assert_type(Agent('test', output_type=PromptedOutput(City)), Agent[None, City])
assert_type(Agent('test', output_type=TextOutput(shout)), Agent[None, bytes])
assert_type(Agent('test', output_type=lookup), Agent[None, City])
assert_type(Agent('test', output_type=[City, DeferredToolRequests]), Agent[None, City | DeferredToolRequests])


async def a_run_has_the_output_of_its_agent_or_its_own() -> None:
    """`output_type` of a run takes the place of the agent's."""
    assert_type(await city_agent.run('Paris'), AgentRunResult[City])
    assert_type((await city_agent.run('Paris')).output, City)
    assert_type(await city_agent.run('Paris', output_type=int), AgentRunResult[int])
    assert_type(city_agent.run_sync('Paris'), AgentRunResult[City])
    assert_type(city_agent.run_sync('Paris', output_type=int), AgentRunResult[int])
    async with deps_agent.iter('Paris', deps=1) as run:
        assert_type(run, AgentRun[int, City | str])
    async with deps_agent.iter('Paris', deps=1, output_type=int) as counted:
        assert_type(counted, AgentRun[int, int])


async def a_streamed_run_has_them_too() -> None:
    """Whichever way its stream is read."""
    async with city_agent.run_stream('Paris') as stream:
        assert_type(stream, StreamedRunResult[None, City])
        assert_type(await stream.get_output(), City)
    async with city_agent.run_stream('Paris', output_type=int) as counted:
        assert_type(await counted.get_output(), int)
    assert_type(city_agent.run_stream_sync('Paris'), StreamedRunResultSync[None, City])


async def an_agent_around_another_keeps_its_types() -> None:
    """A wrapper is as typed as what it wraps."""
    wrapped = WrapperAgent(city_agent)
    assert_type(wrapped, WrapperAgent[None, City])
    assert_type(await wrapped.run('Paris'), AgentRunResult[City])
    async with wrapped.iter('Paris', output_type=int) as run:
        assert_type(run, AgentRun[None, int])


@deps_agent.tool
def with_context(ctx: RunContext[int], name: str) -> str:
    """A tool of the agent."""
    assert_type(ctx.deps, int)
    return name


@deps_agent.tool_plain(retries=2)
async def without_context(name: str) -> City:
    """Another one."""
    return City(name=name)


async def a_session_tells_of_its_runs() -> None:
    """As a block, sync or async, and as a decorator."""
    with use_cassette('paris') as session:
        assert_type(session, Session)
    async with use_cassette('paris') as later:
        assert_type(later.run(), RunView)
        assert_type(later.all_messages_json(), bytes)
        assert_type(later.node_kinds, list[str])

    @use_cassette('paris')
    async def decorated(name: str) -> City:
        return City(name=name)

    assert_type(await decorated('Paris'), City)
