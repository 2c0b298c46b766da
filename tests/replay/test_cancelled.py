"""Runs that are cancelled replay: the same events, messages and errors up to there, and no one is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from agentrun import Agent, RunContext, capture_run_messages
from agentrun.direct import model_request, model_request_stream
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, TextPart
from agentrun.models.fallback import FallbackModel
from agentrun.models.function import AgentInfo, DeltaToolCall, FunctionModel
from agentrun.models.wrapper import WrapperModel
from agentrun.usage import RequestUsage, RunUsage, UsageLimits
from replay import Diverged, Session
from replay.adapters._cancelled import PATIENCE
from replay.cassette import Cassette
from replay.check import check_cassette
from replay.store import Store

from .outcome_runs import call

pytestmark = pytest.mark.anyio

TURNS = 60
"""Turns of the event loop after which what hangs is cancelled; whatever ends by itself needs fewer."""


class Stage:
    """What really happens while a scenario runs, and what it sees.

    Args:
        live: Whether it is recorded.
    """

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.asked = 0
        self.ran: list[str] = []
        self.seen: list[Any] = []
        self.cancel: Callable[[], object] = lambda: None
        """Cancels what goes on too long."""

    async def hang(self) -> None:
        """Be what goes on too long: that is cancelled by an event, not by time."""
        await turns(TURNS)
        self.cancel()
        await anyio.sleep_forever()

    def model(self, *script: Any, hangs: int | None = None) -> FunctionModel:
        """A model that plays a script, and hangs at one of its requests."""
        entries = list(script)

        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.asked += 1
            if len(script) - len(entries) == hangs:
                await self.hang()
            parts = entries.pop(0) if entries else [TextPart('Done')]
            return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=3, output_tokens=1))

        async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
            response = await answer(messages, info)
            for place, part in enumerate(response.parts):
                yield part.content if isinstance(part, TextPart) else {place: _delta(part)}

        return FunctionModel(answer, stream_function=stream, model_name='m')

    def agent(self, *script: Any, hangs: int | None = None, **options: Any) -> Agent[None, Any]:
        """An agent with tools that end, hang, or do not let themselves be cancelled."""
        agent = Agent[None, Any](self.model(*script, hangs=hangs), name='support', **options)

        @agent.tool_plain
        async def quick(n: int = 0) -> str:
            self.ran.append(f'quick {n}')
            return f'quick {n}'

        @agent.tool_plain
        async def slow(n: int = 0) -> str:
            self.ran.append(f'slow {n}')
            await turns(n)
            return f'slow {n}'

        @agent.tool_plain
        async def hang() -> str:
            self.ran.append('hang')
            await self.hang()
            return 'never'

        @agent.tool_plain
        async def stubborn() -> str:
            self.ran.append('stubborn')
            try:
                await self.hang()
            except anyio.get_cancelled_exc_class():
                return 'saved'
            return 'never'

        return agent

    def look(self, run: Any) -> None:
        """Note what a run shows of itself."""
        self.seen.append((run.all_messages(), run.all_messages_json(), run.new_messages(), run.usage()))


def _delta(part: Any) -> Any:
    return DeltaToolCall(name=part.tool_name, json_args=part.args_as_json_str(), tool_call_id=part.tool_call_id)


async def turns(count: int) -> None:
    """Take so many turns of the event loop."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


Scenario = Callable[[Stage], Awaitable[None]]


@contextmanager
def cutting(stage: Stage) -> Generator[None]:
    """Cancel what goes on too long, and note whether that was needed."""
    with anyio.CancelScope() as scope:
        stage.cancel = scope.cancel
        yield
    stage.seen.append(scope.cancelled_caught)


async def cut_off(stage: Stage, run: Callable[[], Awaitable[Any]]) -> None:
    with cutting(stage):
        await run()


async def driven(stage: Stage, agent: Agent[None, Any], **options: Any) -> None:
    async with agent.iter('Go', **options) as run:
        try:
            async for node in run:
                stage.seen.append(type(node).__name__)
        finally:
            stage.look(run)


