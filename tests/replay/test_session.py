# ruff: noqa: PT012, ASYNC240  # a session raises when its block ends, so the block has statements; paths are in memory

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import replay
from agentrun import Agent
from agentrun.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import AgentInfo, FunctionModel
from replay import Diverged, ReplayError, Session, Unplayed, use_cassette
from replay.errors import CassetteNotFound, NotRestorable, StoreFailed
from replay.verdicts import RunLacking, RunUnfinished, SessionAmbiguous, SessionClosed

pytestmark = pytest.mark.anyio


class Trip:
    """An agent with two tools, and a note of what really happened."""

    def __init__(self, *, instructions: str = 'Be brief.', name: str = 'trip', say: str = 'Sunny') -> None:
        self.ran: list[str] = []
        self.asked = 0
        self.say = say
        self.agent = Agent(FunctionModel(self.model), name=name, instructions=instructions)

        @self.agent.tool_plain
        async def weather(city: str) -> dict[str, Any]:
            await anyio.sleep(0.005)
            self.ran.append('weather')
            return {'city': city, 'celsius': 21.0}

        @self.agent.tool_plain
        async def ticket() -> str:
            self.ran.append('ticket')
            return 'T1'

    def model(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        if not any(isinstance(message, ModelResponse) for message in messages):
            return ModelResponse(
                parts=[ToolCallPart('weather', {'city': 'Paris'}, 'c1'), ToolCallPart('ticket', {}, 'c2')]
            )
        return ModelResponse(parts=[TextPart(self.say)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / 'cassettes'


async def record(folder: Path, *prompts: str, trip: Trip | None = None, name: str = 'trip') -> bytes:
    trip = trip or Trip()
    with use_cassette(name, dir=folder, record='rewrite'):
        results = [await trip.agent.run(prompt) for prompt in prompts or ('Weather?',)]
    return results[-1].all_messages_json()


async def test_a_replay_gives_the_recorded_bytes_and_runs_neither_model_nor_tools(folder: Path):
    recorded = await record(folder)
    trip = Trip()
    with use_cassette('trip', dir=folder) as session:
        result = await trip.agent.run('Weather?')
    assert result.all_messages_json() == recorded == session.all_messages_json()
    assert result.new_messages_json() == session.new_messages_json()
    assert (trip.asked, trip.ran, session.live_requests) == (0, [], 0)
    assert session.node_kinds == [
        'UserPromptNode', 'ModelRequestNode', 'CallToolsNode', 'ModelRequestNode', 'CallToolsNode', 'End',
    ]  # fmt: skip
    assert [node.kind for node in session.nodes] == session.node_kinds
    assert session.messages == session.runs[0].messages
    assert session.usage == {'requests': 2, 'input_tokens': 109, 'output_tokens': 15}


async def test_a_session_tells_its_cassette_and_what_it_recorded(folder: Path):
    trip = Trip()
    with use_cassette('trip', dir=folder, record='once') as session:
        await trip.agent.run('Weather?')
    assert session.cassette_path == session.written == folder / 'trip.json'
    assert (session.mode, session.live_requests, trip.ran) == ('once', 2, ['ticket', 'weather'])


async def test_the_order_in_which_tools_ended_is_recorded(folder: Path):
    await record(folder)
    with use_cassette('trip', dir=folder) as session:
        await Trip().agent.run('Weather?')
    assert session.recorded_runs[0].nodes[2].finished == (1, 0)


def test_synchronous_runs_are_replayed(folder: Path):
    with use_cassette('trip', dir=folder, record='once'):
        recorded = Trip().agent.run_sync('Weather?')
    with use_cassette('trip', dir=folder):
        assert Trip().agent.run_sync('Weather?').all_messages_json() == recorded.all_messages_json()


async def test_without_a_cassette_nothing_is_asked_and_the_error_says_how_to_record(folder: Path):
    trip = Trip()
    with pytest.raises(CassetteNotFound) as caught, use_cassette('trip', dir=folder, test='tests/t.py::test_trip'):
        await trip.agent.run('Weather?')
    assert trip.asked == 0
    assert caught.value.render().splitlines() == [
        'replay: no cassette',
        f'   expected  {folder}/trip.json   (mode none: nothing is recorded)',
        '   first     run trip, prompt "Weather?"',
        f'   where     {folder}/trip.json',
        '   next      pytest tests/t.py::test_trip --replay-record=once     to record it',
    ]


async def test_a_recording_that_waits_is_proposed_before_a_new_one(folder: Path):
    with pytest.raises(ValueError, match='no'), use_cassette('trip', dir=folder, record='once'):
        await Trip().agent.run('Weather?')
        raise ValueError('no')
    lines: list[list[str]] = []
    for test in ('tests/t.py::test_trip', None):
        with pytest.raises(CassetteNotFound) as caught, use_cassette('trip', dir=folder, test=test):
            await Trip().agent.run('Weather?')
        lines.append(caught.value.render().splitlines())
    assert lines[0] == [
        'replay: no cassette, only a pending recording',
        f'   expected  {folder}/trip.json   (mode none: nothing is recorded)',
        '   got       trip.json.new beside it',
        '   first     run trip, prompt "Weather?"',
        f'   where     {folder}/trip.json',
        '   next      pytest tests/t.py::test_trip --replay-pending     to play it',
        '             replay review     to look at it, and accept it',
    ]
    assert lines[1][5] == "   next      use_cassette('trip', play_pending=True)     to play it"
    with use_cassette('trip', dir=folder, play_pending=True):
        await Trip().agent.run('Weather?')


async def test_a_run_that_the_cassette_lacks_is_refused(folder: Path):
    await record(folder)
    with pytest.raises(RunLacking, match='a run of trip is not in the cassette'), use_cassette('trip', dir=folder):
        await Trip().agent.run('Weather?')
        await Trip().agent.run('And back?')


async def test_once_does_not_record_into_a_cassette_that_is_there(folder: Path):
    await record(folder)
    with pytest.raises(RunLacking), use_cassette('trip', dir=folder, record='once'):
        await Trip().agent.run('Weather?')
        await Trip().agent.run('And back?')


@pytest.mark.parametrize(
    ('changed', 'prompt', 'cause', 'field'),
    [
        (Trip(instructions='Never guess.'), 'Weather?', 'instructions', 'instructions'),
        (Trip(), 'Weather!', 'user prompt', 'parts[0].content'),
    ],
)
async def test_a_change_stops_the_run_and_says_what_changed(
    folder: Path, changed: Trip, prompt: str, cause: str, field: str
):
    await record(folder)
    with pytest.raises(Diverged) as caught, use_cassette('trip', dir=folder):
        await changed.agent.run(prompt)
    divergence = caught.value.divergence
    assert (divergence.cause, divergence.field, divergence.place) == (cause, field, '1 ModelRequestNode')
    assert caught.value.headline == f'{cause} of trip changed'


async def test_a_changed_tool_is_named(folder: Path):
    await record(folder)
    trip = Trip()

    @trip.agent.tool_plain
    def hotel() -> str:
        return 'H1'

    with pytest.raises(Diverged) as caught, use_cassette('trip', dir=folder):
        await trip.agent.run('Weather?')
    assert (caught.value.divergence.cause, caught.value.divergence.live) == ('tool set', ['weather', 'ticket', 'hotel'])


async def test_a_divergence_counts_even_if_the_code_under_test_catches_it(folder: Path):
    await record(folder)
    with pytest.raises(Diverged), use_cassette('trip', dir=folder) as session, suppress(Exception):
        await Trip().agent.run('Weather!')
    assert len(session.problems) == 1


async def test_an_error_of_the_block_goes_on_with_the_problems_as_notes(folder: Path):
    await record(folder)
    with pytest.raises(ZeroDivisionError) as caught, use_cassette('trip', dir=folder):
        try:
            await Trip().agent.run('Weather!')
        except ReplayError:
            raise ZeroDivisionError from None
    assert 'user prompt of trip changed' in caught.value.__notes__[0]


async def test_recorded_nodes_that_were_never_played_are_a_problem(folder: Path):
    await record(folder)
    with pytest.raises(Unplayed) as caught, use_cassette('trip', dir=folder):
        async with Trip().agent.iter('Weather?') as run:
            async for node in run:
                if type(node).__name__ == 'CallToolsNode':
                    break
    assert caught.value.headline == '4 recorded nodes never played'
    assert (caught.value.run, caught.value.nodes) == ('trip', (2, 3, 4, 5))


async def test_recorded_runs_that_never_started_are_a_problem(folder: Path):
    await record(folder, 'Weather?', 'And back?')
    with pytest.raises(Unplayed, match='1 recorded run never played') as caught, use_cassette('trip', dir=folder):
        await Trip().agent.run('Weather?')
    assert caught.value.run == 'trip#2'


async def test_rewrite_drops_runs_that_were_not_reached(folder: Path):
    await record(folder, 'Weather?', 'And back?')
    await record(folder, 'And back?')
    with use_cassette('trip', dir=folder) as session:
        await Trip().agent.run('And back?')
    assert [run.name for run in session.recorded_runs] == ['trip#2']  # it keeps its name: the other one is gone


async def test_recording_anew_what_did_not_change_leaves_the_file_alone(folder: Path):
    agent = Agent(FunctionModel(lambda messages, info: ModelResponse(parts=[TextPart('Hi')])), name='trip')
    with use_cassette('trip', dir=folder, record='rewrite'):
        await agent.run('Hello')
    before = (folder / 'trip.json').stat().st_mtime_ns
    with use_cassette('trip', dir=folder, record='rewrite') as session:
        await agent.run('Hello')
    assert ((folder / 'trip.json').stat().st_mtime_ns, session.written) == (before, None)


async def test_a_recording_of_a_block_that_failed_waits_beside_the_cassette(folder: Path):
    await record(folder)
    before = (folder / 'trip.json').read_bytes()
    with pytest.raises(AssertionError), use_cassette('trip', dir=folder, record='rewrite') as session:
        await Trip(say='Rain').agent.run('Weather?')
        raise AssertionError
    assert session.written == folder / 'trip.json.new'
    assert (folder / 'trip.json').read_bytes() == before
    with Session('trip', dir=folder, play_pending=True):
        assert (await Trip().agent.run('Weather?')).output == 'Rain'


async def test_runs_are_told_apart_by_their_prompts_in_any_order(folder: Path):
    await record(folder, 'one', 'two')
    with use_cassette('trip', dir=folder) as session:
        await Trip().agent.run('two')
        await Trip().agent.run('one')
    assert [run.name for run in session.runs] == ['trip#2', 'trip']


async def test_runs_at_the_same_time_are_recorded_and_replayed(folder: Path):
    async def both(session: Session) -> list[bytes]:
        async with anyio.create_task_group() as group:
            for prompt in ('one', 'two'):
                group.start_soon(Trip().agent.run, prompt)
        return sorted(run.all_json for run in session.runs)

    with use_cassette('trip', dir=folder, record='once') as session:
        recorded = await both(session)
    with use_cassette('trip', dir=folder) as session:
        assert await both(session) == recorded


async def test_of_several_runs_one_is_looked_at_by_name(folder: Path):
    await record(folder, 'one', 'two')
    with use_cassette('trip', dir=folder) as session:
        await Trip().agent.run('one')
        await Trip().agent.run('two')
    assert session.run('trip#2').agent == 'trip'
    with pytest.raises(LookupError, match=r'the only run at the top .* ended: trip, trip#2'):
        session.all_messages_json()
    with pytest.raises(LookupError, match="run 'other' was asked for"):
        session.run('other')


async def test_a_tool_result_that_json_cannot_hold_fails_the_recording_and_writes_nothing(folder: Path):
    trip = Trip()

    @trip.agent.tool_plain(name='weather2')
    def odd() -> object:
        return object()

    trip.agent.model = FunctionModel(lambda messages, info: ModelResponse(parts=[ToolCallPart('weather2', {}, 'c')]))
    refused = pytest.raises(NotRestorable, match="what tool 'weather2' returned holds what JSON cannot")
    with refused, use_cassette('trip', dir=folder, record='once'):
        await trip.agent.run('Weather?')
    assert [one.name for one in folder.iterdir()] == ['trip.json.journal']  # what was paid for is kept


async def test_a_run_that_outlives_its_session_is_refused(folder: Path):
    trip, release, refused = Trip(), anyio.Event(), list[BaseException]()

    async def later() -> None:
        await release.wait()
        try:
            await trip.agent.run('Weather?')
        except SessionClosed as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        with use_cassette('trip', dir=folder, record='once'):
            group.start_soon(later)
            await anyio.lowlevel.checkpoint()
        release.set()
    assert (len(refused), trip.asked) == (1, 0)


async def test_a_run_that_still_goes_on_when_its_session_ends_is_a_problem(folder: Path):
    async with Trip().agent.iter('Weather?'):
        pass  # no session: left alone
    scope = Trip().agent.iter('Weather?')
    session = Session('trip', dir=folder, record='once').open()
    with session.bound():
        run = await scope.__aenter__()
        await run.__anext__()
    assert [type(problem) for problem in session.close()] == [RunUnfinished]
    with pytest.raises(SessionClosed):
        await run.__anext__()
    await scope.__aexit__(None, None, None)
    assert not folder.exists()


def test_a_thread_without_context_belongs_to_the_only_open_session(folder: Path):
    results: list[Any] = []
    with use_cassette('trip', dir=folder, record='once'):
        thread = threading.Thread(target=lambda: results.append(Trip().agent.run_sync('Weather?')))
        thread.start()
        thread.join()
    assert results[0].output == 'Sunny'
    assert (folder / 'trip.json').exists()


def test_with_two_open_sessions_a_thread_without_context_is_refused(folder: Path):
    refused: list[BaseException] = []

    def run() -> None:
        try:
            Trip().agent.run_sync('Weather?')
        except SessionAmbiguous as error:
            refused.append(error)

    outer, inner = Session('a', dir=folder, record='once').open(), Session('b', dir=folder, record='once').open()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert (outer.close(), inner.close(), inner.close()) == ([], [], [])
    assert len(refused) == 1


async def test_the_innermost_session_of_a_context_is_used(folder: Path):
    with use_cassette('a', dir=folder, record='once'), use_cassette('b', dir=folder, record='once'):
        await Trip().agent.run('Weather?')
    assert [path.name for path in folder.iterdir()] == ['b.json']


def test_a_session_can_be_bound_to_a_context_of_its_own(folder: Path):
    outer, inner = Session('a', dir=folder, record='once').open(), Session('b', dir=folder, record='once').open()
    with outer.bound():
        context = copy_context()
    context.run(Trip().agent.run_sync, 'Weather?')
    outer.close()
    inner.close()
    assert outer.written == folder / 'a.json'
    assert inner.written is None


async def test_a_recording_that_the_disk_refuses_is_a_problem(folder: Path):
    folder.write_text('a file where the folder should be')
    with pytest.raises(StoreFailed), use_cassette('trip', dir=folder, record='once'):
        await Trip().agent.run('Weather?')


def test_a_session_can_be_opened_once(folder: Path):
    session = Session('a', dir=folder).open()
    with pytest.raises(ReplayError, match='opened once'):
        session.open()
    session.close()


def test_an_unknown_mode_is_refused_by_name(folder: Path):
    with pytest.raises(ReplayError, match="'twice' is no record mode"):
        Session('a', dir=folder, record='twice')  # type: ignore[arg-type]


async def test_a_session_decorates_functions(folder: Path):
    @use_cassette('trip', dir=folder, record='once')
    async def run() -> str:
        return (await Trip().agent.run('Weather?')).output

    @use_cassette('trip', dir=folder)
    async def again(trip: Trip) -> str:
        return (await trip.agent.run('Weather?')).output

    assert await run() == 'Sunny'
    silent = Trip()
    assert [await again(silent), await again(silent)] == ['Sunny', 'Sunny']
    assert silent.asked == 0


def test_a_session_decorates_synchronous_functions(folder: Path):
    @use_cassette('trip', dir=folder, record='once')
    def run() -> str:
        return asyncio.run(Trip().agent.run('Weather?')).output

    assert run() == 'Sunny'
    assert (folder / 'trip.json').exists()


async def test_messages_made_outside_of_runs_have_a_constant_time(folder: Path):
    from agentrun.messages import ModelRequest, UserPromptPart

    def history() -> list[ModelMessage]:
        return [ModelRequest(parts=[UserPromptPart('Hi')]), ModelResponse(parts=[TextPart('Hello')])]

    async with use_cassette('trip', dir=folder, record='once'):
        recorded = await Trip().agent.run('Weather?', message_history=history())
    async with use_cassette('trip', dir=folder):
        again = await Trip().agent.run('Weather?', message_history=history())
    assert again.all_messages_json() == recorded.all_messages_json()


def test_public_names_resolve_late():
    assert replay.use_cassette is use_cassette
    with pytest.raises(AttributeError, match="module 'replay' has no attribute 'nothing'"):
        getattr(replay, 'nothing')  # noqa: B009, a misspelt name is an error for pyright


async def test_a_block_that_ends_late_binds_no_session_that_is_closed_by_then(folder: Path):
    first, second = Session('first', dir=folder), Session('second', dir=folder)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    trip = Trip()
    await trip.agent.run('Weather?')
    assert trip.asked > 0
