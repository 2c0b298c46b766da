"""Models of pydantic_ai as models of agentrun, with whichever version of pydantic_ai is installed."""

import gc
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from pydantic import BaseModel

from agentrun import (
    Agent,
    BinaryContent,
    ImageUrl,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeOutput,
    PromptedOutput,
    RequestUsage,
    RunContext,
    TextPart,
    ToolReturn,
    UsageLimits,
)
from agentrun import exceptions as ours
from agentrun.builtin_tools import CodeExecutionTool, WebSearchTool
from agentrun.direct import model_request, model_request_stream
from agentrun.messages import (
    CachePoint,
    ModelMessage,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from agentrun.models import ModelRequestParameters
from agentrun.models.fallback import FallbackModel
from agentrun.models.pydantic_ai import PydanticAIModel

pydantic_ai = pytest.importorskip('pydantic_ai', reason='needs the extra pydantic-ai')

from pydantic_ai import exceptions as theirs  # noqa: E402
from pydantic_ai import messages as their_messages  # noqa: E402
from pydantic_ai.models.fallback import FallbackModel as TheirFallbackModel  # noqa: E402
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel  # noqa: E402
from pydantic_ai.models.test import TestModel  # noqa: E402
from pydantic_ai.models.wrapper import WrapperModel  # noqa: E402

pytestmark = pytest.mark.anyio


class City(BaseModel):
    name: str


class Script:
    """Answers a model of pydantic_ai one after the other, and keeps what it was sent."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[list[Any]] = []
        self.infos: list[AgentInfo] = []

    def __call__(self, messages: list[Any], info: AgentInfo) -> Any:
        self.asked.append(list(messages))
        self.infos.append(info)
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, their_messages.ModelResponse) else said(answer)

    @property
    def model(self) -> PydanticAIModel:
        def scripted(messages: list[Any], info: AgentInfo) -> Any:
            return self(messages, info)

        return PydanticAIModel(FunctionModel(scripted, model_name='scripted'))


def said(*parts: Any) -> Any:
    made = [their_messages.TextPart(part) if isinstance(part, str) else part for part in parts]
    return their_messages.ModelResponse(parts=made)


def called(tool: str, args: Any, tool_call_id: str = 'call-1') -> Any:
    return their_messages.ToolCallPart(tool, args, tool_call_id)


def streamed(*items: Any) -> PydanticAIModel:
    async def stream(_: list[Any], __: AgentInfo) -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    return PydanticAIModel(FunctionModel(stream_function=stream, model_name='streamed'))


# Requests


async def test_a_text_is_the_output():
    script = Script('hello')
    result = await Agent(script.model, instructions='Be brief.').run('hi')
    assert result.output == 'hello'
    assert result.usage().requests == 1
    assert result.response.model_name == 'scripted'
    (request,) = script.asked[0]
    assert type(request) is their_messages.ModelRequest
    assert request.instructions == 'Be brief.'
    assert request.parts[0].content == 'hi'


async def test_tools_are_offered_called_and_their_results_sent_back():
    script = Script(said(called('weather', {'city': 'Paris'})), 'sunny')
    agent = Agent(script.model)

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tell the weather."""
        return f'{city}: sun'

    assert (await agent.run('weather?')).output == 'sunny'
    (tool,) = script.infos[0].function_tools
    assert (tool.name, tool.description, tool.kind) == ('weather', 'Tell the weather.', 'function')
    assert script.asked[1][2].parts[0].content == 'Paris: sun'
    assert script.asked[1][2].parts[0].tool_call_id == 'call-1'


async def test_what_is_sent_is_byte_for_byte_the_history_of_the_run():
    script = Script(said('Let me see.', called('look', '{"at": 1}')), 'done')
    agent = Agent(script.model, instructions='Look.', system_prompt='You see.')

    @agent.tool_plain
    def look(at: int) -> list[int]:
        return [at]

    result = await agent.run(
        ['What?', ImageUrl('https://example.com/a.png'), BinaryContent(b'x', media_type='image/png')]
    )
    sent = their_messages.ModelMessagesTypeAdapter.dump_json(script.asked[1])
    again = ModelMessagesTypeAdapter.validate_json(sent)
    kept = result.all_messages()[:-1]
    if 'timestamp' not in their_messages.ModelRequest.__dataclass_fields__:  # up to 1.37
        for message, read in zip(kept, again, strict=True):
            cast('Any', message).timestamp = read.timestamp
    assert ModelMessagesTypeAdapter.dump_json(again) == ModelMessagesTypeAdapter.dump_json(kept)


async def test_each_message_is_translated_once():
    script = Script(*(called('look', {}, f'call-{n}') for n in range(3)), 'done')
    agent = Agent(script.model)
    agent.tool_plain(name='look')(lambda: 'seen')
    await agent.run('go')
    for before, after in zip(script.asked, script.asked[1:], strict=False):
        assert all(one is other for one, other in zip(before, after, strict=False))


async def test_a_message_that_was_changed_since_is_sent_as_it_stands():
    def shortened(messages: list[ModelMessage]) -> list[ModelMessage]:
        prompt = messages[0].parts[0]
        assert isinstance(prompt, UserPromptPart)
        prompt.content = f'{len(messages)} messages'
        return messages

    script = Script(called('look', {}), 'done')
    agent = Agent(script.model, history_processors=[shortened])
    agent.tool_plain(name='look')(lambda: 'seen')
    await agent.run('go')
    assert [asked[0].parts[0].content for asked in script.asked] == ['1 messages', '3 messages']


async def test_arguments_changed_in_place_are_sent_changed():
    call = ToolCallPart('look', {'at': 1}, 'call-1')
    history: list[ModelMessage] = [
        ModelRequest.user_text_prompt('a'),
        ModelResponse([call]),
        ModelRequest.user_text_prompt('b'),
    ]
    script = Script('one', 'two')
    model = script.model
    await model_request(model, history)
    cast('dict[str, Any]', call.args)['at'] = 2
    await model_request(model, history)
    assert script.asked[1][1].parts[0].args == {'at': 2}


async def test_what_the_model_answered_is_sent_back_as_it_was():
    thought = their_messages.ThinkingPart('hm', id='t1', signature='s', provider_name='scripted')
    script = Script(said(thought, called('look', {})), 'done')
    agent = Agent(script.model)
    agent.tool_plain(name='look')(lambda: 'seen')
    result = await agent.run('go')
    assert script.asked[1][1].parts[0] is thought
    assert isinstance(part := result.all_messages()[1].parts[0], ThinkingPart)
    assert (part.content, part.id, part.signature, part.provider_name) == ('hm', 't1', 's', 'scripted')


async def test_files_that_a_tool_returns_reach_the_model_as_its_own_kind():
    script = Script(called('look', {}), 'done')
    agent = Agent(script.model)

    @agent.tool_plain
    def look() -> ToolReturn:
        return ToolReturn('see', content=['this:', BinaryContent(b'x', media_type='image/png')])

    await agent.run('go')
    content = script.asked[1][2].parts[1].content
    assert content[0] == 'this:'
    assert isinstance(content[1], their_messages.BinaryContent)
    assert (content[1].data, content[1].media_type) == (b'x', 'image/png')


async def test_media_keep_what_was_said_of_them():
    url = ImageUrl('https://example.com/a', media_type='image/png', identifier='cat', force_download=True)
    script = Script('done')
    await Agent(script.model).run(['see', url])
    sent = script.asked[0][0].parts[0].content[1]
    assert (sent.media_type, sent.identifier, sent.force_download) == ('image/png', 'cat', True)


async def test_cache_points_are_sent_where_the_installed_version_has_them():
    script = Script('done')
    await Agent(script.model).run(['a', CachePoint(), 'b'])
    sent = [item if isinstance(item, str) else type(item).__name__ for item in script.asked[0][0].parts[0].content]
    assert sent == (['a', 'CachePoint', 'b'] if hasattr(their_messages, 'CachePoint') else ['a', 'b'])


async def test_a_retry_request_reaches_the_model():
    script = Script(called('look', {'at': 'x'}), called('look', {'at': 1}, 'call-2'), 'done')
    agent = Agent(script.model)

    @agent.tool_plain
    def look(at: int) -> int:
        return at

    assert (await agent.run('go')).output == 'done'
    assert 'valid integer' in repr(script.asked[1][2].parts[0])


@pytest.mark.parametrize(
    ('marker', 'mode'), [(City, 'tool'), (NativeOutput(City), 'native'), (PromptedOutput(City), 'prompted')]
)
async def test_outputs_are_asked_for_as_the_marker_says(marker: Any, mode: str):
    answer = called('final_result', {'name': 'Rome'}) if mode == 'tool' else '{"name": "Rome"}'
    script = Script(answer)
    assert (await Agent(script.model, output_type=marker).run('where?')).output == City(name='Rome')
    params = script.infos[0].model_request_parameters
    assert params.output_mode == mode
    if mode == 'tool':
        assert [tool.name for tool in script.infos[0].output_tools] == ['final_result']
    else:
        assert params.output_object is not None
        assert params.output_object.name == 'City'


async def test_settings_reach_the_model_those_of_the_run_above_those_of_the_model():
    script = Script('done')

    def scripted(messages: list[Any], info: AgentInfo) -> Any:
        return script(messages, info)

    model = PydanticAIModel(FunctionModel(scripted, settings={'temperature': 0.1, 'seed': 1}))
    assert model.settings == {'temperature': 0.1, 'seed': 1}
    await Agent(model).run('go', model_settings={'temperature': 0.5, 'max_tokens': 9})
    assert script.infos[0].model_settings == {'temperature': 0.5, 'seed': 1, 'max_tokens': 9}


async def test_builtin_tools_are_offered():
    script = Script('done')
    await Agent(script.model, builtin_tools=[WebSearchTool(max_uses=2), CodeExecutionTool()]).run('go')
    params: Any = script.infos[0].model_request_parameters
    search, code = params.native_tools if hasattr(params, 'native_tools') else params.builtin_tools
    assert (type(search).__module__.partition('.')[0], search.kind, search.max_uses) == ('pydantic_ai', 'web_search', 2)
    assert code.kind == 'code_execution'


async def test_usage_is_that_of_the_model():
    from pydantic_ai.usage import RequestUsage as TheirUsage

    answer = their_messages.ModelResponse(
        parts=[their_messages.TextPart('hi')],
        usage=TheirUsage(input_tokens=3, output_tokens=4, cache_read_tokens=1, details={'reasoning_tokens': 2}),
        provider_response_id='r1',
        provider_details={'finish_reason': 'stop'},
        finish_reason='stop',
    )
    result = await Agent(Script(answer).model).run('go')
    usage = RequestUsage(input_tokens=3, output_tokens=4, cache_read_tokens=1, details={'reasoning_tokens': 2})
    assert result.response.usage == usage
    assert (result.response.provider_response_id, result.response.finish_reason) == ('r1', 'stop')
    assert result.response.provider_details == {'finish_reason': 'stop'}


async def test_tokens_are_counted_before_a_request():
    from pydantic_ai.usage import RequestUsage as TheirUsage

    class Counting(WrapperModel):
        async def count_tokens(self, *_: Any, **__: Any) -> TheirUsage:
            return TheirUsage(input_tokens=100)

    model = PydanticAIModel(Counting(TestModel()))
    limits = UsageLimits(input_tokens_limit=10, count_tokens_before_request=True)
    with pytest.raises(ours.UsageLimitExceeded, match='100'):
        await Agent(model).run('go', usage_limits=limits)


async def test_a_part_that_has_no_place_in_our_messages_is_refused_by_name():
    kind = getattr(their_messages, 'CompactionPart', None)
    if kind is None:
        pytest.skip('this version has no such part')
    with pytest.raises(ours.UserError, match='nothing like a `CompactionPart`'):
        await Agent(Script(said(kind(content='summary'))).model).run('go')


async def test_a_response_that_is_to_be_waited_for_is_refused():
    if not hasattr(their_messages.ModelResponse, 'state'):
        pytest.skip('this version has no such state')
    answer = their_messages.ModelResponse(parts=[], state='suspended')  # pyright: ignore[reportCallIssue]
    with pytest.raises(ours.UserError, match="state 'suspended'"):
        await Agent(Script(answer).model).run('go')


# Streams


async def test_a_text_is_streamed_with_usage_and_ends_and_the_notice_of_the_result():
    model = streamed('hello ', 'world')
    events: list[str] = []
    async with model_request_stream(model, [ModelRequest.user_text_prompt('hi')]) as stream:
        tokens: list[int] = []
        async for event in stream:
            events.append(type(event).__name__)
            tokens.append(stream.usage().output_tokens)
        response = stream.get()
    assert events == ['PartStartEvent', 'FinalResultEvent', 'PartDeltaEvent', 'PartEndEvent']
    assert tokens == [1, 1, 2, 2]
    assert response.parts == [TextPart('hello world')]
    assert (response.model_name, stream.model_name) == ('streamed', 'streamed')


async def test_a_run_streams_text():
    async with Agent(streamed('a', 'b', 'c')).run_stream('go') as result:
        texts = [text async for text in result.stream_text(debounce_by=None)]
    assert texts == ['a', 'ab', 'abc']


async def test_tool_calls_are_streamed():
    model = streamed(
        'say',
        {0: DeltaToolCall('look', None, tool_call_id='c1')},
        {0: DeltaToolCall(None, '{"at"')},
        {0: DeltaToolCall(None, ': 1}')},
    )
    seen: list[Any] = []
    async with model_request_stream(model, [ModelRequest.user_text_prompt('hi')]) as stream:
        async for event in stream:
            assert isinstance(event, PartStartEvent | PartDeltaEvent | PartEndEvent) or stream.final_result_event
            seen.append(event)
    parts = stream.get().parts
    assert parts[1] == ToolCallPart('look', '{"at": 1}', 'c1')
    assert [event.part for event in seen if isinstance(event, PartEndEvent)] == parts
    assert all(type(event).__module__.startswith('agentrun') for event in seen)


async def test_a_stream_may_be_left_early_and_leaves_no_generator_behind():
    async with model_request_stream(streamed('a', 'b'), [ModelRequest.user_text_prompt('hi')]) as response:
        async for _ in response:
            break
    assert response.get().parts == [TextPart('a')]
    gc.collect()  # trio warns of generators that it finds


async def test_an_error_in_the_middle_of_a_stream_is_ours():
    model = streamed('a', theirs.ModelHTTPError(503, 'm', {'error': 'busy'}))
    texts: list[str] = []

    async def read() -> None:
        async with Agent(model).run_stream('go') as result:
            async for text in result.stream_text(debounce_by=None):
                texts.append(text)  # noqa: PERF401, what came before the error counts

    with pytest.raises(ours.ModelHTTPError, match='status_code: 503'):
        await read()
    assert texts == ['a']


async def test_an_error_before_the_first_piece_of_a_stream_is_ours():
    model = streamed(theirs.ModelHTTPError(429, 'm', None))
    with pytest.raises(ours.ModelHTTPError, match='429'):
        async with model_request_stream(model, [ModelRequest.user_text_prompt('hi')]):
            raise AssertionError('not reached')


# Errors


@pytest.mark.parametrize(
    'error',
    [
        theirs.ModelHTTPError(429, 'gpt', {'error': {'message': 'slow down'}}),
        theirs.UnexpectedModelBehavior('odd', '{"a": 1}'),
        theirs.UnexpectedModelBehavior('odd'),
        theirs.UserError('wrong'),
        theirs.UsageLimitExceeded('too much'),
        theirs.IncompleteToolCall('cut'),
        theirs.AgentRunError('other'),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_is_ours_of_the_same_name_text_and_attributes(error: Exception):
    with pytest.raises(getattr(ours, type(error).__name__)) as caught:
        await Agent(Script(error).model).run('go')
    assert type(caught.value).__name__ == type(error).__name__
    assert str(caught.value) == str(error)
    attributes: dict[str, object] = {name: value for name, value in vars(error).items() if name[0] != '_'}
    assert attributes.items() <= vars(cast('Exception', caught.value)).items()
    assert caught.value.__cause__ is error


async def test_an_error_of_the_connection_is_ours_where_the_installed_version_has_it():
    kind = getattr(theirs, 'ModelAPIError', None)
    if kind is None:
        pytest.skip('this version has no such error')
    with pytest.raises(ours.ModelAPIError, match='gone') as caught:
        await Agent(Script(kind('gpt', 'gone')).model).run('go')
    assert caught.value.model_name == 'gpt'


async def test_what_all_models_of_theirs_failed_with_is_ours():
    first, second = Script(theirs.ModelHTTPError(500, 'a')), Script(theirs.ModelHTTPError(503, 'b'))
    model = PydanticAIModel(TheirFallbackModel(first.model.wrapped, second.model.wrapped))
    with pytest.raises(ours.FallbackExceptionGroup, match='All models') as caught:
        await Agent(model).run('go')
    assert [(type(one), getattr(one, 'status_code', None)) for one in caught.value.exceptions] == [
        (ours.ModelHTTPError, 500),
        (ours.ModelHTTPError, 503),
    ]


async def test_other_errors_pass_as_they_are():
    with pytest.raises(ZeroDivisionError, match='by hand'):
        await Agent(Script(ZeroDivisionError('by hand')).model).run('go')


async def test_our_fallback_goes_on_from_an_error_of_theirs():
    failing, working = Script(theirs.ModelHTTPError(500, 'a')), Script('saved')
    assert (await Agent(FallbackModel(failing.model, working.model)).run('go')).output == 'saved'


# What a model says of itself


async def test_name_provider_and_profile_are_those_of_the_wrapped_model():
    model = PydanticAIModel(TestModel())
    assert (model.model_name, model.system, model.base_url, model.settings) == ('test', 'test', None, None)
    assert model.profile.supports_tools
    assert model.profile.default_structured_output_mode == 'tool'
    assert model.prepare_request({'seed': 1}, params := ModelRequestParameters()) == ({'seed': 1}, params)


@pytest.mark.parametrize(
    ('name', 'system', 'model_name'),
    [
        ('openai:gpt-5', 'openai', 'gpt-5'),
        ('openai-responses:gpt-5', 'openai', 'gpt-5'),
        ('openai-chat:gpt-5', 'openai', 'gpt-5'),
        ('gateway/anthropic:claude-x', 'anthropic', 'claude-x'),
        ('bedrock:us.model:v1', 'bedrock', 'us.model:v1'),
    ],
)
async def test_a_model_by_name_is_not_built_before_it_is_asked(name: str, system: str, model_name: str):
    model = Agent(name).model
    assert isinstance(model, PydanticAIModel)
    assert (model.system, model.model_name, model.settings, model.base_url) == (system, model_name, None, None)
    assert repr(model) == f'PydanticAIModel({name!r})'


async def test_a_name_that_pydantic_ai_does_not_know_is_refused_by_the_first_request():
    agent = Agent('nowhere:model')
    with pytest.raises((ours.UserError, ValueError), match='nowhere'):
        await agent.run('go')


async def test_a_name_is_asked_for_a_key_by_the_first_request(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip('openai', reason='needs the client of the provider')
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    with pytest.raises(Exception, match='OPENAI_API_KEY'):
        await Agent('openai:gpt-5').run('go')


async def test_without_pydantic_ai_the_first_request_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    hidden = [name for name in sys.modules if name.partition('.')[0] == 'pydantic_ai']
    for name in hidden:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'meta_path', [NoPydanticAI(), *sys.meta_path])
    with pytest.raises(ImportError, match=r"'openai:gpt-5'.*pip install 'agentrun-replay\[pydantic-ai\]'"):
        await Agent('openai:gpt-5').run('go')


class NoPydanticAI:
    """Finds no pydantic_ai, as if it were not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition('.')[0] == 'pydantic_ai':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)


def test_importing_agentrun_and_naming_a_model_imports_no_pydantic_ai():
    code = (
        'import sys; from agentrun import Agent; Agent("openai:gpt-5"); '
        'assert not [name for name in sys.modules if name.split(".")[0] == "pydantic_ai"]'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


async def test_the_context_of_a_run_is_not_needed():
    agent = Agent(Script(called('look', {}), 'done').model, deps_type=int)

    @agent.tool
    def look(ctx: RunContext[int]) -> str:
        assert isinstance(ctx.model, PydanticAIModel)
        return str(ctx.deps)

    assert (await agent.run('go', deps=3)).output == 'done'