# -- scenarios


async def in_the_first_request(stage: Stage) -> None:
    await cut_off(stage, lambda: driven(stage, stage.agent(hangs=0)))


async def in_a_later_request(stage: Stage) -> None:
    agent = stage.agent([call('quick', 'a', n=1), call('slow', 'b', n=2)], [TextPart('Done')], hangs=1)
    await cut_off(stage, lambda: driven(stage, agent))


async def in_the_only_tool(stage: Stage) -> None:
    await cut_off(stage, lambda: driven(stage, stage.agent([call('hang')])))


async def in_parallel_tools(stage: Stage) -> None:
    calls = [call('slow', 'a', n=6), call('hang', 'b'), call('slow', 'c', n=1), call('quick', 'd'), call('hang', 'e')]
    await cut_off(stage, lambda: driven(stage, stage.agent(calls)))


async def in_tools_one_by_one(stage: Stage) -> None:
    agent = stage.agent([call('alone', 'a', n=1), call('hang', 'b'), call('quick', 'c')])

    @agent.tool_plain(sequential=True)
    async def alone(n: int) -> int:
        return n

    await cut_off(stage, lambda: driven(stage, agent))


async def in_a_tool_that_returns_all_the_same(stage: Stage) -> None:
    agent = stage.agent([call('stubborn', 'a'), call('hang', 'b'), call('quick', 'c')])
    usage = RunUsage()
    await cut_off(stage, lambda: driven(stage, agent, usage=usage))
    stage.seen.append(usage)


async def in_a_run_inside_of_a_tool(stage: Stage) -> None:
    inner = stage.agent([call('quick')], [TextPart('Done')], hangs=1)
    outer = Agent(stage.model([call('ask', 'a'), call('quick', 'b')]), name='outer')

    @outer.tool
    async def ask(ctx: RunContext[None]) -> str:
        return (await inner.run('Well?', usage=ctx.usage)).output

    @outer.tool_plain
    async def quick() -> str:
        return 'quick'

    await cut_off(stage, lambda: driven(stage, outer))


async def while_tokens_are_counted(stage: Stage) -> None:
    class Counting(WrapperModel):
        async def count_tokens(self, *_args: Any, **_kwargs: Any) -> RequestUsage:
            stage.asked += 1
            await stage.hang()
            raise AssertionError

    agent = Agent(Counting(stage.model()), name='support')
    limits = UsageLimits(input_tokens_limit=10, count_tokens_before_request=True)
    await cut_off(stage, lambda: driven(stage, agent, usage_limits=limits))


