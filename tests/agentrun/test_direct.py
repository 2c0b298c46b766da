"""One request without an agent: what the model is asked, and what whoever carries out effects sees of it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from agentrun import Agent, ModelMessage, ModelRequest, ModelResponse, TextPart, UserError, _ambient, _effects
from agentrun._ambient import BASE_TIME, LogicalSource, deterministic
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart
from agentrun.direct import model_request, model_request_sync
from agentrun.messages import ToolCallPart
from agentrun.models import ModelRequestParameters
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.models.test import TestModel
from agentrun.tools import ToolDefinition

pytestmark = pytest.mark.anyio

ASKED: list[ModelMessage] = [ModelRequest.user_text_prompt('Capital of France?')]
GET = ToolDefinition(name='get', parameters_json_schema={'type': 'object', 'properties': {}})


class Watcher:
    """A handler that notes what it is told, and answers by itself if it has an answer."""

    def __init__(self, answer: ModelResponse | None = None) -> None:
        self.noted: list[str] = []
        self.source: _ambient.Source = LogicalSource('watched')
        self.started: RunStart | None = None
        self.ended: RunEnd | None = None
        self._answer = answer

    def start(self, run: RunStart) -> RunHandler | None:
        self.started = run
        return self

    def node(self, node: object) -> None:
        self.noted.append(type(node).__name__)

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        self.noted.append(f'request {call.step} {call.settings} {call.parameters.function_tools}')
        return self._answer or await do()

    def stream(self, call: Any, do: Any) -> Any:
        pytest.fail('nothing is streamed')

    async def count_tokens(self, call: Any, do: Any) -> Any:
        pytest.fail('tokens are not counted')

    async def call_tools(self, batch: Any, work: Any) -> None:
        pytest.fail('tools are not run')

    def finished(self, end: RunEnd) -> None:
        self.noted.append('finished')
        self.ended = end


async def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    raise ValueError('no answer')


async def test_the_model_is_asked_with_all_that_is_given():
    seen: list[Any] = []

    async def note(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.extend([messages, info.model_settings, info.function_tools])
        return ModelResponse(parts=[TextPart('Paris')])

    response = await model_request(
        FunctionModel(note, settings={'seed': 1}),
        tuple(ASKED),
        model_settings={'temperature': 0.5},
        model_request_parameters=ModelRequestParameters(function_tools=[GET]),
    )
    assert (response.text, response.run_id) == ('Paris', None)
    assert seen == [ASKED, {'seed': 1, 'temperature': 0.5}, [GET]]


async def test_a_tool_on_offer_is_called_and_not_run():
    response = await model_request(
        'test', ASKED, model_request_parameters=ModelRequestParameters(function_tools=[GET], allow_text_output=True)
    )
    assert [type(part) for part in response.parts] == [ToolCallPart]


def test_a_request_is_made_where_code_is_not_async():
    assert model_request_sync(TestModel(custom_output_text='hi'), ASKED, model_settings={'seed': 1}).text == 'hi'


async def test_code_that_is_async_cannot_wait_for_a_request():
    with pytest.raises(RuntimeError, match='This event loop is already running'):
        model_request_sync('test', ASKED)


async def test_an_unknown_model_is_refused():
    with pytest.raises(UserError, match='Unknown model: nope'):
        await model_request('nope', ASKED)


async def test_what_the_model_raises_is_raised():
    with pytest.raises(ValueError, match='no answer'):
        await model_request(FunctionModel(fail), ASKED)


async def test_requests_have_readings_of_their_own_inside_deterministic():
    agent = Agent(TestModel())

    @agent.tool_plain
    async def ask() -> str:
        response = await model_request('test', ASKED)
        return str(response.timestamp - BASE_TIME)

    with deterministic():
        times = [(await model_request('test', ASKED)).timestamp for _ in range(2)]
        result = await agent.run('go')
    assert times == [BASE_TIME + timedelta(seconds=1)] * 2
    assert result.output == '{"ask":"0:00:01"}'


async def test_a_handler_sees_a_run_of_one_request():
    watcher = Watcher()
    with _effects.install(watcher):
        response = await model_request('test', ASKED, model_settings={'seed': 1})
    assert watcher.noted == ['ModelRequestNode', "request 1 {'seed': 1} []", 'finished']
    assert watcher.started is not None
    assert (watcher.started.agent_name, watcher.started.prompt) == ('direct', 'Capital of France?')
    assert watcher.started.history == ASKED
    assert watcher.ended == RunEnd(messages=[*ASKED, response], new_from=1, ended=True, error=None)
    assert response.timestamp == BASE_TIME + timedelta(seconds=1)


async def test_a_handler_may_answer_in_the_place_of_the_model():
    answer = ModelResponse(parts=[TextPart('fed')])
    with _effects.install(Watcher(answer)):
        assert await model_request(FunctionModel(fail), ASKED) is answer


async def test_a_handler_is_told_of_an_error():
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(ValueError, match='no answer') as raised:
        await model_request(FunctionModel(fail), ASKED)
    assert watcher.ended == RunEnd(messages=ASKED, new_from=1, ended=False, error=raised.value)


async def test_several_prompts_are_no_prompt_of_a_run():
    watcher = Watcher()
    with _effects.install(watcher):
        await model_request('test', [ModelRequest(parts=[*ASKED[0].parts, *ASKED[0].parts])])  # type: ignore[arg-type]
    assert watcher.started is not None
    assert watcher.started.prompt is None


@pytest.mark.parametrize(
    ('messages', 'end'),
    [([], 'nothing'), ([*ASKED, ModelResponse(parts=[TextPart('x')])], 'a `ModelResponse`')],
    ids=['nothing', 'response'],
)
async def test_what_is_no_request_cannot_be_recorded(messages: list[ModelMessage], end: str):
    watcher = Watcher()
    with _effects.install(watcher), pytest.raises(UserError) as raised:
        await model_request('test', messages)
    assert str(raised.value) == (
        'A direct request can be recorded or replayed only if its messages end in a `ModelRequest`; they end in '
        f"{end}. Append what is asked, e.g. `ModelRequest.user_text_prompt('...')`."
    )
    assert watcher.noted == ['finished']
