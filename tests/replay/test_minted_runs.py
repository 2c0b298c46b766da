"""Runs that mint values: recorded once, replayed with other values, to the same bytes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentrun import Agent, RunContext
from agentrun.exceptions import UsageLimitExceeded
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.usage import UsageLimits
from replay import Session, use_cassette
from replay.errors import ReplayError

pytestmark = pytest.mark.anyio

WRITINGS: tuple[Callable[[datetime], str], ...] = (
    lambda now: f'Today is {now:%A, %B} {now.day}, {now.year}.',
    lambda now: f'Now: {now.isoformat()}',
    lambda now: f'It is {now:%Y-%m-%d %H:%M}.',
    lambda now: f'Date {now:%d/%m/%Y}, {now:%I:%M %p}',
    lambda now: f'Clock {now:%c}',
    lambda now: f'at {now.timestamp()}',
    lambda now: f'at {int(now.timestamp() * 1000)} ms',
)
"""Ways in which instructions tell the time."""


class Clock:
    """What functions of users read the time from."""

    def __init__(self) -> None:
        self.start = self.now = datetime.now(UTC).astimezone()

    def later(self) -> None:
        """Go on to another time of the next day."""
        self.now = (self.start + timedelta(days=1)).replace(hour=11, minute=7, second=13)


def said(*answers: ModelResponse | str) -> FunctionModel:
    """A model that gives these answers in turn."""
    left = iter(answers)

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        one = next(left)
        return ModelResponse(parts=[TextPart(one)]) if isinstance(one, str) else one

    return FunctionModel(answer, model_name='scripted')


def calling(name: str, **args: Any) -> ModelResponse:
    """An answer that calls one tool."""
    return ModelResponse(parts=[ToolCallPart(name, args, tool_call_id=f'call_{name}')])


def never() -> FunctionModel:
    """A model that must not be asked."""

    async def refuse(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise AssertionError('asked')

    return FunctionModel(refuse, model_name='scripted')


def document(session: Session) -> dict[str, Any]:
    """The cassette as JSON."""
    return json.loads(session.cassette_path.read_text())


async def twice(
    tmp_path: Path,
    go: Callable[[FunctionModel], Any],
    *answers: ModelResponse | str,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Record, replay, and see that both show the same bytes.

    Returns:
        The cassette.
    """
    with use_cassette('run', dir=tmp_path, record='once') as recording:
        first = await go(said(*answers))
    between()
    with use_cassette('run', dir=tmp_path) as replaying:
        second = await go(never())
    assert second.all_messages_json() == first.all_messages_json()
    assert second.all_messages() == first.all_messages()
    assert replaying.runs[-1].all_json == recording.runs[-1].all_json
    assert replaying.live_requests == 0
    return document(recording)


async def test_a_tool_that_returns_a_fresh_uuid_is_noted_with_its_name(tmp_path: Path) -> None:
    agent = Agent(name='support')

    @agent.tool_plain
    def new_ticket() -> str:
        return str(uuid4())

    found = await twice(tmp_path, lambda model: agent.run('go', model=model), calling('new_ticket'), 'done')

    (run,) = found['runs']
    assert {name: one['by'] for name, one in run['minted'].items()} == {'uuid-1': 'new_ticket'}
    assert str(UUID(run['minted']['uuid-1']['value'])) in json.dumps(run['nodes'])


async def test_a_prompt_with_a_fresh_uuid_replays_as_recorded(tmp_path: Path) -> None:
    agent = Agent(name='support')

    found = await twice(tmp_path, lambda model: agent.run(f'look at order {uuid4()}', model=model), 'done')

    assert found['runs'][0]['minted']['uuid-1']['by'] == 'prompt'


@pytest.mark.parametrize('write', WRITINGS)
async def test_instructions_with_the_time_replay_tomorrow(tmp_path: Path, write: Callable[[datetime], str]) -> None:
    clock = Clock()
    agent = Agent(name='support')

    @agent.instructions
    def today() -> str:
        return write(clock.now)

    @agent.tool_plain
    def wait() -> str:
        return 'waited'

    found = await twice(
        tmp_path,
        lambda model: agent.run('go', model=model),
        calling('wait'),
        'done',
        between=clock.later,
    )

    assert {one['by'] for one in found['runs'][0]['minted'].values()} == {'instructions'}


async def test_a_dynamic_system_prompt_with_the_date_replays_tomorrow(tmp_path: Path) -> None:
    clock = Clock()
    agent = Agent(name='support')

    @agent.system_prompt
    def today() -> str:
        return f'Today is {clock.now:%Y-%m-%d}'

    found = await twice(tmp_path, lambda model: agent.run('go', model=model), 'ok', between=clock.later)

    assert found['runs'][0]['minted'] == {'date-1': {'value': f'{clock.start:%Y-%m-%d}', 'by': 'system prompt'}}


