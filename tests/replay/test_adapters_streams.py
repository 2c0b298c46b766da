"""Streamed requests of agentrun, recorded and replayed: events, states, errors, ends, secrets."""

# ruff: noqa: PERF401, PT012  (what came before an error is looked at, and a stream fails while it is iterated over)

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from agentrun import Agent, ModelMessage, ModelRequest, ModelResponse, ModelRetry, TextPart, ToolCallPart
from agentrun.direct import model_request, model_request_stream, model_request_stream_sync
from agentrun.exceptions import ModelHTTPError, UsageLimitExceeded
from agentrun.messages import PartDeltaEvent, PartEndEvent, PartStartEvent, TextPartDelta, ThinkingPart
from agentrun.models import ModelRequestParameters, StreamedResponse
from agentrun.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from agentrun.models.wrapper import WrapperModel
from agentrun.tools import DeferredToolRequests, DeferredToolResults, ToolDefinition
from agentrun.toolsets import ExternalToolset
from agentrun.usage import RequestUsage, UsageLimits
from replay import Diverged, use_cassette
from replay.check import check_cassette
from replay.cli._group import replay
from replay.codec import loads
from replay.errors import NotRestorable
from tests.replay.secrets_planted import SECRETS, heart

pytestmark = pytest.mark.anyio

asked: list[str] = []


class City(BaseModel):
    name: str


