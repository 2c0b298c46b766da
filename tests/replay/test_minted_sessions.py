"""Minted values together with all else that a session does: choosing recordings, modes, secrets, definitions."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from agentrun import Agent
from agentrun._ambient import LiveSource
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.settings import ModelSettings
from agentrun.tools import Tool
from agentrun.usage import UsageLimitExceeded, UsageLimits
from replay import use_cassette
from replay.errors import ReplayError
from replay.modes import Mode
from replay.store import Store
from tests.replay.test_minted_runs import calling, document, never, said, twice

pytestmark = pytest.mark.anyio

SECRET = 'sk-proj-' + 'Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z'


MODES: tuple[Mode, ...] = ('once', 'none')


def echo() -> FunctionModel:
    """A model that repeats the last prompt."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(f'did: {prompt_of(messages[-1])}')])

    return FunctionModel(answer, model_name='scripted')


def prompt_of(message: ModelMessage) -> str:
    return str(message.parts[-1].content)  # type: ignore[union-attr]


async def gathered(model: FunctionModel, *prompts: str) -> list[str]:
    """Run an agent side by side; runs start in the order of the prompts."""
    agent = Agent(name='support')
    outputs = ['' for _ in prompts]

    async def go(index: int) -> None:
        outputs[index] = (await agent.run(prompts[index], model=model)).output

    async with anyio.create_task_group() as group:
        for index in range(len(prompts)):
            group.start_soon(go, index)
    return outputs


async def test_runs_that_race_find_their_recordings_by_prompts_up_to_minted_values(tmp_path: Path) -> None:
    with use_cassette('run', dir=tmp_path, record='once'):
        await gathered(echo(), f'open {uuid4()}', f'close {uuid4()}', 'wait')
    with use_cassette('run', dir=tmp_path):
        outputs = await gathered(never(), 'wait', f'close {uuid4()}', f'open {uuid4()}')

    assert [output.split()[1] for output in outputs] == ['wait', 'close', 'open']