async def test_a_history_function_with_a_fresh_id_replays_as_recorded(tmp_path: Path) -> None:
    agent = Agent(name='support')

    def history() -> list[ModelMessage]:
        return [
            ModelRequest(parts=[UserPromptPart(f'I am session {uuid4()}')]),
            ModelResponse(parts=[TextPart('hello')], model_name='m'),
        ]

    found = await twice(tmp_path, lambda model: agent.run('go', model=model, message_history=history()), 'done')

    assert found['runs'][0]['minted']['uuid-1']['by'] == 'history'


async def test_a_value_goes_on_into_later_runs(tmp_path: Path) -> None:
    agent = Agent(name='support')

    async def go(model: FunctionModel) -> Any:
        ticket = str(uuid4())
        first = await agent.run(f'open {ticket}', model=model)
        return await agent.run(f'close {ticket}, please', model=model, message_history=first.all_messages())

    found = await twice(tmp_path, go, 'opened', 'closed')

    assert [list(run.get('minted', {})) for run in found['runs']] == [['uuid-1'], []]


async def test_two_values_where_the_recording_has_one_are_a_difference(tmp_path: Path) -> None:
    agent = Agent(name='support')
    one = uuid4()
    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run(f'join {one} and {one}', model=said('ok'))

    with pytest.raises(ReplayError, match='user prompt of support changed'), use_cassette('run', dir=tmp_path):
        await agent.run(f'join {uuid4()} and {uuid4()}', model=never())


async def test_one_value_where_the_recording_has_two_is_a_difference(tmp_path: Path) -> None:
    agent = Agent(name='support')
    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run(f'join {uuid4()} and {uuid4()}', model=said('ok'))

    one = uuid4()
    with pytest.raises(ReplayError, match='user prompt of support changed'), use_cassette('run', dir=tmp_path):
        await agent.run(f'join {one} and {one}', model=never())


async def test_other_words_beside_a_value_are_a_difference(tmp_path: Path) -> None:
    agent = Agent(name='support')
    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run(f'open {uuid4()}', model=said('ok'))

    with pytest.raises(ReplayError, match='user prompt of support changed'), use_cassette('run', dir=tmp_path):
        await agent.run(f'close {uuid4()}', model=never())


async def test_what_a_model_said_is_not_minted(tmp_path: Path) -> None:
    agent = Agent(name='support')
    ticket = str(uuid4())

    @agent.tool_plain
    def find(ticket: str) -> str:
        return f'found {ticket}'

    found = await twice(tmp_path, lambda model: agent.run('go', model=model), calling('find', ticket=ticket), 'done')

    assert 'minted' not in found['runs'][0]


async def test_a_run_that_goes_on_from_its_recording_speaks_of_recorded_values(tmp_path: Path) -> None:
    agent = Agent(name='support')
    seen: list[str] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(str(messages[0].parts[0].content))  # type: ignore[union-attr]
        return ModelResponse(parts=[TextPart('ok')])

    async def go(second: str, model: FunctionModel) -> None:
        first = await agent.run(f'open {uuid4()}', model=model)
        await agent.run(second, model=model, message_history=first.all_messages())

    with use_cassette('run', dir=tmp_path, record='once'):
        await go('close', FunctionModel(answer, model_name='scripted'))
    with use_cassette('run', dir=tmp_path, record='new_episodes'):
        await go('reopen', FunctionModel(answer, model_name='scripted'))

    assert len(set(seen)) == 1


async def test_numbers_are_minted_when_a_second_look_proves_it(tmp_path: Path) -> None:
    agent = Agent(name='support')
    numbers: Iterator[int] = iter(range(731_234_567_890_123, 731_234_567_890_999, 7))

    @agent.instructions
    def ticket(ctx: RunContext[None]) -> str:
        return f'Trace {next(numbers)}'

    @agent.tool_plain
    def wait() -> str:
        return 'waited'

    found = await twice(tmp_path, lambda model: agent.run('go', model=model), calling('wait'), 'done')

    assert list(found['runs'][0]['minted']) == ['number-1', 'number-2']


async def test_a_day_that_stands_still_beside_one_that_goes_on_is_a_difference(tmp_path: Path) -> None:
    agent = Agent(name='support')
    day = datetime.now(UTC).date()
    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run(f'Today {day}, due {day}', model=said('ok'))

    with pytest.raises(ReplayError, match='user prompt of support changed'), use_cassette('run', dir=tmp_path):
        await agent.run(f'Today {day + timedelta(days=1)}, due {day}', model=never())


async def test_a_request_that_a_limit_keeps_from_being_sent_shows_what_was_recorded(tmp_path: Path) -> None:
    agent = Agent(name='support', instructions=lambda: f'Trace {uuid4()}')

    @agent.tool_plain
    def wait() -> str:
        return 'waited'

    shown: list[bytes] = []
    ways: list[tuple[Any, FunctionModel]] = [('once', said(calling('wait'))), ('none', never())]
    for record, model in ways:
        with use_cassette('run', dir=tmp_path, record=record) as session, pytest.raises(UsageLimitExceeded):
            await agent.run('go', model=model, usage_limits=UsageLimits(request_limit=1))
        shown.append(session.runs[-1].all_json)
    assert shown[0].count(b'Trace') == 2
    assert shown[1] == shown[0]