async def say(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """Think, call a tool, and then speak or use the output tool."""
    asked.append('model')
    if len(messages) == 1 and info.function_tools:
        yield {0: DeltaThinkingPart(content='Hm')}
        yield {0: DeltaThinkingPart(content='. So.', signature='SIG')}
        yield {1: DeltaToolCall(name='look', json_args='{"pla', tool_call_id='c1')}
        yield {1: DeltaToolCall(json_args='ce": "a"}')}
    elif info.output_tools:
        yield {0: DeltaToolCall(name='final_result', json_args='{"na', tool_call_id='c2')}
        yield {0: DeltaToolCall(json_args='me": "Rome"}')}
        yield {1: DeltaToolCall(name='look', json_args='{"place": "b"}', tool_call_id='c3')}
    else:
        for piece in ('It ', 'is ', 'sunny.'):
            yield piece


def agent(output: Any = str, **options: Any) -> Agent[None, Any]:
    made = Agent[None, Any](FunctionModel(stream_function=say), name='trip', output_type=output, **options)

    @made.tool_plain
    async def look(place: str) -> str:
        asked.append(place)
        return f'{place} is near'

    return made


async def texts(seen: list[Any]) -> bytes:
    async with agent().run_stream('go') as result:
        async for text in result.stream_text(debounce_by=None):
            seen.append((text, result.response, result.usage(), result.is_complete))
        seen.append(result.response)
    return result.all_messages_json()


async def outputs(seen: list[Any]) -> bytes:
    async with agent(City).run_stream('go') as result:
        async for output in result.stream_output(debounce_by=None):
            seen.append((output, result.response))
    return result.all_messages_json()


async def exhaustive(seen: list[Any]) -> bytes:
    async with agent(City, end_strategy='exhaustive').run_stream('go') as result:
        seen.append(await result.get_output())
    return result.all_messages_json()


async def responses(seen: list[Any]) -> bytes:
    async with agent().run_stream('go') as result:
        async for state in result.stream_responses(debounce_by=None):
            seen.append(state)
    return result.all_messages_json()


async def left_early(seen: list[Any]) -> bytes:
    async with agent().iter('go') as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        seen.append((event, stream.response))
                        break
    assert run.result is not None
    return run.result.all_messages_json()


async def events(seen: list[Any]) -> bytes:
    async for event in agent().run_stream_events('go'):
        seen.append(event)
    return seen[-1].result.all_messages_json()


async def handled(seen: list[Any]) -> bytes:
    async def handler(ctx: Any, told: Any) -> None:
        async for event in told:
            seen.append(event)

    return (await agent().run('go', event_stream_handler=handler)).all_messages_json()


DRIVINGS = [texts, outputs, exhaustive, responses, left_early, events, handled]


@pytest.mark.parametrize('drive', DRIVINGS)
async def test_a_streamed_run_replays_to_the_same_events_states_and_bytes(
    tmp_path: Path, drive: Callable[[list[Any]], Awaitable[bytes]]
):
    asked.clear()
    seen: list[list[Any]] = []
    dumped: list[bytes] = []
    for _ in range(3):
        seen.append([])
        with use_cassette('run', dir=tmp_path, record='once') as session:
            dumped.append(await drive(seen[-1]))
        assert session.all_messages_json() == dumped[-1]
    assert seen[0]
    assert seen[1] == seen[0] == seen[2]
    assert dumped[1] == dumped[0] == dumped[2]
    assert asked.count('model') == 2


@pytest.mark.parametrize('drive', DRIVINGS)
def test_a_streamed_run_is_played_by_the_core(tmp_path: Path, drive: Callable[[list[Any]], Awaitable[bytes]]):
    with use_cassette('run', dir=tmp_path, record='once'):
        anyio.run(drive, list[Any]())
    text = (tmp_path / 'run.json').read_text()
    assert '"streams": [' in text
    assert [(found.verdict, found.divergence) for found in check_cassette(loads(text))] == [('exact', None)]


# -- ends


def breaking(error: Exception, pieces: tuple[str, ...]) -> FunctionModel:
    async def break_off(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for piece in pieces:
            yield piece
        raise error

    return FunctionModel(stream_function=break_off)


@pytest.mark.parametrize('pieces', [(), ('It ',), ('It ', 'is ')])
async def test_an_error_comes_again_after_the_same_events(tmp_path: Path, pieces: tuple[str, ...]):
    error = ModelHTTPError(429, 'm', {'why': 'too many'})
    told: list[list[Any]] = []
    for _ in range(2):
        told.append([])
        with use_cassette('run', dir=tmp_path, record='once'), pytest.raises(ModelHTTPError) as caught:
            async for event in Agent(breaking(error, pieces), name='trip').run_stream_events('go'):
                told[-1].append(event)
        told[-1].append(str(caught.value))
    assert told[0] == told[1]
    assert ('{"raised": true}' in (tmp_path / 'run.json').read_text()) is bool(pieces)


async def test_a_limit_that_ends_a_stream_ends_it_again(tmp_path: Path):
    told: list[list[Any]] = []
    for _ in range(2):
        told.append([])
        with use_cassette('run', dir=tmp_path, record='once'), pytest.raises(UsageLimitExceeded):
            async with Agent(FunctionModel(stream_function=say), name='trip').run_stream(
                'go', usage_limits=UsageLimits(output_tokens_limit=1)
            ) as result:
                async for text in result.stream_output(debounce_by=None):
                    told[-1].append(text)
    assert told[0] == told[1] == ['It ']
    assert '{"cut": true}' in (tmp_path / 'run.json').read_text()


async def test_what_is_raised_while_a_stream_is_open_leaves_it_again(tmp_path: Path):
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'), pytest.raises(LookupError, match='enough'):
            async with agent().run_stream('go') as result:
                async for _text in result.stream_text(debounce_by=None):
                    raise LookupError('enough')


async def hanging(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield 'It '
    await anyio.sleep_forever()


async def test_a_reader_that_was_cancelled_waits_to_be_cancelled_again(tmp_path: Path):
    told: list[list[Any]] = []
    for _ in range(2):
        told.append([])
        with use_cassette('run', dir=tmp_path, record='once'), anyio.move_on_after(0.1) as scope:
            async for event in Agent(FunctionModel(stream_function=hanging), name='trip').run_stream_events('go'):
                told[-1].append(event)
        assert scope.cancelled_caught
    assert told[0] == told[1]
    assert '{"cut": "cancelled"}' in (tmp_path / 'run.json').read_text()


async def test_a_reader_that_is_not_cancelled_again_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('replay.adapters._cancelled.PATIENCE', 0.01)
    model = FunctionModel(stream_function=hanging)
    with use_cassette('run', dir=tmp_path, record='once'), anyio.move_on_after(0.1):
        async with model_request_stream(model, question()) as stream:
            [event async for event in stream]
    with pytest.raises(Diverged) as caught, use_cassette('run', dir=tmp_path):
        async with model_request_stream(model, question()) as stream:
            [event async for event in stream]
    assert (caught.value.divergence.field, caught.value.divergence.live) == ('cut', 'not cancelled within 0.01 s')


# -- without an agent


def question() -> list[ModelMessage]:
    return [ModelRequest.user_text_prompt('go')]


@pytest.mark.parametrize('count', [0, 1, 3, 5, None])
async def test_a_direct_stream_may_be_left_anywhere(tmp_path: Path, count: int | None):
    told: list[list[Any]] = []
    for _ in range(2):
        told.append([])
        with use_cassette('run', dir=tmp_path, record='once'):
            async with model_request_stream(FunctionModel(stream_function=say), question()) as stream:
                told[-1].append((stream.get(), stream.usage(), stream.model_name, stream.timestamp))
                left = count
                async for event in stream if count != 0 else _nothing():
                    told[-1].append((event, stream.get(), stream.usage(), stream.final_result_event))
                    left = left and left - 1
                    if left == 0:
                        break
            told[-1].append((stream.get(), stream.finish_reason, stream.provider_details, stream.provider_response_id))
            told[-1].append((stream.provider_name, stream.provider_url))
    assert told[0] == told[1]


async def _nothing() -> AsyncIterator[Any]:
    return
    yield


async def test_reading_on_where_the_recording_was_left_is_told(tmp_path: Path):
    model = FunctionModel(stream_function=say)
    with use_cassette('run', dir=tmp_path, record='once'):
        async with model_request_stream(model, question()) as stream:
            await anext(aiter(stream))
    with pytest.raises(Diverged) as caught, use_cassette('run', dir=tmp_path):
        async with model_request_stream(model, question()) as stream:
            [event async for event in stream]
    assert (caught.value.divergence.field, caught.value.divergence.recorded) == ('stream', 'left here')


def test_a_direct_stream_replays_where_code_is_not_async(tmp_path: Path):
    asked.clear()
    told: list[list[Any]] = []
    for _ in range(2):
        with (
            use_cassette('run', dir=tmp_path, record='once'),
            model_request_stream_sync(FunctionModel(stream_function=say), question()) as stream,
        ):
            told.append([*stream, stream.get()])
    assert told[0] == told[1]
    assert asked == ['model']


# -- whole and streamed


async def test_a_response_that_was_recorded_whole_streams_part_by_part(tmp_path: Path):
    model = FunctionModel(lambda messages, info: ModelResponse(parts=[ThinkingPart('Hm.'), TextPart('Sunny.')]))
    with use_cassette('run', dir=tmp_path, record='once'):
        whole = await model_request(model, question())
    with use_cassette('run', dir=tmp_path):
        async with model_request_stream(model, question()) as stream:
            told = [type(event).__name__ for event in [event async for event in stream]]
    assert told == ['PartStartEvent', 'PartEndEvent', 'PartStartEvent', 'FinalResultEvent', 'PartEndEvent']
    assert stream.get() == whole


async def test_a_streamed_direct_response_can_be_had_whole(tmp_path: Path):
    model = FunctionModel(stream_function=say)
    with use_cassette('run', dir=tmp_path, record='once'):
        async with model_request_stream(model, question()) as stream:
            [event async for event in stream]
    with use_cassette('run', dir=tmp_path):
        assert await model_request(model, question()) == stream.get()


# -- streams of other models


class Ahead(StreamedResponse):
    """A stream that takes in all of its pieces before it tells of the first, and learns of its end late."""

    details: Any = None

    async def _get_event_iterator(self) -> AsyncIterator[Any]:
        manager = self._parts_manager
        made = [
            *manager.handle_thinking_delta(vendor_part_id='t', content='Hm'),
            *manager.handle_thinking_delta(vendor_part_id='t', content='.', provider_details=lambda old: {'n': 1}),
            *manager.handle_text_delta(vendor_part_id='x', content='Sun'),
            *manager.handle_text_delta(vendor_part_id='x', content='ny', provider_details=self.details),
        ]
        for event in made:
            yield event
        self._usage = RequestUsage(input_tokens=7, details={'cached': 1})
        self.finish_reason, self.provider_response_id, self.provider_details = 'stop', 'r1', {'reason': 'stop'}

    @property
    def model_name(self) -> str:
        return 'ahead'

    @property
    def provider_name(self) -> str:
        return 'openai'

    @property
    def provider_url(self) -> str:
        return 'https://api.openai.com'

    @property
    def timestamp(self) -> Any:
        return ModelResponse(parts=[]).timestamp


class AheadModel(WrapperModel):
    def __init__(self, details: Any = None) -> None:
        super().__init__(FunctionModel(stream_function=say))
        self.details = details

    def request_stream(self, *args: Any, **keywords: Any) -> Any:
        stream = Ahead(ModelRequestParameters())
        stream.details = self.details

        class Block:
            async def __aenter__(self) -> StreamedResponse:
                return stream

            async def __aexit__(self, *_: object) -> None:
                await stream.aclose()

        return Block()


async def test_a_response_shows_what_has_been_told_however_far_ahead_its_model_is(tmp_path: Path):
    told: list[list[Any]] = []
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'):
            async with model_request_stream(AheadModel(), question()) as stream:
                told.append([(event, stream.get()) async for event in stream])
            told[-1].append((stream.get(), stream.usage(), stream.finish_reason, stream.provider_response_id))
    assert told[0] == told[1]
    states = [state for _, state in told[0][:-1]]
    assert [len(state.parts) for state in states] == [1, 1, 1, 2, 2, 2, 2]
    assert isinstance(states[0].parts[0], ThinkingPart)
    assert states[0].parts[0].content == 'Hm'
    assert told[0][-1][2:] == ('stop', 'r1')
    assert [type(event) for event, _ in told[0][:3]] == [PartStartEvent, PartDeltaEvent, PartEndEvent]
    assert told[0][5][0] == PartDeltaEvent(index=1, delta=TextPartDelta(content_delta='ny'))


@pytest.mark.parametrize('details', [{'x': object()}])
async def test_an_event_that_json_cannot_hold_is_refused_by_name(tmp_path: Path, details: Any):
    refused = pytest.raises(NotRestorable, match='a streamed event holds what JSON cannot')
    with refused, use_cassette('run', dir=tmp_path, record='once'):
        async with model_request_stream(AheadModel(details), question()) as stream:
            [event async for event in stream]
    assert not (tmp_path / 'run.json').exists()


# -- secrets


@pytest.mark.parametrize(('kind', 'size'), [*((kind, 5) for kind in SECRETS), ('openai-key', 1), ('openai-key', 90)])
async def test_a_secret_in_pieces_is_on_no_disk_and_in_no_partial_text(tmp_path: Path, kind: str, size: int):
    secret = SECRETS[kind]
    text = f'Use {secret} for it, and no other.'

    async def tell(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    told: list[list[str]] = []
    for _ in range(3):
        told.append([])
        with use_cassette('run', dir=tmp_path, record='once'):
            async with Agent(FunctionModel(stream_function=tell), name='trip').run_stream('go') as result:
                async for piece in result.stream_text(debounce_by=None):
                    told[-1].append(piece)
    assert told[0][-1] == text
    written = (tmp_path / 'run.json').read_text()
    assert heart(secret) not in written
    assert '<secret:' in written
    assert told[1] == told[2]
    begun, _, rest = told[1][-1].partition('<secret:')
    stand_in = '<secret:' + rest.partition('>')[0] + '>'
    for partial in told[1]:
        assert partial in begun or partial.startswith(begun + stand_in), partial


# -- for people


SUITE = """
import pytest
from agentrun import Agent
from agentrun.models.function import FunctionModel

async def say(messages, info):
    for piece in ('It ', 'is ', 'sunny.'):
        yield piece

pytestmark = pytest.mark.anyio

async def test_stream(agent_run_replay):
    agent = Agent(FunctionModel(stream_function=say), name='trip')
    async with agent.run_stream('go') as result:
        texts = [text async for text in result.stream_text(debounce_by=None)]
    assert texts == ['It ', 'It is ', 'It is sunny.']
    assert agent_run_replay.all_messages_json() == result.all_messages_json()
    assert agent_run_replay.node_kinds[-2:] == ['SetFinalResult', 'End']
"""


def test_a_streamed_test_is_recorded_replayed_shown_and_checked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv('CI', raising=False)  # where nothing is recorded
    pytester.makepyfile(test_trip=SUITE)
    plugins = (
        '-p',
        'replay.pytest_plugin',
        '-oasyncio_default_fixture_loop_scope=function',
        '-pno:randomly',
        '-pno:cacheprovider',
        '-pno:hypothesispytest',
    )
    for mode in ('once', 'none'):
        pytester.runpytest_inprocess(*plugins, f'--replay-record={mode}').assert_outcomes(passed=2)
    (cassette,) = pytester.path.glob('cassettes/**/*.json')
    shown = CliRunner().invoke(replay, ['show', str(cassette)])
    assert shown.exit_code == 0, shown.output
    assert 'SetFinalResult' in shown.stdout
    checked = CliRunner().invoke(replay, ['check', str(cassette)])
    assert checked.exit_code == 0, checked.output


# -- calls that somebody else answers


async def test_a_retry_that_is_handed_in_for_a_call_is_recorded_as_one(tmp_path: Path):
    def ask(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(f'told {messages[-1].parts[0]}') if len(messages) > 1 else CALL])

    made = Agent(FunctionModel(ask), name='trip', output_type=[str, DeferredToolRequests], toolsets=[ELSEWHERE])
    outputs: list[Any] = []
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'):
            first = await made.run('go')
            answers = DeferredToolResults(calls={'c1': ModelRetry('Not like this.')})
            again = await made.run(message_history=first.all_messages(), deferred_tool_results=answers)
            outputs.append(again.all_messages_json())
    assert outputs[0] == outputs[1]
    text = (tmp_path / 'run.json').read_text()
    assert '{"kind": "model-retry", "message": "Not like this."}' in text


CALL = ToolCallPart('elsewhere', {'x': 1}, 'c1')
ELSEWHERE = ExternalToolset[None]([ToolDefinition(name='elsewhere')])
