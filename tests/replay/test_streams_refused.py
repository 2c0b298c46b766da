"""Streamed runs: neither recorded nor replayed by this version, and refused before the model is asked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from agentrun import Agent, ModelMessage, ModelRequest
from agentrun.direct import model_request_stream, model_request_stream_sync
from agentrun.models.function import AgentInfo, FunctionModel
from replay import use_cassette
from replay.errors import CassetteNotFound, NotSupported

pytestmark = pytest.mark.anyio

asked: list[int] = []


async def say(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    asked.append(1)
    yield 'text'


@pytest.mark.parametrize('mode', ['none', 'once', 'rewrite'])
async def test_a_streamed_request_is_refused_by_name_and_never_goes_live(
    tmp_path: Path, mode: Literal['none', 'once', 'rewrite']
):
    asked.clear()
    agent = Agent(FunctionModel(stream_function=say), name='helper')
    expected = CassetteNotFound if mode == 'none' else NotSupported
    with pytest.raises(expected), use_cassette('run', dir=tmp_path, record=mode):
        async with agent.run_stream('go') as result:
            await result.get_output()
    assert asked == []
    assert not (tmp_path / 'run.json').exists()


async def stream(messages: list[ModelMessage]) -> None:
    async with model_request_stream(FunctionModel(stream_function=say), messages):
        pytest.fail('there is no stream')


async def stream_in_thread(messages: list[ModelMessage]) -> None:
    with model_request_stream_sync(FunctionModel(stream_function=say), messages) as response:
        list(response)


@pytest.mark.parametrize('mode', ['none', 'once', 'rewrite'])
@pytest.mark.parametrize('request_', [stream, stream_in_thread])
async def test_a_streamed_direct_request_is_refused_by_name_and_never_goes_live(
    tmp_path: Path,
    mode: Literal['none', 'once', 'rewrite'],
    request_: Callable[[list[ModelMessage]], Awaitable[None]],
):
    asked.clear()
    expected = CassetteNotFound if mode == 'none' else NotSupported
    with pytest.raises(expected), use_cassette('run', dir=tmp_path, record=mode):
        await request_([ModelRequest.user_text_prompt('go')])
    assert asked == []
    assert not (tmp_path / 'run.json').exists()


@pytest.mark.parametrize('mode', ['none', 'once', 'rewrite'])
def test_a_refusal_in_a_thread_is_told_by_the_session_if_nobody_reads_the_stream(
    tmp_path: Path, mode: Literal['none', 'once', 'rewrite']
):
    asked.clear()
    messages = [ModelRequest.user_text_prompt('go')]
    expected = CassetteNotFound if mode == 'none' else NotSupported
    with (
        pytest.raises(expected),
        use_cassette('run', dir=tmp_path, record=mode),
        model_request_stream_sync(FunctionModel(stream_function=say), messages),
    ):
        pass
    assert asked == []