@pytest.mark.parametrize('order', [('Be brief.', 'Be kind.'), ('Be kind.', 'Be brief.')])
async def test_runs_with_equal_prompts_find_their_recordings_by_the_texts_that_instruct_them(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    agent = Agent(name='support')

    @agent.instructions
    def more() -> str:
        return 'Made by a function.'

    async def go(model: FunctionModel, *instructions: str) -> list[str]:
        return [(await agent.run('go', model=model, instructions=text)).output for text in instructions]

    with use_cassette('run', dir=tmp_path, record='once'):
        await go(said('in brief', 'in kindness'), 'Be brief.', 'Be kind.')
    with use_cassette('run', dir=tmp_path):
        outputs = await go(never(), *order)

    assert dict(zip(order, outputs, strict=True)) == {'Be brief.': 'in brief', 'Be kind.': 'in kindness'}


async def test_an_equal_prompt_goes_before_one_that_is_equal_up_to_minted_values(tmp_path: Path) -> None:
    one, other = uuid4(), uuid4()
    with use_cassette('run', dir=tmp_path, record='once'):
        await gathered(echo(), f'open {one}', f'open {other}')
    with use_cassette('run', dir=tmp_path):
        outputs = await gathered(never(), f'open {other}', f'open {one}')

    assert outputs == [f'did: open {other}', f'did: open {one}']


async def test_runs_that_race_keep_their_names_when_they_are_recorded_anew(tmp_path: Path) -> None:
    with use_cassette('run', dir=tmp_path, record='once') as session:
        await gathered(echo(), f'open {uuid4()}', f'close {uuid4()}')
    before = named(document(session))
    for _ in range(3):  # trio starts tasks in any order
        with use_cassette('run', dir=tmp_path, record='all'):
            await gathered(echo(), f'close {uuid4()}', f'open {uuid4()}')
        assert named(document(session)) == before


def named(found: dict[str, Any]) -> dict[str, str]:
    """The first word of each run's prompt by the name of the run."""
    return {run['run']: run['nodes'][1]['parts'][0]['content'].split()[0] for run in found['runs']}


async def test_a_history_that_no_model_was_sent_is_shown_as_recorded(tmp_path: Path) -> None:
    agent = Agent(name='support')
    shown: list[bytes] = []

    async def go(model: FunctionModel) -> None:
        history: list[ModelMessage] = [
            ModelRequest(parts=[UserPromptPart(f'I am {session_id}')]),
            ModelResponse(parts=[TextPart('hello')], model_name='m'),
        ]
        await agent.run('first', model=model, message_history=history)
        with pytest.raises(UsageLimitExceeded):
            await agent.run('go', model=model, message_history=history, usage_limits=UsageLimits(request_limit=0))

    for mode, model in zip(MODES, (said('ok'), never()), strict=True):
        session_id = uuid4()
        with use_cassette('run', dir=tmp_path, record=mode) as session:
            await go(model)
        shown.append(session.runs[1].all_json)
    assert shown[0] == shown[1]


@pytest.mark.parametrize('mode', ['none', 'new_episodes', 'once'])
async def test_settings_with_a_fresh_id_replay(tmp_path: Path, mode: Mode) -> None:
    agent = Agent(name='support')

    def settings() -> ModelSettings:
        return ModelSettings(extra_headers={'X-Trace': str(uuid4())})

    with use_cassette('run', dir=tmp_path, record='once') as recording:
        await agent.run('go', model=said('ok'), model_settings=settings())
    with use_cassette('run', dir=tmp_path, record=mode) as replaying:
        await agent.run('go', model=never(), model_settings=settings())

    assert document(recording)['runs'][0]['minted']['uuid-1']['by'] == 'settings'
    assert replaying.live_requests == 0


async def test_a_tool_that_tells_the_date_replays_tomorrow(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()

    def agent() -> Agent[None, str]:
        def due() -> str:
            return 'soon'

        return Agent(name='support', tools=[Tool(due, description=f'Dates from {today} on.')])

    def tomorrow() -> None:
        nonlocal today
        today += timedelta(days=1)

    found = await twice(
        tmp_path, lambda model: agent().run('go', model=model), calling('due'), 'done', between=tomorrow
    )

    assert found['runs'][0]['minted'] == {'date-1': {'value': f'{today - timedelta(days=1)}', 'by': 'tools'}}


async def test_another_tool_beside_a_minted_value_is_a_difference(tmp_path: Path) -> None:
    def agent(word: str) -> Agent[None, str]:
        def due() -> str:
            return 'soon'

        return Agent(name='support', tools=[Tool(due, description=f'{word} of {uuid4()}.')])

    with use_cassette('run', dir=tmp_path, record='once'):
        await agent('Dates').run('go', model=said('ok'))
    with pytest.raises(ReplayError, match='tool schema of support changed'), use_cassette('run', dir=tmp_path):
        await agent('Times').run('go', model=never())


async def test_settings_recorded_anew_stay_as_they_were(tmp_path: Path) -> None:
    agent = Agent(name='support')
    texts: list[str] = []
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='all') as session:
            await agent.run('go', model=said('ok'), model_settings=ModelSettings(extra_headers={'id': str(uuid4())}))
        texts.append(session.cassette_path.read_text())

    assert texts[0] == texts[1]


@pytest.mark.parametrize('told', ['prompt', 'settings'])
async def test_a_value_that_turned_out_to_be_constant_stays_one_when_it_is_recorded_anew(
    tmp_path: Path, told: str
) -> None:
    computed = sha256(b'order').hexdigest()

    async def go() -> None:
        prompt, settings = (f'Order {computed}', None) if told == 'prompt' else ('go', {'X-Order': computed})
        agent = Agent(name='support', model_settings=ModelSettings(extra_headers=settings or {}))
        await agent.run(prompt, model=said('ok'))

    with use_cassette('run', dir=tmp_path, record='once') as session:
        await go()
    store = Store(tmp_path)
    found = store.read('run')
    store.write('run', replace(found, runs=tuple(replace(run, minted={}) for run in found.runs)))
    before = session.cassette_path.read_text()
    with use_cassette('run', dir=tmp_path, record='all'):
        await go()

    assert found.runs[0].minted
    assert session.cassette_path.read_text() == before


# -- secrets


def hears(seen: list[str]) -> FunctionModel:
    """A model that keeps all that it is sent."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(repr(messages))
        return ModelResponse(parts=[TextPart('ok')])

    return FunctionModel(answer, model_name='scripted')


@pytest.mark.parametrize('instructed', [False, True])
async def test_a_live_model_never_sees_a_stand_in(tmp_path: Path, instructed: bool) -> None:
    seen: list[str] = []

    async def go(second: str) -> bytes:
        ticket = uuid4()
        agent = Agent(name='support', instructions=f'Key {SECRET}, ticket {ticket}' if instructed else None)
        first = await agent.run(f'open {ticket} with {SECRET}', model=hears(seen))
        last = await agent.run(second, model=hears(seen), message_history=first.all_messages())
        return last.all_messages_json()

    with use_cassette('run', dir=tmp_path, record='once') as session:
        await go('close')
    recorded = document(session)['runs'][0]['minted']['uuid-1']['value']
    with use_cassette('run', dir=tmp_path, record='new_episodes') as session:
        shown = (await go('reopen')).decode()

    assert SECRET not in session.cassette_path.read_text()
    assert len(seen) == 3  # the second request of each
    assert '<secret:' not in seen[-1] + shown
    assert SECRET in seen[-1]
    assert recorded in seen[-1]
    assert f'open {recorded} with {SECRET}' in shown


async def test_a_secret_in_a_replay_is_shown_to_its_own_run_and_to_nobody_else(tmp_path: Path) -> None:
    agent = Agent(name='support')
    shown: list[str] = []
    for mode, model in zip(MODES, (said('ok'), never()), strict=True):
        with use_cassette('run', dir=tmp_path, record=mode) as session:
            result = await agent.run(f'open {uuid4()} with {SECRET}', model=model)
        shown.append(result.all_messages_json().decode())
        assert SECRET in shown[-1]
        assert SECRET not in session.all_messages_json().decode()

    assert shown[0] == shown[1]


# -- fields, other modes


async def test_minted_values_in_fields_that_are_left_out_do_not_count_as_differences(tmp_path: Path) -> None:
    def agent(word: str) -> Agent[None, str]:
        return Agent(name='support', instructions=f'{word} {uuid4()}')

    with use_cassette('run', dir=tmp_path, record='once'):
        await agent('Ticket').run('go', model=said('ok'))
    with use_cassette('run', dir=tmp_path, match=['messages']) as same:
        await agent('Ticket').run('go', model=never())
    with use_cassette('run', dir=tmp_path, match=['messages']) as other:
        await agent('Case').run('go', model=never())

    assert same.left_out == ()
    assert other.left_out == ('instructions',)


async def test_a_value_bound_where_nothing_is_compared_counts_where_it_is(tmp_path: Path) -> None:
    async def go(model: FunctionModel, *, apart: bool) -> None:
        ticket, other = uuid4(), uuid4()
        agent = Agent(name='support', instructions=f'Ticket {ticket}')
        await agent.run(f'close {other if apart else ticket}', model=model)

    with use_cassette('run', dir=tmp_path, record='once'):
        await go(said('ok'), apart=False)
    with use_cassette('run', dir=tmp_path, match=['messages']):
        await go(never(), apart=False)


def rebinding(tmp_path: Path) -> Any:
    return use_cassette('run', dir=tmp_path, record='rebind')


async def test_rebound_answers_stay_with_recorded_values(tmp_path: Path) -> None:
    agent = Agent(name='support')

    async def go(word: str, model: FunctionModel) -> None:
        await agent.run(f'{word} {uuid4()}', model=model)

    with use_cassette('run', dir=tmp_path, record='once') as session:
        await go('open', said('ok'))
    minted = document(session)['runs'][0]['minted']
    with rebinding(tmp_path):
        await go('open', never())
    assert 'marks' not in document(session)['runs'][0]
    with rebinding(tmp_path):
        await go('reopen', never())

    (run,) = document(session)['runs']
    assert run['marks'] == ['rebound']
    assert list(run['minted']) == ['uuid-1']  # the old value is gone, the new one has its name
    assert run['minted'] != minted
    with use_cassette('run', dir=tmp_path):
        await go('reopen', never())


async def test_what_new_episodes_adds_speaks_of_values_as_recorded(tmp_path: Path) -> None:
    agent = Agent(name='support')

    @agent.tool_plain
    def look(ticket: str) -> str:
        return f'saw {ticket}'

    def go(model: FunctionModel, *, more: bool) -> Callable[[], Any]:
        async def run() -> Any:
            ticket = str(uuid4())
            await agent.run(f'open {ticket}', model=model)
            return await agent.run(f'close {ticket}', model=model) if more else None

        return run

    with use_cassette('run', dir=tmp_path, record='once'):
        await go(said('ok'), more=False)()
    with use_cassette('run', dir=tmp_path, record='new_episodes') as session:
        await go(said('bye'), more=True)()
    with use_cassette('run', dir=tmp_path) as replaying:
        await go(never(), more=True)()

    assert replaying.live_requests == 0
    assert [json.dumps(run).count('close') for run in document(session)['runs']] == [0, 1]


async def test_a_run_that_is_added_tomorrow_holds_the_day_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).date()

    def noon(source: LiveSource) -> datetime:
        return datetime(today.year, today.month, today.day, 12, tzinfo=UTC)

    monkeypatch.setattr(LiveSource, 'now', noon)
    monkeypatch.setattr(LiveSource, 'system_now', noon)
    agent = Agent(name='support')

    @agent.instructions
    def day() -> str:
        return f'Today is {today:%A}, {today}.'

    @agent.tool_plain
    def due() -> str:
        return f'{today}'

    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run('one', model=said('ok'))
    today += timedelta(days=1)
    with use_cassette('run', dir=tmp_path, record='new_episodes') as session:
        await agent.run('one', model=never())
        result = await agent.run('Is it Monday, Tuesday or Wednesday?', model=said(calling('due'), 'yes'))
    today += timedelta(days=1)
    with use_cassette('run', dir=tmp_path) as replaying:
        await agent.run('one', model=never())
        again = await agent.run('Is it Monday, Tuesday or Wednesday?', model=never())

    assert replaying.live_requests == 0
    assert again.all_messages_json() == result.all_messages_json()
    assert again.all_messages() == result.all_messages()
    assert 'results' not in session.cassette_path.read_text()


@pytest.mark.parametrize('told', ['Today is {:%Y-%m-%d}.', 'Now: {:%Y-%m-%dT%H:%M:%S}.'])
@pytest.mark.parametrize('instructed', [False, True])
async def test_another_day_that_a_test_has_set_its_clock_to_is_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, instructed: bool
) -> None:
    frozen = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

    def clock(source: LiveSource) -> datetime:
        return frozen

    async def go(model: FunctionModel) -> None:
        text = told.format(frozen)
        await Agent(name='support', instructions=text if instructed else None).run(text, model=model)

    monkeypatch.setattr(LiveSource, 'now', clock)
    with use_cassette('run', dir=tmp_path, record='once'):
        await go(said('ok'))
    frozen += timedelta(minutes=1)  # a clock that goes on from where it was set
    with use_cassette('run', dir=tmp_path):
        await go(never())
    frozen += timedelta(days=1)

    with pytest.raises(ReplayError, match='changed'), use_cassette('run', dir=tmp_path):
        await go(never())


@pytest.mark.parametrize('days', [-7, 2, 365])
async def test_a_day_that_is_not_that_of_the_replay_is_a_difference(days: int, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    agent = Agent(name='support')
    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run(f'Weather on {today}?', model=said('sunny'))

    with pytest.raises(ReplayError, match='user prompt of support changed'), use_cassette('run', dir=tmp_path):
        await agent.run(f'Weather on {today + timedelta(days=days)}?', model=never())
