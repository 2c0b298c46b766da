# ruff: noqa: PT012  # a session raises when its block ends, so the block has statements
"""The record modes end to end: what is asked of the model, and what the cassette holds afterwards."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agentrun import Agent, ModelRetry
from agentrun.exceptions import UsageLimitExceeded
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from agentrun.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from agentrun.run import AgentRunResult
from agentrun.usage import RequestUsage, UsageLimits
from replay import Diverged, ReplayError, ReplayWarning, Session, Unplayed, use_cassette
from replay.cassette import Cassette
from replay.history import from_history
from replay.store import Store
from replay.verdicts import NotRebound, RunLacking

pytestmark = pytest.mark.anyio


class Shop:
    """Looks things up, each by an agent of its own, as often as its questions say; counts what is asked live."""

    def __init__(
        self, *, stock: str = '3', name: str = 'shop', instructions: str = 'Be brief.', take: str = ''
    ) -> None:
        self.asked: list[str] = []
        self.stock = stock
        self.take = take
        self.scout = Agent(FunctionModel(self.find), name='scout')
        self.agent = Agent(FunctionModel(self.answer), name=name, instructions=instructions)

        @self.agent.tool_plain
        async def look(item: str) -> str:
            return (await self.scout.run(f'Find {item}')).output

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.append('shop')
        looked = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        items = str(getattr(messages[0].parts[0], 'content', '')).split()
        if len(looked) < len(items):
            return ModelResponse(parts=[ToolCallPart('look', {'item': items[len(looked)]}, f'c{len(looked)}')])
        return ModelResponse(parts=[TextPart(f'Have {" ".join(str(part.content) for part in looked)}{self.take}')])

    def find(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.append('scout')
        assert isinstance(messages[-1], ModelRequest)
        return ModelResponse(parts=[TextPart(f'{messages[-1].parts[-1].content}: {self.stock}')])


class Eager(Shop):
    """Looks for cups, too, when it is told to."""

    def __init__(self) -> None:
        super().__init__()

        @self.agent.output_validator
        def with_cups(text: str) -> str:
            if 'cups' not in text:
                raise ModelRetry('And cups?')
            return text

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if messages[-1].parts[-1].part_kind == 'retry-prompt':
            self.asked.append('shop')
            return ModelResponse(parts=[ToolCallPart('look', {'item': 'cups'}, 'c9')])
        return super().answer(messages, info)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / 'cassettes'


async def go(folder: Path, shop: Shop, *prompts: str, record: str = 'none') -> list[AgentRunResult[str]]:
    async with use_cassette('shop', dir=folder, record=record):  # type: ignore[arg-type]
        return [await shop.agent.run(prompt) for prompt in prompts]


def cassette(folder: Path) -> Cassette:
    return Store(folder).read('shop')


def names(folder: Path) -> list[str]:
    return [run.name for run in cassette(folder).runs]


async def test_new_episodes_records_where_there_is_no_cassette(folder: Path):
    shop = Shop()
    await go(folder, shop, 'tea', record='new_episodes')
    assert shop.asked == ['shop', 'scout', 'shop']
    assert names(folder) == ['shop', 'shop/look/scout']


async def test_new_episodes_replays_what_is_there_and_leaves_the_file_alone(folder: Path):
    recorded = await go(folder, Shop(), 'tea', record='once')
    before = (folder / 'shop.json').stat()
    shop = Shop()
    played = await go(folder, shop, 'tea', record='new_episodes')
    assert shop.asked == []
    assert played[0].all_messages_json() == recorded[0].all_messages_json()
    assert (folder / 'shop.json').stat().st_mtime_ns == before.st_mtime_ns


async def test_new_episodes_records_a_run_that_is_not_there(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    shop = Shop()
    await go(folder, shop, 'tea', 'milk', record='new_episodes')
    assert shop.asked == ['shop', 'scout', 'shop']
    assert names(folder) == ['shop', 'shop/look/scout', 'shop#2', 'shop#2/look/scout']
    await go(folder, (again := Shop()), 'tea', 'milk')
    assert again.asked == []


async def test_new_episodes_replays_the_beginning_of_a_run_and_records_its_rest(folder: Path):
    await go(folder, Shop(), 'tea milk', record='once')
    first = cassette(folder).runs[0]
    shop = Eager()
    (result,) = await go(folder, shop, 'tea milk', record='new_episodes')
    assert 'cups' in result.output
    assert shop.asked == ['shop', 'scout', 'shop']  # for what the validator asks for, and nothing before
    assert names(folder) == ['shop', 'shop/look/scout', 'shop/look/scout#2', 'shop/look/scout#3']
    longer = cassette(folder).runs[0]
    assert longer.nodes[:6] == first.nodes[:6]
    again = Eager()
    (replayed,) = await go(folder, again, 'tea milk')
    assert again.asked == []
    assert replayed.all_messages_json() == result.all_messages_json()


async def test_new_episodes_records_a_run_anew_whose_first_request_changed_with_all_that_is_inside(folder: Path):
    await go(folder, Shop(), 'tea milk', record='once')
    shop = Shop(stock='4')
    (result,) = await go(folder, shop, 'tea', record='new_episodes')
    assert shop.asked == ['shop', 'scout', 'shop']
    assert names(folder) == ['shop', 'shop/look/scout']
    (replayed,) = await go(folder, Shop(), 'tea')
    assert _without_usage(replayed) == _without_usage(result)  # an answer that is the old one keeps its usage


async def test_new_episodes_goes_on_from_an_imported_history(folder: Path):
    history = (await Shop().scout.run('Find tea')).all_messages_json()
    Store(folder).write('shop', from_history(history, run='scout').cassette)

    async def ask(record: str) -> tuple[bytes, list[str]]:
        shop = Shop()

        @shop.scout.output_validator
        def again(text: str) -> str:
            if 'again' not in text:
                raise ModelRetry('again')
            return text

        async with use_cassette('shop', dir=folder, record=record):  # type: ignore[arg-type]
            return (await shop.scout.run('Find tea')).all_messages_json(), shop.asked

    recorded, asked = await ask('new_episodes')
    assert asked == ['scout']
    assert recorded.startswith(history[: history.index(b'"run_id"')])
    assert await ask('none') == (recorded, [])


async def test_new_episodes_fails_for_a_run_that_is_not_asked_for_and_keeps_it(folder: Path):
    await go(folder, Shop(), 'tea', 'milk', record='once')
    before = (folder / 'shop.json').read_bytes()
    with pytest.raises(Unplayed):
        await go(folder, Shop(), 'tea', record='new_episodes')
    assert (folder / 'shop.json').read_bytes() == before


async def test_once_refuses_a_run_that_its_cassette_lacks(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    with pytest.raises(RunLacking):
        await go(folder, Shop(), 'tea', 'milk', record='once')


async def test_all_records_anew_and_keeps_runs_that_were_not_reached(folder: Path):
    await go(folder, Shop(), 'tea', 'milk sugar', record='once')
    shop = Shop(stock='4')
    await go(folder, shop, 'tea', record='all')
    assert shop.asked == ['shop', 'scout', 'shop']
    assert names(folder) == ['shop', 'shop/look/scout', 'shop#2', 'shop#2/look/scout', 'shop#2/look/scout#2']
    assert 'tea: 4' in str(cassette(folder).runs[0].messages)
    assert 'milk: 3' in str(cassette(folder).runs[2].messages)


async def test_all_drops_the_runs_inside_of_one_that_no_longer_has_them(folder: Path):
    await go(folder, Shop(), 'tea milk', record='once')
    await go(folder, Shop(), 'tea', record='all')
    assert names(folder) == ['shop', 'shop/look/scout']


async def test_all_does_not_record_over_a_cassette_that_it_cannot_read(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    (folder / 'shop.json').write_text('{')
    with pytest.raises(ReplayError):
        await go(folder, Shop(), 'tea', record='all')
    await go(folder, Shop(), 'tea', record='rewrite')
    assert names(folder) == ['shop', 'shop/look/scout']


async def test_rewrite_drops_runs_that_were_not_reached(folder: Path):
    await go(folder, Shop(), 'tea', 'milk', record='once')
    await go(folder, Shop(), 'tea', record='rewrite')
    assert names(folder) == ['shop', 'shop/look/scout']


@pytest.mark.parametrize('mode', ['new_episodes', 'all', 'rewrite'])
async def test_what_a_failed_block_recorded_waits_beside_the_cassette(mode: str, folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    before = (folder / 'shop.json').read_bytes()
    with pytest.raises(AssertionError):
        async with use_cassette('shop', dir=folder, record=mode):  # type: ignore[arg-type]
            await Shop(stock='4').agent.run('milk')
            raise AssertionError
    assert (folder / 'shop.json').read_bytes() == before
    assert 'milk: 4' in (folder / 'shop.json.new').read_text()


# -- rebind


async def test_rebind_keeps_the_answers_for_changed_requests_and_marks_the_run(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    shop = Shop(instructions='Be brief. Never guess.')
    (result,) = await go(folder, shop, 'tea', record='rebind')
    assert shop.asked == []
    assert result.output == 'Have Find tea: 3'
    run, inside = cassette(folder).runs
    assert (run.marks, inside.marks) == (('rebound',), ())
    assert run.nodes[1].definition is not None
    assert run.nodes[1].definition.instructions == 'Be brief. Never guess.'
    again = Shop(instructions='Be brief. Never guess.')
    (replayed,) = await go(folder, again, 'tea')
    assert again.asked == []
    assert replayed.all_messages_json() == result.all_messages_json()
    with pytest.raises(Diverged):
        await go(folder, Shop(), 'tea')


async def test_rebind_takes_a_changed_prompt_too(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    (result,) = await go(folder, Shop(), 'cake', record='rebind')
    assert result.output == 'Have Find tea: 3'
    (replayed,) = await go(folder, Shop(), 'cake')
    assert replayed.all_messages_json() == result.all_messages_json()


async def test_rebind_without_a_change_leaves_the_file_alone(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    before = (folder / 'shop.json').stat().st_mtime_ns
    await go(folder, Shop(), 'tea', record='rebind')
    assert (folder / 'shop.json').stat().st_mtime_ns == before
    assert cassette(folder).runs[0].marks == ()


async def test_the_next_live_recording_clears_the_mark(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    await go(folder, Shop(), 'cake', record='rebind')
    await go(folder, Shop(), 'cake', record='all')
    assert [run.marks for run in cassette(folder).runs] == [(), ()]


async def test_a_run_of_other_nodes_cannot_be_rebound(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    before = (folder / 'shop.json').read_bytes()
    shop = Shop()

    @shop.agent.output_validator
    def never(text: str) -> str:
        raise ModelRetry('No.')

    with pytest.raises(NotRebound) as refused:
        await go(folder, shop, 'tea', record='rebind')
    assert refused.value.headline == 'order of nodes of shop changed: recorded answers cannot be bound to it'
    assert shop.asked == []
    assert (folder / 'shop.json').read_bytes() == before
    assert not (folder / 'shop.json.new').exists()


async def test_gathered_runs_with_equal_prompts_are_told_apart_by_their_order(folder: Path):
    class Counting(Shop):
        def find(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.asked.append('scout')
            return ModelResponse(parts=[TextPart(f'{len(self.asked)}')])

    async def both(shop: Shop) -> list[str]:
        found: dict[int, str] = {}

        async def one(place: int) -> None:
            found[place] = (await shop.scout.run('Find tea')).output

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 0)
            tasks.start_soon(one, 1)
        return [found[0], found[1]]

    with use_cassette('shop', dir=folder, record='once'):
        recorded = await both(Counting())
    with use_cassette('shop', dir=folder):
        replayed = await both(shop := Counting())
    assert sorted(replayed) == sorted(recorded) == ['1', '2']
    assert shop.asked == []


# -- what is compared, and what is left over


@pytest.mark.parametrize(
    ('changed', 'compared', 'field'),
    [
        (Shop(instructions='Other.'), 'messages,tools,settings,output', 'instructions'),
        (Shop(instructions='Other.'), 'settings', 'instructions'),
    ],
)
async def test_a_field_that_is_not_compared_may_differ_and_is_told(
    changed: Shop, compared: str, field: str, folder: Path
):
    await go(folder, Shop(), 'tea', record='once')
    before = (folder / 'shop.json').read_bytes()
    with pytest.raises(Diverged):
        await go(folder, changed, 'tea')
    async with use_cassette('shop', dir=folder, match=compared) as session:
        await changed.agent.run('tea')
    assert session.left_out == (field,)
    assert changed.asked == []
    assert (folder / 'shop.json').read_bytes() == before


async def test_settings_tools_and_messages_may_differ_where_only_instructions_are_compared(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    shop = Shop()

    @shop.agent.tool_plain
    def other() -> str:
        return 'x'

    async with use_cassette('shop', dir=folder, match=['instructions']) as session:
        await shop.agent.run('cake', model_settings={'temperature': 0.5})
    assert session.left_out == ('messages', 'settings', 'tools')


async def test_what_is_compared_still_stops_a_run_in_which_other_fields_differ(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    with pytest.raises(Diverged) as caught:
        async with use_cassette('shop', dir=folder, match=['messages']):
            await Shop(instructions='Other.').agent.run('cake')
    assert caught.value.divergence.cause == 'user prompt'


async def test_another_order_of_nodes_is_never_left_out(folder: Path):
    await go(folder, Shop(), 'tea', record='once')
    shop = Eager()
    with pytest.raises(Diverged, match='order of nodes'):
        async with use_cassette('shop', dir=folder, match=[]):
            await shop.agent.run('tea')


@pytest.mark.parametrize('how', ['fail', 'warn', 'ignore'])
async def test_what_is_left_over_fails_warns_or_is_ignored(how: str, folder: Path):
    await go(folder, Shop(), 'tea', 'milk', record='once')

    async def part() -> Session:
        async with use_cassette('shop', dir=folder, unplayed=how) as session:  # type: ignore[arg-type]
            await Shop().agent.run('tea')
        return session

    if how == 'fail':
        with pytest.raises(Unplayed):
            await part()
    elif how == 'warn':
        with pytest.warns(ReplayWarning, match='2 recorded runs never played'):
            assert (await part()).unplayed
    else:
        assert (await part()).unplayed


async def test_runs_that_were_not_asked_for_are_shown_beside_those_that_were(folder: Path):
    await go(folder, Shop(), 'tea', 'milk', record='once')
    with pytest.raises(Unplayed) as caught:
        await go(folder, Shop(), 'tea')
    assert caught.value.render().splitlines() == [
        'replay: 2 recorded runs never played',
        f'   cassette  {folder}/shop.json  run shop#2',
        '     recorded                                        this run',
        '   0 shop                                            shop',
        '   1 shop/look/scout                                 -',
        '   2 shop#2                                          -',
        '   3 shop#2/look/scout                               -',
        "   next      fix the code, or: use_cassette('shop', record='rewrite')",
        "             unplayed='warn' lets the block pass",
    ]


async def test_nodes_that_were_not_asked_for_are_shown_beside_those_that_were(folder: Path):
    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart('get_weather', {}, 'c1'), ToolCallPart('new_ticket', {}, 'c2')])
        return ModelResponse(parts=[TextPart('Sunny.')])

    agent = Agent(FunctionModel(model), name='trip_agent')

    @agent.tool_plain
    def get_weather() -> str:
        return 'sunny'

    @agent.tool_plain
    def new_ticket() -> str:
        return 'T1'

    with use_cassette('tests/test_trip/test_ticket', dir=folder, record='once'):
        await agent.run('Weather?')
    test = 'tests/test_trip.py::test_ticket'
    session = use_cassette('tests/test_trip/test_ticket', dir=folder, test=test)
    with pytest.raises(UsageLimitExceeded):
        async with session:
            await agent.run('Weather?', usage_limits=UsageLimits(request_limit=1))
    assert session.problems[0].render().replace(f'{folder.parent}/', '').splitlines() == [
        'replay: 2 recorded nodes never played',
        '   cassette  cassettes/tests/test_trip/test_ticket.json  run trip_agent',
        '     recorded                                        this run',
        '   2 CallToolsNode     get_weather, new_ticket       CallToolsNode     get_weather, new_ticket',
        '   3 ModelRequestNode  2 results                     ModelRequestNode  2 results   <- raised here: UsageLimitExceeded',  # noqa: E501
        '   4 CallToolsNode     text                          -',
        '   5 End                                             -',
        '   next      fix the code, or: replay record tests/test_trip.py::test_ticket',
        '             --replay-unplayed=warn lets the rest of the suite pass',
    ]


async def test_new_episodes_goes_on_from_a_streamed_beginning(folder: Path):
    asked: list[int] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        asked.append(len(messages))
        kind = messages[-1].parts[-1].part_kind
        if kind == 'user-prompt':
            yield {0: DeltaToolCall(name='look', json_args='{"item"', tool_call_id='c1')}
            yield {0: DeltaToolCall(json_args=': "tea"}')}
        else:
            yield 'Here '
            yield 'again' if kind == 'retry-prompt' else 'is tea'

    async def ask(record: str, *, strict: bool) -> tuple[bytes, list[str], list[int]]:
        agent = Agent(FunctionModel(stream_function=stream), name='shop')
        seen: list[str] = []
        asked.clear()

        @agent.tool_plain
        def look(item: str) -> str:
            return f'{item}!'

        @agent.output_validator
        def again(text: str) -> str:
            if strict and 'again' not in text:
                raise ModelRetry('again')
            return text

        async def watch(context: object, events: AsyncIterable[object]) -> None:
            seen.extend([repr(event) async for event in events])

        async with use_cassette('shop', dir=folder, record=record):  # type: ignore[arg-type]
            result = await agent.run('Go', event_stream_handler=watch)
        return result.all_messages_json(), seen, [*asked]

    assert (await ask('once', strict=False))[2] == [1, 3]
    extended = await ask('new_episodes', strict=True)
    assert extended[2] == [5]
    assert await ask('none', strict=True) == (*extended[:2], [])


def _without_usage(result: AgentRunResult[str]) -> list[ModelMessage]:
    unused = RequestUsage()
    messages = result.all_messages()
    return [replace(one, usage=unused) if isinstance(one, ModelResponse) else one for one in messages]
