"""A newcomer's agents, recorded and replayed: bytes, outputs, usage and errors must be those of the recording."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel

import replay
from agentrun import (
    Agent,
    BinaryContent,
    CachePoint,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ImageUrl,
    ModelHTTPError,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ModelRetry,
    PromptedOutput,
    RunContext,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolReturn,
    UsageLimitExceeded,
    UsageLimits,
    UserPromptPart,
)
from agentrun.models.test import TestModel
from replay.check import check_cassette
from replay.store import read_cassette
from tests.stage import Stage, shown

Scenario = Callable[[Stage], Awaitable[object]]


SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    SCENARIOS.append(function)
    return function


# Runs in runs


@scenario
async def agents_in_tools(stage: Stage) -> object:
    inner = Agent(stage.says(('deep', {}), 'inner done'), name='inner')
    outer = Agent(stage.says([('ask', {'q': 'a'}), ('ask', {'q': 'b'})], 'outer done'), name='outer')

    @inner.tool_plain
    def deep() -> int:
        return 4

    @outer.tool_plain
    async def ask(q: str) -> str:
        return (await inner.run(q)).output

    return await outer.run('go')


@scenario
async def agents_that_count_into_the_usage_of_another(stage: Stage) -> object:
    deep = Agent(stage.says('deep'), name='deep')
    middle = Agent(stage.says([('go', {}), ('go', {})], ('nothing', {}), 'middle'), name='middle')
    apart = Agent(stage.says(('go', {}), 'apart'), name='apart')
    calls: list[Any] = [('ask', {'q': 'a'}), ('ask', {'q': 'b'}), ('ask_apart', {})]
    outer = Agent(stage.says(calls, ('ask', {'q': 'c'}), 'outer'), name='outer')
    seen: list[object] = []

    @middle.tool(name='go')
    @apart.tool(name='go')
    async def go(ctx: RunContext[None]) -> str:
        return (await deep.run(f'down {ctx.tool_call_id}', usage=ctx.usage)).output

    @outer.tool
    async def ask(ctx: RunContext[None], q: str) -> str:
        return (await middle.run(q, usage=ctx.usage)).output

    @outer.tool_plain
    async def ask_apart() -> str:
        return (await apart.run('by itself')).output

    @outer.instructions
    def noted(ctx: RunContext[None]) -> str:
        seen.append(repr(ctx.usage))
        return ''

    return [await outer.run('go'), seen]


@scenario
async def agents_in_validators_output_functions_and_instructions(stage: Stage) -> object:
    judge = Agent(stage.says('fine'), name='judge')

    async def hand_off(query: str) -> str:
        return (await judge.run(query)).output

    agent = Agent(stage.says(('final_result', {'query': 'select'})), output_type=hand_off, name='agent')

    @agent.instructions
    async def helped() -> str:
        return (await judge.run('help')).output

    writer = Agent(stage.says('draft'), name='writer')

    @writer.output_validator
    async def judged(text: str) -> str:
        return text + (await judge.run(f'Is {text} right?')).output

    return [await agent.run('x'), await writer.run('y')]


@scenario
async def a_tool_that_survives_the_failure_of_its_agent(stage: Stage) -> object:
    inner = Agent(stage.says(ModelHTTPError(500, 'gpt')), name='inner')
    outer = Agent(stage.says(('ask', {}), 'done'), name='outer')

    @outer.tool_plain
    async def ask() -> str:
        try:
            return (await inner.run('q')).output
        except ModelHTTPError as error:
            return f'failed with {error.status_code}'

    return await outer.run('go')


@scenario
async def several_runs_that_hand_their_history_on(stage: Stage) -> object:
    agent = Agent(stage.says('one', 'two', 'three'), system_prompt='s', instructions='i', name='agent')
    first = await agent.run('x')
    second = await agent.run('y', message_history=first.all_messages())
    third = await agent.run('z', message_history=second.new_messages())
    stored = ModelMessagesTypeAdapter.validate_json(third.all_messages_json())
    return [first, second, third, await agent.run('w', message_history=stored)]


@scenario
async def runs_side_by_side(stage: Stage) -> object:
    def echo(messages: list[ModelMessage]) -> str:
        return f'answer to {messages[0].parts[0].content}'  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    agent = Agent(stage.says(echo), name='agent')
    results: dict[int, object] = {}

    async def one(number: int) -> None:
        results[number] = await agent.run(f'prompt {number}')

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(one, number)
    return [result for _, result in sorted(results.items())]


@scenario
async def runs_in_threads_and_without_names(stage: Stage) -> object:
    agent = Agent(stage.says('hi'))
    odd = Agent(stage.says('hi'), name='my agent/№1 [x]')
    in_thread = await anyio.to_thread.run_sync(lambda: agent.run_sync('x'))
    return [in_thread, await Agent(stage.says('anonymous')).run('y'), await odd.run('x'), await odd.run('x')]


# Tools


@scenario
async def a_tool_that_raises_while_another_works(stage: Stage) -> object:
    agent = Agent(stage.says([('boom', {}), ('slow', {})], 'done'), name='agent')

    @agent.tool_plain
    async def boom() -> int:
        stage.runs()
        raise ZeroDivisionError('by zero')

    @agent.tool_plain
    async def slow() -> int:
        await anyio.sleep(5)
        return 1

    return await agent.run('x')


class Odd(Exception):  # noqa: N818, named like what it is
    """An error whose constructor wants more than its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


