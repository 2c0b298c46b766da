"""Streamed runs: neither recorded nor replayed by this version, and refused before the model is asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from agentrun import Agent, ModelMessage
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
