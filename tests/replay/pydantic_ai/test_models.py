"""Which model a run of pydantic_ai asks, recorded and replayed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent, RunContext, UsageLimits  # noqa: E402
from pydantic_ai.agent import WrapperAgent  # noqa: E402
from pydantic_ai.exceptions import ModelHTTPError, UsageLimitExceeded  # noqa: E402
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart  # noqa: E402
from pydantic_ai.models.fallback import FallbackModel  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402
from pydantic_ai.models.test import TestModel  # noqa: E402
from pydantic_ai.models.wrapper import WrapperModel  # noqa: E402
from pydantic_ai.usage import RequestUsage  # noqa: E402

from replay import ReplayError, use_cassette  # noqa: E402
from replay.adapters.pydantic_ai._compat import read  # noqa: E402

pytestmark = pytest.mark.anyio


class GoneError(Exception):
    """Raised by models that must not be asked."""


def saying(text: str) -> FunctionModel:
    def answer(_messages: Any, _info: Any) -> ModelResponse:
        if Phase.replaying:
            raise GoneError
        return ModelResponse(parts=[TextPart(text)])

    async def stream(_messages: Any, _info: Any) -> Any:
        if Phase.replaying:
            raise GoneError
        for word in text.split():
            yield word

    return FunctionModel(answer, stream_function=cast('Any', stream))


def failing(error: Callable[[], Exception]) -> FunctionModel:
    def answer(_messages: Any, _info: Any) -> ModelResponse:
        raise GoneError if Phase.replaying else error()

    async def stream(_messages: Any, _info: Any) -> Any:
        if Phase.replaying:
            raise GoneError
        yield 'Well'
        raise error()

    return FunctionModel(answer, stream_function=cast('Any', stream))


class Phase:
    """What the models of a test are asked in."""

    replaying = False


async def twice(tmp_path: Path, once: Callable[[], Awaitable[Any]]) -> tuple[Any, Any]:
    """Record, then replay, and see to it that the bytes agree."""
    found: list[tuple[Any, Any]] = []
    try:
        for Phase.replaying in (False, True):
            with use_cassette('one', dir=tmp_path, record='none' if Phase.replaying else 'all') as session:
                result = await once()
            found.append((session, result))
    finally:
        Phase.replaying = False
    (recorded, one), (replayed, other) = found
    assert replayed.live_requests == 0
    assert replayed.runs
    for run in replayed.runs:  # those inside of tools do not start again
        assert run.all_json == recorded.run(run.name).all_json
        assert run.node_kinds == recorded.run(run.name).node_kinds
    return one, other


async def test_the_model_of_the_call_goes_before_that_of_the_agent(tmp_path: Path):
    agent = Agent(saying('no'), name='a')
    one, other = await twice(tmp_path, lambda: agent.run('Hi', model=saying('yes')))
    assert one.output == other.output == 'yes'


async def test_the_model_of_an_override_goes_before_both(tmp_path: Path):
    agent = Agent(saying('no'), name='a')

    async def once() -> Any:
        with agent.override(model=saying('over')):
            return await agent.run('Hi', model=saying('yes'))

    one, other = await twice(tmp_path, once)
    assert one.output == other.output == 'over'


async def test_the_override_of_a_run_is_gone_in_its_block(tmp_path: Path):
    agent = Agent(saying('mine'), name='a')

    async def once() -> Any:
        async with agent.iter('Hi') as run:
            assert agent._override_model.get() is None
            async for _ in run:
                pass
        return run.result

    assert (await twice(tmp_path, once))[1].output == 'mine'


async def test_a_model_by_name_needs_no_key_in_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip('openai', reason='the provider of the name is looked up while recording')
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-nothing')

    async def answer(*_args: Any, **_kwargs: Any) -> ModelResponse:
        return ModelResponse(parts=[TextPart('yes')], model_name='gpt-4o')

    from pydantic_ai.models.openai import OpenAIChatModel

    monkeypatch.setattr(OpenAIChatModel, 'request', answer)
    agent = Agent('openai-chat:gpt-4o', name='a', defer_model_check=True)
    with use_cassette('one', dir=tmp_path, record='all'):
        one = await agent.run('Hi')
    monkeypatch.delenv('OPENAI_API_KEY')
    monkeypatch.setattr(OpenAIChatModel, 'request', None)
    again = Agent('openai-chat:gpt-4o', name='a', defer_model_check=True)
    with use_cassette('one', dir=tmp_path):
        other = await again.run('Hi')
    assert one.all_messages_json() == other.all_messages_json()


async def test_a_fallback_decides_anew_and_each_model_in_it_is_recorded(tmp_path: Path):
    model = FallbackModel(failing(lambda: ModelHTTPError(503, 'one', {'error': 'busy'})), saying('second'))
    one, other = await twice(tmp_path, lambda: Agent(model, name='a').run('Hi'))
    assert one.output == other.output == 'second'
    assert '"attempts"' in (tmp_path / 'one.json').read_text()


async def test_a_group_of_failed_models_is_raised_again(tmp_path: Path):
    model = FallbackModel(
        failing(lambda: ModelHTTPError(503, 'one', None)), failing(lambda: ModelHTTPError(500, 'two', None))
    )

    async def once() -> Any:
        with pytest.raises(ExceptionGroup) as caught:
            await Agent(model, name='a').run('Hi')
        return [(type(error).__mro__, str(error)) for error in caught.value.exceptions]

    one, other = await twice(tmp_path, once)
    assert one == other
    assert len(one) == 2


@pytest.mark.parametrize('streamed', [False, True])
async def test_an_instrumented_model_is_recorded_inside(tmp_path: Path, streamed: bool):
    agent = Agent(saying('yes'), name='a')
    agent.instrument = True

    async def once() -> Any:
        if not streamed:
            return (await agent.run('Hi')).output
        async with agent.run_stream('Hi') as result:
            return await result.get_output()

    assert await twice(tmp_path, once) == ('yes', 'yes')


async def test_a_wrapper_around_a_model_is_one_model(tmp_path: Path):
    class Shouting(WrapperModel):
        async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
            response = await super().request(*args, **kwargs)
            response.parts = [TextPart(part.content.upper()) for part in response.parts if isinstance(part, TextPart)]
            return response

    one, other = await twice(tmp_path, lambda: Agent(Shouting(saying('yes')), name='a').run('Hi'))
    assert one.output == other.output == 'YES'


async def test_a_wrapped_agent_is_recorded(tmp_path: Path):
    agent = WrapperAgent(Agent(saying('yes'), name='inner'))
    one, other = await twice(tmp_path, lambda: agent.run('Hi'))
    assert one.output == other.output == 'yes'


@pytest.mark.parametrize('streamed', [False, True])
async def test_errors_of_the_model_are_raised_again_with_what_they_carry(tmp_path: Path, streamed: bool):
    agent = Agent(failing(lambda: ModelHTTPError(429, 'gpt', {'error': 'slow down'})), name='a')

    async def streamed_output() -> Any:
        async with agent.run_stream('Hi') as result:
            return await result.get_output()

    async def once() -> Any:
        with pytest.raises(ModelHTTPError) as caught:
            await (streamed_output() if streamed else agent.run('Hi'))
        error = caught.value
        return type(error), str(error), error.status_code, error.model_name, error.body

    one, other = await twice(tmp_path, once)
    assert one == other
    assert one[2:] == (429, 'gpt', {'error': 'slow down'})


async def test_errors_that_pydantic_ai_does_not_know_are_raised_again(tmp_path: Path):
    agent = Agent(failing(lambda: ConnectionError('reset')), name='a')

    async def once() -> Any:
        with pytest.raises(ConnectionError, match='reset') as caught:
            await agent.run('Hi')
        return type(caught.value)

    assert await twice(tmp_path, once) == (ConnectionError, ConnectionError)


async def test_a_history_is_gone_on_from(tmp_path: Path):
    agent = Agent(saying('yes'), name='a')

    async def once() -> Any:
        first = await agent.run('Hi')
        return await agent.run('And?', message_history=first.all_messages())

    one, other = await twice(tmp_path, once)
    assert one.all_messages() == other.all_messages()
    assert '"history": {"run": "a", "messages": 2}' in (tmp_path / 'one.json').read_text()


async def test_runs_at_once_have_their_own_recordings(tmp_path: Path):
    agent = Agent(TestModel(), name='a')

    async def once() -> Any:
        return await asyncio.gather(*(agent.run(f'Number {number}') for number in range(8)))

    one, other = await twice(tmp_path, once)
    assert [result.all_messages_json() for result in one] == [result.all_messages_json() for result in other]


async def test_tokens_are_counted_from_the_recording(tmp_path: Path):
    class Counting(FunctionModel):
        async def count_tokens(self, *_args: Any, **_kwargs: Any) -> RequestUsage:
            if Phase.replaying:
                raise GoneError
            return RequestUsage(input_tokens=1000)

    def answer(_messages: Any, _info: Any) -> ModelResponse:
        raise GoneError

    agent = Agent(Counting(answer), name='a')

    async def once() -> str:
        limits = UsageLimits(input_tokens_limit=10, count_tokens_before_request=True)
        with pytest.raises(UsageLimitExceeded) as caught:
            await agent.run('Hi', usage_limits=limits)
        return str(caught.value)

    one, other = await twice(tmp_path, once)
    assert one == other


async def test_the_usage_that_is_handed_in_is_counted_into(tmp_path: Path):
    from pydantic_ai.usage import RunUsage

    agent = Agent(saying('yes'), name='a')

    async def once() -> Any:
        usage = RunUsage(requests=10)
        result = await agent.run('Hi', usage=usage)
        return read(result, 'usage').requests

    assert await twice(tmp_path, once) == (11, 11)


async def test_the_name_of_an_agent_is_inferred_as_without_a_session(tmp_path: Path):
    forecaster = Agent(saying('yes'))

    async def once() -> Any:
        return await forecaster.run('Hi')

    await twice(tmp_path, once)
    assert forecaster.name == 'forecaster'
    assert '"run": "forecaster"' in (tmp_path / 'one.json').read_text()


async def test_iter_names_the_run_after_its_agent_too(tmp_path: Path):
    forecaster = Agent(saying('yes'))

    async def once() -> Any:
        async with forecaster.iter('Hi') as run:
            async for _ in run:
                pass
        return run.result

    await twice(tmp_path, once)
    assert '"run": "forecaster"' in (tmp_path / 'one.json').read_text()


async def test_a_changed_prompt_is_refused(tmp_path: Path):
    agent = Agent(saying('yes'), name='a')
    with use_cassette('one', dir=tmp_path, record='all'):
        await agent.run('Hi')
    with pytest.raises(ReplayError, match='user prompt of a changed'), use_cassette('one', dir=tmp_path):
        await agent.run('Ho')


async def test_a_run_without_a_recording_is_refused(tmp_path: Path):
    agent = Agent(saying('yes'), name='a')
    with pytest.raises(ReplayError, match='no cassette'), use_cassette('none', dir=tmp_path):
        await agent.run('Hi')


async def test_a_cancelled_run_is_recorded_as_such(tmp_path: Path):
    async def stuck(_messages: Any, _info: Any) -> ModelResponse:
        await asyncio.sleep(60)
        raise GoneError

    agent = Agent(FunctionModel(stuck), name='a')
    with use_cassette('one', dir=tmp_path, record='all') as session:
        task = asyncio.create_task(agent.run('Hi'))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert session.written is not None
    assert '"interrupted": "cancelled"' in session.written.read_text()


async def test_a_stream_that_was_left_is_left_again(tmp_path: Path):
    agent = Agent(saying('one two three'), name='a')

    async def once() -> Any:
        found: list[Any] = []
        async with agent.iter('Hi') as run:
            async for node in run:
                if Agent.is_model_request_node(node):
                    async with node.stream(run.ctx) as stream:
                        async for event in stream:
                            found.append(event)
                            break
        return found

    one, other = await twice(tmp_path, once)
    assert one == other


async def test_events_of_a_stream_are_equal_as_objects(tmp_path: Path):
    agent = Agent(saying('one two three'), name='a')

    async def once() -> Any:
        found: list[Any] = []
        async with agent.iter('Hi') as run:
            async for node in run:
                if Agent.is_model_request_node(node):
                    async with node.stream(run.ctx) as stream:
                        async for event in stream:
                            found.append((event, stream.response, str(read(stream, 'usage'))))  # noqa: PERF401, as they come
        return found

    one, other = await twice(tmp_path, once)
    assert one == other
    assert len(one) > 3


async def test_nested_runs_in_tools_are_named_after_their_place(tmp_path: Path):
    inner = Agent(saying('found'), name='inner')

    def outer_answer(messages: Any, _info: Any) -> ModelResponse:
        if Phase.replaying:
            raise GoneError
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart('look', {})])
        return ModelResponse(parts=[TextPart('done')])

    outer = Agent(FunctionModel(outer_answer), name='outer')

    @outer.tool
    async def look(ctx: RunContext[None]) -> str:
        return (await inner.run('Look', usage=ctx.usage)).output

    one, other = await twice(tmp_path, lambda: outer.run('Hi'))
    assert '"run": "outer/look/inner"' in (tmp_path / 'one.json').read_text()
    assert one.all_messages_json() == other.all_messages_json()
    assert read(one, 'usage') == read(other, 'usage')


def test_models_stay_as_they_were_when_no_session_is_open(tmp_path: Path):
    from pydantic_ai import _agent_graph, _utils

    owners: list[tuple[Any, str]] = [(Agent, 'iter'), (_utils, 'datetime'), (_agent_graph.ModelRequestNode, 'stream')]
    before = [getattr(owner, name) for owner, name in owners]
    with use_cassette('one', dir=tmp_path, record='all', unplayed='ignore'):
        assert all(getattr(owner, name) is not was for (owner, name), was in zip(owners, before, strict=True))
    assert [getattr(owner, name) for owner, name in owners] == before