class Opaque(Exception):  # noqa: N818, named like what it is
    """An error whose text does not tell what made it."""

    def __init__(self, code: int) -> None:
        super().__init__(f'no {code * 2}')


@scenario
async def an_error_of_a_class_of_ones_own(stage: Stage) -> object:
    agent = Agent(stage.says(('boom', {})), name='agent')

    @agent.tool_plain
    def boom() -> int:
        raise Odd(1, 'two')

    return await agent.run('x')


@scenario
async def an_error_that_cannot_be_made_again(stage: Stage) -> object:
    agent = Agent(stage.says(('boom', {})), name='agent')

    @agent.tool_plain
    def boom() -> int:
        raise Opaque(4)

    return await agent.run('x')


@scenario
async def tools_that_ask_for_another_try(stage: Stage) -> object:
    agent = Agent(stage.says(('t', {'n': 'bad'}), ('t', {'n': 1}), ('t', {'n': 5}), 'done'), retries=4, name='agent')

    @agent.tool
    def t(ctx: RunContext[None], n: int) -> str:
        stage.runs()
        if n < 3:
            raise ModelRetry(f'more than {ctx.retry}')
        return 'ok'

    return await agent.run('x')


@scenario
async def arguments_in_every_form(stage: Stage) -> object:
    forms = ['', '{ }', '{"n":  3}', None, '{"n": 1, "n": 2}', '{"n": 1.0}', '[1]', 'no json', '{"n": 1e0}']
    agent = Agent(stage.says([('t', form, f'c{i}') for i, form in enumerate(forms)], 'done'), name='agent', retries=9)

    @agent.tool_plain
    def t(n: int = 0) -> int:
        stage.runs()
        return n

    return await agent.run('x')


@scenario
async def calls_that_are_put_off(stage: Stage) -> object:
    calls: list[Any] = [('ask', {'n': 1}, 'c1'), ('outside', {}, 'c2')]
    agent = Agent(stage.says(calls, 'done'), output_type=[str, DeferredToolRequests], name='agent')

    @agent.tool_plain(requires_approval=True)
    def ask(n: int) -> int:
        stage.runs()
        return n

    @agent.tool_plain
    def outside() -> int:
        raise CallDeferred(metadata={'k': 1})

    first = await agent.run('x')
    results = DeferredToolResults(approvals={'c1': True}, calls={'c2': {'v': 1}})
    return [first, await agent.run(message_history=first.all_messages(), deferred_tool_results=results)]


@scenario
async def more_than_a_value(stage: Stage) -> object:
    agent = Agent(stage.says(('t', {}), 'done'), name='agent')

    @agent.tool_plain
    def t() -> ToolReturn:
        picture = BinaryContent(b'\x00\xff', media_type='image/png')
        return ToolReturn({'a': {1}}, content=['see', picture], metadata={'on': date(2020, 1, 2)})

    picture = ImageUrl('https://example.com/a', media_type='image/png')
    return await agent.run(['look', BinaryContent(b'\xfe', media_type='image/png'), picture, CachePoint()])


# Outputs, histories, limits


class City(BaseModel):
    name: str
    founded: date


@scenario
async def structured_outputs(stage: Stage) -> object:
    good = {'name': 'x', 'founded': '2001-02-03'}
    by_tool = Agent(stage.says(('final_result', {'name': 'x'}), ('final_result', good)), output_type=City, name='tool')
    wanted = PromptedOutput(City)
    by_text = Agent(stage.says('{"name": "x"}', '{"name":"x","founded":"2001-01-01"}'), output_type=wanted, name='text')
    made_up = Agent(TestModel(), output_type=City, name='made up')

    @by_tool.output_validator
    def kept(city: City) -> City:
        return city

    return [await by_tool.run('x'), await by_text.run('y'), await made_up.run('z')]


