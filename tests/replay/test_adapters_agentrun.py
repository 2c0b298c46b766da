"""Runs of many kinds: what is recorded replays to the same bytes, without model and tools."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentrun import Agent, ModelRetry, RunContext
from agentrun.exceptions import CallDeferred, ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UsageLimitExceeded
from agentrun.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturn,
    UserPromptPart,
)
from agentrun.models.function import FunctionModel
from agentrun.tools import DeferredToolRequests, DeferredToolResults
from agentrun.usage import RequestUsage, UsageLimits
from replay import Diverged, Session, canon, use_cassette
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.cassette import Raised
from replay.errors import NotRestorable
from replay.history import from_history
from replay.store import Store

pytestmark = pytest.mark.anyio

Script = Sequence[list[ModelResponsePart] | Exception]


class City(BaseModel):
    name: str
    size: int


class Scripted:
    """An agent whose model plays a script: one entry for each request."""

    def __init__(self, *script: list[ModelResponsePart] | Exception, **options: Any) -> None:
        self.script = list(script)
        self.asked = 0
        self.ran: list[str] = []
        self.agent: Agent[None, Any] = Agent(FunctionModel(self.model), name='agent', **options)

    def model(self, messages: list[ModelMessage], info: Any) -> ModelResponse:
        entry = self.script[self.asked]
        self.asked += 1
        if isinstance(entry, Exception):
            raise entry
        return ModelResponse(parts=entry, usage=RequestUsage(input_tokens=7, output_tokens=3))


def call(tool: str, id: str = 'c1', /, **args: Any) -> ToolCallPart:
    return ToolCallPart(tool, args, id)


def looking() -> Scripted:
    return with_tool([call('look', place='Rome')], [TextPart('Done')])


def with_tool(*script: list[ModelResponsePart] | Exception, returns: Any = None, **options: Any) -> Scripted:
    scripted = Scripted(*script, **options)

    @scripted.agent.tool_plain(retries=2)
    def look(place: str) -> Any:
        scripted.ran.append(place)
        if isinstance(returns, Exception):
            raise returns
        return returns if returns is not None else {'seen': place, 'at': 20.0}

    return scripted


def with_retry() -> Scripted:
    scripted = Scripted(
        [call('guess', number=1)],
        [call('guess', 'c2', number='x')],
        [call('guess', 'c3', number=3)],
        [TextPart('Done')],
    )

    @scripted.agent.tool(retries=3)
    async def guess(ctx: RunContext[None], number: int) -> str:
        scripted.ran.append(str(number))
        if number < 3:
            raise ModelRetry(f'Higher than {number}.')
        return f'Right after {ctx.retry} retries.'

    return scripted


def structured() -> Scripted:
    return Scripted(
        [call('final_result', name='Rome', size='big')],
        [call('final_result', 'c2', name='Rome', size=3)],
        output_type=City,
    )


def prepared() -> Scripted:
    scripted = with_tool([call('look', place='a')], [call('look', 'c2', place='b')], [TextPart('Done')])
    scripted.agent.history_processors = [lambda messages: messages[-1:]]
    return scripted


def dynamic() -> Scripted:
    scripted = with_tool([call('look', place='a')], [TextPart('Done')], system_prompt='Static.')

    @scripted.agent.instructions
    def instructions(ctx: RunContext[None]) -> str:
        return f'Step {ctx.run_step}.'

    @scripted.agent.system_prompt(dynamic=True)
    def system() -> str:
        return 'Dynamic.'

    return scripted


PNG = BinaryContent(b'\x89PNG', media_type='image/png')

SCENARIOS: dict[str, Callable[[], Scripted]] = {
    'text': lambda: Scripted([TextPart('Hello')]),
    'one tool': looking,
    'two calls with one id': lambda: with_tool([call('look', place='a'), call('look', place='b')], [TextPart('x')]),
    'tool returns None': lambda: with_tool([call('look', place='a')], [TextPart('x')], returns=[]),
    'tool returns a file': lambda: with_tool([call('look', place='a')], [TextPart('x')], returns=PNG),
    'tool returns files': lambda: with_tool([call('look', place='a')], [TextPart('x')], returns=['one', PNG]),
    'tool returns user content': lambda: with_tool(
        [call('look', place='a')],
        [TextPart('x')],
        returns=ToolReturn('seen', content=['Look:', ImageUrl('https://x.org/a.png')], metadata={'m': 1}),
    ),
    'tool returns a model': lambda: with_tool(
        [call('look', place='a')], [TextPart('x')], returns=City(name='R', size=1)
    ),
    'retries': with_retry,
    'unknown tool': lambda: with_tool([call('nothing'), call('look', 'c2', place='a')], [TextPart('x')]),
    'structured output': structured,
    'output beside tools': lambda: with_tool(
        [call('look', place='a'), call('final_result', 'c2', name='Rome', size=3)], output_type=City
    ),
    'exhaustive': lambda: with_tool(
        [call('look', place='a'), call('final_result', 'c2', name='Rome', size=3)],
        output_type=City,
        end_strategy='exhaustive',
    ),
    'empty response': lambda: Scripted([], [TextPart('x')]),
    'a history processor': prepared,
    'dynamic prompts': dynamic,
}

FAILURES: dict[str, Callable[[], Scripted]] = {
    'model error': lambda: with_tool(
        [call('look', place='a')], ModelHTTPError(404, 'gpt', {'error': {'message': 'No.'}})
    ),
    'other model error': lambda: Scripted(ConnectionError('cut off')),
    'tool error': lambda: with_tool([call('look', place='a')], returns=ValueError('broken')),
    'retries used up': lambda: Scripted([call('nothing')], [call('nothing')]),
}


async def _fresh(scripted: Scripted) -> Any:
    return await scripted.agent.run('Look around.')


async def record(folder: Path, make: Callable[[], Scripted], run: Callable[[Scripted], Awaitable[Any]] = _fresh) -> Any:
    with use_cassette('run', dir=folder, record='rewrite'):
        return await run(make())


async def replay(
    folder: Path, make: Callable[[], Scripted], run: Callable[[Scripted], Awaitable[Any]] = _fresh
) -> tuple[Any, Session]:
    scripted = make()
    with use_cassette('run', dir=folder) as session:
        result = await run(scripted)
    assert (scripted.asked, scripted.ran) == (0, [])
    return result, session


@pytest.mark.parametrize('scenario', SCENARIOS)
async def test_a_recorded_run_replays_to_the_same_bytes(scenario: str, tmp_path: Path):
    recorded = await record(tmp_path, SCENARIOS[scenario])
    again, session = await replay(tmp_path, SCENARIOS[scenario])
    assert again.all_messages_json() == recorded.all_messages_json() == session.all_messages_json()
    assert again.new_messages_json() == recorded.new_messages_json()
    assert again.output == recorded.output
    assert again.usage() == recorded.usage()


@pytest.mark.parametrize('scenario', FAILURES)
async def test_a_run_that_failed_fails_again_in_the_same_way(scenario: str, tmp_path: Path):
    errors: list[Exception] = []

    async def failing(scripted: Scripted) -> None:
        try:
            await scripted.agent.run('Look around.')
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    await record(tmp_path, FAILURES[scenario], failing)
    _, session = await replay(tmp_path, FAILURES[scenario], failing)
    recorded, again = errors
    assert type(again) is type(recorded)
    assert str(again) == str(recorded)
    assert session.node_kinds[-1] != 'End'


async def test_the_facts_of_a_model_error_come_back(tmp_path: Path):
    with pytest.raises(ModelHTTPError):
        await record(tmp_path, FAILURES['model error'])
    # the block failed, so the recording waits
    with pytest.raises(ModelHTTPError) as caught, Session('run', dir=tmp_path, play_pending=True):
        await FAILURES['model error']().agent.run('Look around.')
    assert (caught.value.status_code, caught.value.model_name, caught.value.body) == (
        404, 'gpt', {'error': {'message': 'No.'}},
    )  # fmt: skip


async def continued(scripted: Scripted) -> Any:
    first = await scripted.agent.run('Look around.')
    scripted.script.append([TextPart('More')])
    return await scripted.agent.run('And then?', message_history=first.all_messages())


async def test_a_run_that_goes_on_with_the_history_of_another_is_replayed(tmp_path: Path):
    recorded = await record(tmp_path, looking, continued)
    again, session = await replay(tmp_path, looking, continued)
    assert again.all_messages_json() == recorded.all_messages_json()
    assert [run.name for run in session.runs] == ['agent', 'agent#2']


async def resent(scripted: Scripted) -> Any:
    return await scripted.agent.run(message_history=[ModelRequest(parts=[UserPromptPart('Hello?')])])


async def test_a_request_of_the_history_that_is_sent_again_is_replayed(tmp_path: Path):
    recorded = await record(tmp_path, looking, resent)
    again, _ = await replay(tmp_path, looking, resent)
    assert again.all_messages_json() == recorded.all_messages_json()
    assert again.new_messages_json() == recorded.new_messages_json()


async def joined(scripted: Scripted) -> Any:
    return await scripted.agent.run('Well?', message_history=[ModelRequest(parts=[UserPromptPart('Hello?')])])


async def test_a_request_that_is_joined_to_the_history_is_replayed(tmp_path: Path):
    recorded = await record(tmp_path, looking, joined)
    again, _ = await replay(tmp_path, looking, joined)
    assert again.all_messages_json() == recorded.all_messages_json()


def deferring() -> Scripted:
    scripted = Scripted(
        [call('later'), call('other', 'c2')], [TextPart('Done')], output_type=[str, DeferredToolRequests]
    )

    @scripted.agent.tool_plain
    def later() -> str:
        raise CallDeferred

    @scripted.agent.tool_plain
    def other() -> int:
        scripted.ran.append('other')
        return 5

    return scripted


async def answered_later(scripted: Scripted, answer: str = 'answer') -> Any:
    first = await scripted.agent.run('Look around.')
    assert [part.tool_call_id for part in first.output.calls] == ['c1']
    results = DeferredToolResults(calls={'c1': answer})
    return await scripted.agent.run(message_history=first.all_messages(), deferred_tool_results=results)


async def test_deferred_calls_are_replayed_and_their_results_come_from_the_code(tmp_path: Path):
    recorded = await record(tmp_path, deferring, answered_later)
    again, _ = await replay(tmp_path, deferring, answered_later)
    assert again.all_messages_json() == recorded.all_messages_json()

    async def otherwise(scripted: Scripted) -> Any:
        return await answered_later(scripted, 'another answer')

    with pytest.raises(Diverged) as caught:
        await replay(tmp_path, deferring, otherwise)
    assert caught.value.divergence.field == 'deferred_tool_results.calls.c1'


async def steered(scripted: Scripted) -> Any:
    async with scripted.agent.iter('Look around.') as run:
        async for node in run:
            if Agent.is_model_request_node(node) and len(run.all_messages()) > 1:
                node.request.parts = [*node.request.parts, UserPromptPart('Hurry.')]
            if Agent.is_call_tools_node(node):
                node.model_response.metadata = {'seen': True}
    return run.result


async def test_what_code_changes_on_the_way_it_changes_again(tmp_path: Path):
    recorded = await record(tmp_path, looking, steered)
    again, _ = await replay(tmp_path, looking, steered)
    assert again.all_messages_json() == recorded.all_messages_json()
    with pytest.raises(Diverged) as caught:
        await replay(tmp_path, looking)
    assert caught.value.divergence.kind == 'ModelRequestNode'


async def left(scripted: Scripted) -> Any:
    async with scripted.agent.iter('Look around.') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                break
    return run


async def test_a_run_that_is_left_early_is_left_early_again(tmp_path: Path):
    recorded = await record(tmp_path, looking, left)
    again, session = await replay(tmp_path, looking, left)
    assert again.all_messages_json() == recorded.all_messages_json()
    assert session.node_kinds == ['UserPromptNode', 'ModelRequestNode']


async def limited(scripted: Scripted) -> Any:
    with pytest.raises(UsageLimitExceeded, match='output_tokens_limit of 1'):
        await scripted.agent.run('Look around.', usage_limits=UsageLimits(output_tokens_limit=1))


async def test_a_response_that_exceeds_a_limit_exceeds_it_again(tmp_path: Path):
    await record(tmp_path, looking, limited)
    _, session = await replay(tmp_path, looking, limited)
    assert session.recorded_runs[0].nodes[-1].raised is not None


async def refused(scripted: Scripted) -> Any:
    with pytest.raises(UsageLimitExceeded, match='request_limit of 0'):
        await scripted.agent.run('Look around.', usage_limits=UsageLimits(request_limit=0))


async def test_a_request_that_a_limit_stops_is_stopped_again(tmp_path: Path):
    await record(tmp_path, looking, refused)
    _, session = await replay(tmp_path, looking, refused)
    assert session.node_kinds == ['UserPromptNode', 'ModelRequestNode']


def delegating() -> Scripted:
    inner = with_tool([call('look', place='a')], [TextPart('Inner')])
    inner.agent.name = 'inner'
    outer = Scripted([call('ask')], [TextPart('Outer')])

    @outer.agent.tool_plain
    async def ask() -> str:
        outer.ran.append('ask')
        return (await inner.agent.run('Please.')).output

    return outer


async def test_a_run_inside_a_tool_has_a_name_that_says_so_and_counts_as_played(tmp_path: Path):
    recorded = await record(tmp_path, delegating)
    again, session = await replay(tmp_path, delegating)
    assert again.all_messages_json() == recorded.all_messages_json()
    assert [run.name for run in session.recorded_runs] == ['agent', 'agent/ask/inner']
    assert [run.name for run in session.runs] == ['agent']


def counting() -> Scripted:
    scripted = Scripted([TextPart('Hello')])

    class Counting(FunctionModel):
        async def count_tokens(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> RequestUsage:
            scripted.ran.append('counted')
            return RequestUsage(input_tokens=9)

    scripted.agent.model = Counting(scripted.model)
    return scripted


async def counted(scripted: Scripted) -> Any:
    limits = UsageLimits(count_tokens_before_request=True, input_tokens_limit=20)
    return await scripted.agent.run('Hi', usage_limits=limits)


async def test_counted_tokens_are_replayed(tmp_path: Path):
    await record(tmp_path, counting, counted)
    _, session = await replay(tmp_path, counting, counted)
    counted_usage = session.recorded_runs[0].nodes[1].counted
    assert counted_usage is not None
    assert counted_usage['input_tokens'] == 9


async def test_a_tool_that_now_rejects_its_recorded_arguments_does_so(tmp_path: Path):
    await record(tmp_path, lambda: with_tool([call('look', place='a')], [TextPart('x')]))
    scripted = Scripted([TextPart('x')])

    @scripted.agent.tool_plain
    def look(place: str) -> str:
        return place

    with pytest.raises(Diverged), use_cassette('run', dir=tmp_path):
        await scripted.agent.run('Look around!')


async def test_an_error_in_counting_is_replayed(tmp_path: Path):
    def failing() -> Scripted:
        scripted = counting()

        class Failing(FunctionModel):
            async def count_tokens(
                self, messages: Any, model_settings: Any, model_request_parameters: Any
            ) -> RequestUsage:
                raise ConnectionError('no counter')

        scripted.agent.model = Failing(scripted.model)
        return scripted

    async def caught(scripted: Scripted) -> None:
        with pytest.raises(ConnectionError, match='no counter'):
            await counted(scripted)

    await record(tmp_path, failing, caught)
    await replay(tmp_path, failing, caught)


async def test_a_response_that_json_cannot_hold_fails_the_recording(tmp_path: Path):
    scripted = Scripted([TextPart('x', provider_details={'odd': object()})])
    with pytest.raises(NotRestorable, match='a response of the model holds what JSON cannot'):
        await record(tmp_path / 'none', lambda: scripted)


async def test_a_message_that_json_cannot_hold_fails_the_recording(tmp_path: Path):
    def metadata(scripted: Scripted) -> list[ModelMessage]:
        return [ModelRequest(parts=[UserPromptPart('Hi')], metadata={'odd': object()}), ModelResponse(parts=[])]

    async def run(scripted: Scripted) -> Any:
        return await scripted.agent.run('Go on.', message_history=metadata(scripted))

    with pytest.raises(NotRestorable, match='a message of the run holds what JSON cannot') as caught:
        await record(tmp_path, looking, run)
    assert caught.value.where.node == '1 ModelRequestNode'

    async def later(scripted: Scripted) -> Any:
        result = await scripted.agent.iter('Look around.').__aenter__()
        async for _ in result:
            pass
        result.all_messages()[0].metadata = {'odd': object()}
        from agentrun._effects import RunEnd

        handler = result.ctx.deps.handler
        assert handler is not None
        handler.finished(RunEnd(messages=result.all_messages(), new_from=0, ended=True, error=None))

    with pytest.raises(NotRestorable, match='a message of the run holds what JSON cannot'):
        await record(tmp_path, looking, later)


async def test_a_call_without_a_recorded_outcome_is_a_divergence(tmp_path: Path):
    await record(tmp_path, looking)
    store = Store(tmp_path)
    cassette = store.read('run')
    run = cassette.runs[0]
    answers = run.nodes[3].message
    assert answers is not None
    broken = dataclasses.replace(run.nodes[3], message={**answers, 'parts': []})
    nodes = (*run.nodes[:3], broken, *run.nodes[4:])
    store.write('run', dataclasses.replace(cassette, runs=(dataclasses.replace(run, nodes=nodes),)))
    with pytest.raises(Diverged) as caught:
        await replay(tmp_path, looking)
    divergence = caught.value.divergence
    assert (divergence.cause, divergence.field, divergence.kind) == ('tool result', 'look', 'CallToolsNode')


async def test_a_run_that_raises_earlier_than_recorded_says_where(tmp_path: Path):
    await record(tmp_path, looking)
    with pytest.raises(UsageLimitExceeded) as caught, use_cassette('run', dir=tmp_path):
        await looking().agent.run('Look around.', usage_limits=UsageLimits(request_limit=1))
    note = caught.value.__notes__[0]
    assert '2 recorded nodes never played' in note
    assert '<- raised here: UsageLimitExceeded' in note


# -- histories of production


def production() -> Scripted:
    scripted = Scripted([call('show', 'a'), call('look', 'b', place='x'), call('show', 'c')], [TextPart('Done')])

    @scripted.agent.tool_plain
    def look(place: str) -> dict[str, Any]:
        scripted.ran.append('look')
        return {}

    @scripted.agent.tool_plain
    def show() -> str:
        scripted.ran.append('show')
        return ''

    return scripted


@pytest.mark.parametrize('name', ['user_content_of_tools', 'parallel_tools', 'history', 'request_sent_again'])
async def test_an_agent_replays_a_history_that_was_imported(name: str, tmp_path: Path):
    data = json.loads((Path(__file__).parent / 'data' / f'{name}.json').read_text(encoding='utf-8'))
    imported = from_history(json.dumps(data), run='agent')
    Store(tmp_path).write('run', imported.cassette)

    async def run(scripted: Scripted) -> Any:
        history = ModelMessagesTypeAdapter.validate_python(data['messages'][: data['new_from']])

        @scripted.agent.tool_plain
        async def count(upto: int) -> list[int]:
            scripted.ran.append('count')
            return []

        @scripted.agent.instructions
        def instructions() -> str:
            return str(data['messages'][data['new_from']].get('instructions') or '')

        prompt = None if name == 'request_sent_again' else 'Look around.'
        return await scripted.agent.run(prompt, message_history=history or None)

    again, _ = await replay(tmp_path, production, run)
    assert json.loads(again.all_messages_json()) == data['messages']


async def test_calls_of_an_imported_history_that_nobody_answered_are_put_off(tmp_path: Path):
    path = Path(__file__).parent / 'data' / 'deferred.json'
    Store(tmp_path).write('run', from_history(path.read_bytes(), run='agent').cassette)

    def make() -> Scripted:
        scripted = production()
        scripted.agent = Agent(FunctionModel(scripted.model), name='agent', output_type=[str, DeferredToolRequests])

        @scripted.agent.tool_plain
        def look(place: str) -> str:
            return place

        @scripted.agent.tool_plain
        def later() -> str:
            raise CallDeferred

        return scripted

    again, _ = await replay(tmp_path, make)
    assert [part.tool_name for part in again.output.calls] == ['later']
    assert again.all_messages_json() == canon.dumps(json.loads(path.read_bytes())['messages'])


# -- errors as outcomes


class OwnError(UnexpectedModelBehavior):
    def __init__(self, code: int) -> None:
        super().__init__(f'code {code}')
        self.code = code


@pytest.mark.parametrize(
    'error',
    [
        ModelHTTPError(500, 'gpt', 'body'),
        UnexpectedModelBehavior('odd', 'body'),
        UsageLimitExceeded('too much'),
        ValueError('bad'),
        KeyError('name'),
        OwnError(3),
        ConnectionResetError(104, 'reset'),
    ],
)
def test_an_error_is_written_down_and_raised_again_as_the_same_class(error: Exception):
    again = rebuilt(raised(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


class LateError(Exception):
    """Has an attribute that cannot be read before it is set, as errors of httpx have."""

    def __init__(self, message: str, *, request: object = None) -> None:
        super().__init__(message)
        self._request = request

    @property
    def request(self) -> object:
        raise RuntimeError('The .request property has not been set.')


def test_an_attribute_that_cannot_be_read_is_left_out():
    again = rebuilt(raised(LateError('gone')))
    assert (type(again), str(again)) == (LateError, 'gone')


class Limited(Exception):  # noqa: N818, as short as the names that it stands for
    pass


class OtherBase(Exception):  # noqa: N818, the same
    pass


def test_of_classes_of_one_name_the_one_with_the_recorded_bases_is_raised():
    both = type('Limited', (OtherBase, Limited), {'__module__': Limited.__module__})
    assert type(rebuilt(raised(both('slow')))) is both
    assert type(rebuilt(raised(Limited('slow')))) is Limited


def test_an_error_whose_class_is_not_loaded_gets_a_stand_in_below_its_nearest_base():
    unknown = Raised(
        type='far.away.RateLimited',
        bases=('far.away.Base', 'agentrun.exceptions.ModelAPIError', 'builtins.RuntimeError'),
        message='slow down',
        args={'retry_after': 3},
    )
    error = rebuilt(unknown)
    assert (type(error).__name__, type(error).__module__, str(error)) == ('RateLimited', 'far.away', 'slow down')
    assert isinstance(error, ModelAPIError)
    assert vars(error) == {'retry_after': 3}
    assert type(rebuilt(Raised(type='far.Odd', message='x'))).__mro__[1] is Exception


def test_arguments_that_json_cannot_hold_are_left_out():
    error = OwnError(3)
    error.code = object()  # type: ignore[assignment]
    assert raised(error).args == {'__dict__': {'message': 'code 3', 'body': None}}