async def in_one_of_several_models(stage: Stage) -> None:
    async def down(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(500, 'down')

    agent = Agent(FallbackModel(FunctionModel(down, model_name='down'), stage.model(hangs=0)), name='support')
    await cut_off(stage, lambda: driven(stage, agent))


async def inside_of_its_block(stage: Stage) -> None:
    async with stage.agent([call('quick')], hangs=1).iter('Go') as run:
        await cut_off(stage, lambda: _to_the_end(stage, run))
        stage.look(run)


async def _to_the_end(stage: Stage, run: Any) -> None:
    async for node in run:
        stage.seen.append(type(node).__name__)


async def in_a_step_by_next(stage: Stage) -> None:
    async with stage.agent([call('hang')]).iter('Go') as run:
        node: Any = run.next_node
        for _ in range(2):
            node = await run.next(node)
        with cutting(stage):
            await run.next(node)
        stage.seen.append(type(run.next_node).__name__)
        stage.look(run)


async def in_an_answer_that_is_streamed(stage: Stage) -> None:
    async def run() -> None:
        async with stage.agent(hangs=0).run_stream('Go') as result:
            stage.seen.append(await result.get_output())

    await cut_off(stage, run)


async def in_tools_before_a_streamed_answer(stage: Stage) -> None:
    async def run() -> None:
        async with stage.agent([call('quick', 'a'), call('hang', 'b')]).run_stream('Go') as result:
            stage.seen.append(await result.get_output())

    await cut_off(stage, run)


async def in_tools_whose_events_are_seen(stage: Stage) -> None:
    async def run() -> None:
        calls = [call('slow', 'a', n=4), call('hang', 'b'), call('slow', 'c', n=1)]
        async for event in stage.agent(calls).run_stream_events('Go'):
            stage.seen.append(event)

    await cut_off(stage, run)


async def in_tools_that_are_streamed(stage: Stage) -> None:
    async with stage.agent([call('slow', 'a', n=3), call('hang', 'b')]).iter('Go') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                with cutting(stage):
                    async with node.stream(run.ctx) as events:
                        async for event in events:
                            stage.seen.append(event)
                break
        stage.look(run)


async def while_a_handler_gets_events(stage: Stage) -> None:
    async def handler(ctx: RunContext[None], events: AsyncIterable[Any]) -> None:
        async for event in events:
            stage.seen.append(event)

    calls = [call('slow', 'a', n=4), call('hang', 'b'), call('slow', 'c', n=1), call('stubborn', 'd')]
    await cut_off(stage, lambda: stage.agent(calls).run('Go', event_stream_handler=handler))


async def by_a_handler_that_fails(stage: Stage) -> None:
    async def handler(ctx: RunContext[None], events: AsyncIterable[Any]) -> None:
        async for event in events:
            stage.seen.append(event)
            if event.event_kind == 'function_tool_result':
                raise LookupError('enough')

    agent = stage.agent([call('quick', 'a'), call('hang', 'b')])
    with pytest.raises(LookupError, match='enough'):
        await agent.run('Go', event_stream_handler=handler)


async def by_a_run_beside_it_that_fails(stage: Stage) -> None:
    async def down(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await turns(TURNS)
        raise ModelHTTPError(500, 'down')

    other = Agent(FunctionModel(down, model_name='down'), name='other')

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(driven, stage, stage.agent([call('quick')], hangs=1))
            group.start_soon(other.run, 'Go')

    with pytest.raises(ExceptionGroup) as caught:
        await both()
    stage.seen.append([str(error) for error in caught.value.exceptions])


async def between_nodes(stage: Stage) -> None:
    async def run() -> None:
        async with stage.agent([call('quick')]).iter('Go') as run:
            try:
                async for node in run:
                    stage.seen.append(type(node).__name__)
                    if Agent.is_call_tools_node(node):
                        await stage.hang()
            finally:
                stage.look(run)

    await cut_off(stage, run)


async def in_a_function_that_is_faster_now(stage: Stage) -> None:
    agent = stage.agent([call('slow')], [TextPart('Done')])

    @agent.output_validator
    async def valid(output: Any) -> Any:
        if stage.live:
            await stage.hang()
        return output

    await cut_off(stage, lambda: driven(stage, agent))


async def in_a_processor_that_is_faster_now(stage: Stage) -> None:
    async def shortened(messages: list[ModelMessage]) -> list[ModelMessage]:
        if stage.live:
            await stage.hang()
        return messages

    await cut_off(stage, lambda: driven(stage, stage.agent(history_processors=[shortened])))


async def before_it_begins(stage: Stage) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await driven(stage, stage.agent(hangs=0))
    stage.seen.append(scope.cancelled_caught)


async def in_the_first_function(stage: Stage) -> None:
    async def instructions() -> str:
        await stage.hang()
        return 'never'

    await cut_off(stage, lambda: driven(stage, stage.agent(instructions=instructions)))


async def in_a_direct_request(stage: Stage) -> None:
    await cut_off(stage, lambda: model_request(stage.model(hangs=0), [ModelRequest.user_text_prompt('Hi')]))


async def in_a_direct_stream(stage: Stage) -> None:
    async def run() -> None:
        async with model_request_stream(stage.model(hangs=0), [ModelRequest.user_text_prompt('Hi')]) as stream:
            async for event in stream:
                stage.seen.append(event)

    await cut_off(stage, run)


async def twice(stage: Stage) -> None:
    agent = stage.agent([call('careful', 'a'), call('quick', 'b')])

    @agent.tool_plain
    async def careful() -> str:
        try:
            await stage.hang()
        finally:
            with anyio.CancelScope(shield=True):
                await turns(3)
        return 'never'

    with anyio.CancelScope() as outer:
        with cutting(stage):
            try:
                await driven(stage, agent)
            finally:
                outer.cancel()
        await anyio.lowlevel.checkpoint()
    stage.seen.append(outer.cancelled_caught)


async def and_asked_again(stage: Stage) -> None:
    agent = stage.agent([call('quick')], [TextPart('Done')], hangs=1)
    messages: list[ModelMessage] = []

    async def run() -> None:
        async with agent.iter('Go') as run:
            try:
                await _to_the_end(stage, run)
            finally:
                messages.extend(run.all_messages())

    await cut_off(stage, run)
    result = await stage.agent([TextPart('Well')]).run(message_history=messages)
    stage.look(result)


SCENARIOS: list[Scenario] = [
    in_the_first_request,
    in_a_later_request,
    in_the_only_tool,
    in_parallel_tools,
    in_tools_one_by_one,
    in_a_tool_that_returns_all_the_same,
    in_a_run_inside_of_a_tool,
    while_tokens_are_counted,
    in_one_of_several_models,
    inside_of_its_block,
    in_a_step_by_next,
    in_an_answer_that_is_streamed,
    in_tools_before_a_streamed_answer,
    in_tools_whose_events_are_seen,
    in_tools_that_are_streamed,
    while_a_handler_gets_events,
    by_a_handler_that_fails,
    by_a_run_beside_it_that_fails,
    between_nodes,
    in_a_function_that_is_faster_now,
    in_a_processor_that_is_faster_now,
    before_it_begins,
    in_the_first_function,
    in_a_direct_request,
    in_a_direct_stream,
    twice,
    and_asked_again,
]


async def played(folder: Path, scenario: Scenario, **options: Any) -> tuple[Stage, Session]:
    """Record or replay a scenario; in a replay, whatever waits to be cancelled goes on too long."""
    stage = Stage(live='record' in options)
    sleep = anyio.sleep

    async def slept(seconds: float) -> None:
        await (stage.hang() if seconds == PATIENCE and not stage.live else sleep(seconds))

    with pytest.MonkeyPatch.context() as patch, Session('run', dir=folder, **options) as session:
        patch.setattr(anyio, 'sleep', slept)
        await scenario(stage)
    return stage, session


def told(session: Session) -> Any:
    top = [run for run in session.runs if '/' not in run.name]
    return sorted((run.name, run.node_kinds, run.all_json, run.new_json) for run in top)


every_scenario = pytest.mark.parametrize('scenario', SCENARIOS, ids=lambda scenario: scenario.__name__)


@every_scenario
async def test_a_run_that_was_cancelled_is_cancelled_again(scenario: Scenario, tmp_path: Path):
    live, recorded = await played(tmp_path, scenario, record='rewrite')
    replayed, again = await played(tmp_path, scenario)
    assert (replayed.asked, replayed.ran) == (0, [])
    assert replayed.seen == live.seen
    assert told(again) == told(recorded)


@pytest.mark.parametrize('tools', ['live', 'verify'])
@every_scenario
async def test_tools_may_be_executed_in_the_replay_of_a_cancelled_run(scenario: Scenario, tools: Any, tmp_path: Path):
    live, recorded = await played(tmp_path, scenario, record='rewrite')
    replayed, again = await played(tmp_path, scenario, tools=tools)
    assert (replayed.asked, sorted(replayed.ran)) == (0, sorted(live.ran))
    assert replayed.seen == live.seen
    assert told(again) == told(recorded)


@every_scenario
async def test_recording_a_cancelled_run_anew_leaves_the_file_untouched(scenario: Scenario, tmp_path: Path):
    await played(tmp_path, scenario, record='rewrite')
    before = (tmp_path / 'run.json').read_bytes()
    await played(tmp_path, scenario, record='all')
    assert (tmp_path / 'run.json').read_bytes() == before
    assert Store(tmp_path).read('run').runs


@every_scenario
async def test_a_check_plays_a_cancelled_run_up_to_there(scenario: Scenario, tmp_path: Path):
    await played(tmp_path, scenario, record='rewrite')
    cassette = Store(tmp_path).read('run')
    assert [one for one in check_cassette(cassette) if one.verdict != 'exact'] == []


async def test_a_check_finds_what_was_changed_in_a_cancelled_run(tmp_path: Path):
    await played(tmp_path, in_a_later_request, record='rewrite')
    (run,) = Store(tmp_path).read('run').runs
    asked: Any = run.nodes[-1].message
    message = {**asked, 'parts': asked['parts'][:1]}
    (found,) = check_cassette(
        Cassette(runs=(replace(run, nodes=(*run.nodes[:-1], replace(run.nodes[-1], message=message))),))
    )
    assert found.verdict == 'differs'


@pytest.mark.parametrize(
    'scenario',
    [in_the_first_request, in_parallel_tools, in_a_function_that_is_faster_now, in_an_answer_that_is_streamed],
)
async def test_a_run_that_nobody_cancels_is_told_so(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await played(tmp_path, scenario, record='rewrite')
    monkeypatch.setattr('replay.adapters._cancelled.PATIENCE', 0.02)
    stage = Stage(live=False)
    with pytest.raises(Diverged) as caught, Session('run', dir=tmp_path):
        await scenario(stage)
    assert caught.value.divergence.live == 'not cancelled within 0.02 s'
    assert caught.value.headline.endswith(' was not cancelled where its recording was')
    assert "use_cassette('run', record='rewrite')" in caught.value.render()


async def test_a_run_that_is_not_cancelled_any_more_is_recorded_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await played(tmp_path, in_a_later_request, record='rewrite')
    monkeypatch.setattr('replay.adapters._cancelled.PATIENCE', 0.02)
    results: list[Any] = []
    for mode in ('new_episodes', 'none'):
        stage = Stage(live=False)
        with Session('run', dir=tmp_path, record=mode):
            results.append(await stage.agent([TextPart('Done')]).run('Go'))
        assert stage.asked == (mode == 'new_episodes')
    assert results[0].all_messages() == results[1].all_messages()


async def test_fifty_replays_of_a_run_that_was_cancelled_in_parallel_tools_are_alike(tmp_path: Path):
    live, recorded = await played(tmp_path, while_a_handler_gets_events, record='rewrite')
    for _ in range(50):
        replayed, again = await played(tmp_path, while_a_handler_gets_events)
        assert replayed.seen == live.seen
        assert told(again) == told(recorded)
    assert [event.event_kind for event in live.seen[-3:-1]] == ['function_tool_result'] * 2


@pytest.mark.parametrize('hangs', [0, 1])
async def test_a_timeout_around_a_run_comes_again(tmp_path: Path, hangs: int):
    seen: list[Any] = []
    for mode in ('once', 'none'):
        stage = Stage(live=True)
        with Session('run', dir=tmp_path, record=mode), capture_run_messages() as messages:
            with pytest.raises(TimeoutError), anyio.fail_after(0.3):
                await stage.agent([call('quick')], hangs=hangs).run('Go')
            seen.append(list(messages))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 1 + 2 * hangs


async def test_a_run_in_a_thread_that_was_cancelled_by_its_own_code_is_again(tmp_path: Path):
    asked: list[str] = []

    def cancelling() -> str:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        return 'Be brief.'

    async def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append('never')
        await asyncio.sleep(60)
        raise AssertionError

    async def instructions() -> str:
        return cancelling()

    def run_it() -> str:
        try:
            Agent(FunctionModel(never), name='support', instructions=instructions).run_sync('Go')
        except asyncio.CancelledError:
            return 'cancelled'
        return 'not cancelled'

    for mode in ('once', 'none'):
        with Session('run', dir=tmp_path, record=mode):
            assert await anyio.to_thread.run_sync(run_it) == 'cancelled'
    assert asked == ['never']
