"""What a run's stream makes of a response: texts, outputs, and why there is none."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentrun import Agent, ModelMessage, ModelResponse, TextPart, ToolCallPart, UnexpectedModelBehavior, UserError
from agentrun.messages import BinaryImage, BuiltinToolCallPart, BuiltinToolReturnPart, FilePart
from agentrun.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from agentrun.profiles import ModelProfile
from agentrun.result import AgentStream
from agentrun.tools import DeferredToolRequests, ToolDefinition
from agentrun.toolsets import ExternalToolset

pytestmark = pytest.mark.anyio

SEARCH: Any = {0: BuiltinToolCallPart('web_search', {}, tool_call_id='a')}
FOUND: Any = {1: BuiltinToolReturnPart('web_search', {}, tool_call_id='a')}


def model_of(*pieces: Any, profile: ModelProfile | None = None) -> FunctionModel:
    async def say(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for piece in pieces:
            yield piece

    return FunctionModel(stream_function=say, profile=profile)


class Streamed:
    """Enters the stream of an agent's first request."""

    def __init__(self, agent: Agent[None, Any]) -> None:
        self._agent = agent
        self._run: Any = None
        self._block: Any = None

    async def __aenter__(self) -> AgentStream[None, Any]:
        self._run = self._agent.iter('go')
        run = await self._run.__aenter__()
        await anext(run)
        self._block = (await anext(run)).stream(run.ctx)
        return await self._block.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._block.__aexit__(*error)
        await self._run.__aexit__(*error)


async def test_text_after_a_builtin_tool_begins_a_new_paragraph():
    agent = Agent(model_of('let me see', SEARCH, FOUND, 'here'))
    async with Streamed(agent) as stream:
        deltas = [text async for text in stream.stream_text(delta=True, debounce_by=None)]
        assert deltas == ['let me see', '\n\n', 'here']


async def test_a_stream_read_to_its_end_gives_its_text_and_its_output_again():
    async with Streamed(Agent(model_of('one ', 'two'))) as stream:
        assert await stream.get_output() == 'one two'
        assert [text async for text in stream.stream_text(debounce_by=None)] == ['one two']
        assert [text async for text in stream.stream_output(debounce_by=None)] == ['one two']
        assert stream.run_id == stream._run_ctx.run_id
        assert stream.timestamp() == stream.response.timestamp


async def test_an_output_without_content_is_given_once_the_stream_is_over():
    def nothing() -> str:
        return 'called'

    async with Streamed(Agent(model_of({0: DeltaToolCall('final_result', '')}), output_type=nothing)) as stream:
        async for _ in stream:
            pass
        assert [output async for output in stream.stream_output(debounce_by=None)] == ['called']


async def test_a_response_without_a_result_has_no_output():
    async with Streamed(Agent(model_of({0: DeltaThinkingPart(content='hm')}))) as stream:
        assert [output async for output in stream.stream_output(debounce_by=None)] == []
        with pytest.raises(UnexpectedModelBehavior, match='Invalid response, unable to find output'):
            await stream.get_output()


async def test_a_message_without_the_call_that_began_the_result_is_no_output():
    async with Streamed(Agent(model_of({0: DeltaToolCall('final_result', '{"response": 1}')}), output_type=int)) as s:
        assert await s.get_output() == 1
        with pytest.raises(UnexpectedModelBehavior, match="unable to find tool call for 'final_result'"):
            await s.validate_response_output(ModelResponse(parts=[ToolCallPart('other', {})]))


async def test_an_image_is_an_output_where_images_are_allowed():
    image = BinaryImage(b'png', media_type='image/png')
    outside = ExternalToolset[None]([ToolDefinition(name='outside')])
    model = model_of({0: DeltaToolCall('outside', '{}')}, profile=ModelProfile(supports_image_output=True))
    agent = Agent(model, output_type=[BinaryImage, DeferredToolRequests], toolsets=[outside])
    async with Streamed(agent) as stream:
        requests = await stream.get_output()
        assert isinstance(requests, DeferredToolRequests)
        assert [call.tool_name for call in requests.calls] == ['outside']
        assert await stream.validate_response_output(ModelResponse(parts=[FilePart(image)])) == image
        with pytest.raises(UnexpectedModelBehavior, match='unable to process text output'):
            await stream.validate_response_output(ModelResponse(parts=[TextPart('text')]))


async def test_calls_that_somebody_else_answers_need_leave():
    outside = ExternalToolset[None]([ToolDefinition(name='outside')])
    agent = Agent(model_of({0: DeltaToolCall('outside', '{}')}), toolsets=[outside])
    async with Streamed(agent) as stream:
        with pytest.raises(UserError, match='`DeferredToolRequests` is not among output types'):
            await stream.get_output()


async def test_calls_that_need_approval_are_gathered_apart():
    agent = Agent(model_of({0: DeltaToolCall('careful', '{}')}), output_type=[str, DeferredToolRequests])
    agent.tool_plain(requires_approval=True)(careful)
    async with Streamed(agent) as stream:
        requests = await stream.get_output()
    assert isinstance(requests, DeferredToolRequests)
    assert [call.tool_name for call in requests.approvals] == ['careful']


async def careful() -> str:
    return 'done'