@scenario
async def processors_that_cut_and_add(stage: Stage) -> object:
    def last(messages: list[ModelMessage]) -> list[ModelMessage]:
        return messages[-3:]

    async def stamp(messages: list[ModelMessage]) -> list[ModelMessage]:
        return [ModelRequest(parts=[SystemPromptPart('added')]), *messages]

    answers: list[Any] = [('t', {}), ('t', {}), 'done', 'again']

    def following(messages: list[ModelMessage]) -> object:
        return answers.pop(0)

    model = stage.says(following)
    agent = Agent(model, history_processors=[last, stamp], name='agent')

    @agent.tool_plain
    def t() -> int:
        return 1

    first = await agent.run('x')
    return [first, await agent.run('y', message_history=first.all_messages())]


@scenario
async def limits_that_stop_a_run(stage: Stage) -> object:
    agent = Agent(stage.says(('t', {})), name='agent')

    @agent.tool_plain
    def t() -> int:
        return 1

    try:
        await agent.run('x', usage_limits=UsageLimits(request_limit=3))
    except UsageLimitExceeded as error:
        return str(error)
    return 'not stopped'


@scenario
async def nodes_changed_on_the_way(stage: Stage) -> object:
    agent = Agent(stage.says(('t', {}), 'done'), name='agent')

    @agent.tool_plain
    def t() -> list[int]:
        return [1]

    async with agent.iter('x') as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                node.request.parts = [*node.request.parts, UserPromptPart('more')]
            if Agent.is_call_tools_node(node):
                node.model_response.metadata = {'seen': True}
    return run.result


@scenario
async def other_models_and_settings(stage: Stage) -> object:
    agent = Agent(stage.says('never'), name='agent')
    with agent.override(model=stage.says('hi'), instructions='over'):
        first = await agent.run('x')
    return [first, await agent.run('x', model=stage.says('ho'), model_settings={'temperature': 0.5})]


@scenario
async def what_providers_add(stage: Stage) -> object:
    response = ModelResponse(
        parts=[ThinkingPart('hm', signature='sig'), TextPart('hi')],
        provider_name='openai',
        provider_response_id='r1',
        provider_details={'finish_reason': 'stop', 'timestamp': datetime(2020, 1, 1, tzinfo=UTC)},
        finish_reason='stop',
        timestamp=datetime(2021, 1, 1, tzinfo=UTC),
    )
    return await Agent(stage.says(response), name='agent').run('x')


CHANGES_HISTORY = (processors_that_cut_and_add, nodes_changed_on_the_way)
"""Code of these makes messages that nothing but the code explains."""


async def _outcome(acted: Scenario, stage: Stage) -> object:
    try:
        return shown(await acted(stage))
    except (ZeroDivisionError, Odd, Opaque) as error:
        # the class is one that `except` finds, the facts are those of the first time
        return type(error).__name__, str(error), error.args, getattr(error, 'code', None)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.anyio
@pytest.mark.parametrize('acted', SCENARIOS)
async def test_a_replay_gives_what_the_recording_gave_and_recording_anew_changes_nothing(
    acted: Scenario, tmp_path: Path
):
    with replay.use_cassette('tape', dir=tmp_path, record='once'):
        recorded = await _outcome(acted, Stage(live=True))
    files = _files(tmp_path)
    with replay.use_cassette('tape', dir=tmp_path):
        replayed = await _outcome(acted, Stage(live=False))
    assert replayed == recorded
    checked = await anyio.to_thread.run_sync(lambda: list(check_cassette(read_cassette(tmp_path / 'tape.json'))))
    verdicts = {run.verdict for run in checked}
    assert verdicts == {'exact'} or acted in CHANGES_HISTORY
    with replay.use_cassette('tape', dir=tmp_path, record='rewrite'):
        await _outcome(acted, Stage(live=True))
    assert _files(tmp_path) == files


@pytest.mark.anyio
async def test_a_damaged_cassette_is_replaced_where_everything_is_recorded_anew(tmp_path: Path):
    async def act(mode: Literal['once', 'rewrite']) -> None:
        with replay.use_cassette('tape', dir=tmp_path, record=mode):
            await runs_side_by_side(Stage(live=True))

    await act('once')
    files = _files(tmp_path)
    (tmp_path / 'tape.json').write_bytes(files['tape.json'][:100])
    await act('rewrite')
    with replay.use_cassette('tape', dir=tmp_path):
        await runs_side_by_side(Stage(live=False))
