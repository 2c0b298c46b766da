"""Two sessions that record one cassette at the same time: one after the other, and never one over the other."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import anyio
import pytest

from agentrun import Agent
from agentrun.messages import ModelMessage, ModelResponse, TextPart
from agentrun.models.function import AgentInfo, FunctionModel
from replay import use_cassette
from replay.errors import ReplayError, StoreFailed
from replay.store import Store

ROOT = str(Path(__file__).parents[2])


class Asked:
    """An agent whose model counts what it is asked, and takes its time."""

    def __init__(self) -> None:
        self.times = 0
        self.agent = Agent(FunctionModel(self.answer), name='trip')

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.times += 1
        await anyio.sleep(0.05)
        return ModelResponse(parts=[TextPart(f'Answer {self.times}.')])


async def recorded(folder: Path, asked: Asked, prompt: str = 'Weather?') -> int:
    async with use_cassette('trip', dir=folder, record='once') as session:
        await asked.agent.run(prompt)
    return session.live_requests


def test_of_two_threads_the_second_waits_and_replays_what_the_first_has_recorded(tmp_path: Path):
    asked, start = Asked(), Barrier(2)

    def thread() -> int:
        start.wait()
        return anyio.run(recorded, tmp_path, asked)

    with ThreadPoolExecutor() as pool:
        threads = [pool.submit(thread) for _ in range(2)]
    assert sorted(one.result() for one in threads) == [0, 1]
    assert asked.times == 1
    assert [path.name for path in tmp_path.iterdir()] == ['trip.json']


def test_of_two_threads_that_do_not_do_the_same_the_second_is_told_and_asks_nothing(tmp_path: Path):
    asked, start = Asked(), Barrier(2)

    def thread(prompt: str) -> str:
        start.wait()
        try:
            anyio.run(recorded, tmp_path, asked, prompt)
        except ReplayError as error:
            return error.headline
        return prompt

    with ThreadPoolExecutor() as pool:
        told = set(pool.map(thread, ['One?', 'Two?']))
    assert 'user prompt of trip changed' in told
    assert asked.times == 1
    (kept,) = told - {'user prompt of trip changed'}
    assert f'"content": "{kept}"' in (tmp_path / 'trip.json').read_text()


@pytest.mark.anyio
async def test_of_two_tasks_of_one_thread_the_second_is_refused_before_it_asks(tmp_path: Path):
    asked, refused = Asked(), list[StoreFailed]()

    async def task() -> None:
        try:
            await recorded(tmp_path, asked)
        except StoreFailed as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(task)
        group.start_soon(task)
    (error,) = refused
    assert error.headline.endswith('trip.json is being recorded by another session of this thread')
    assert error.next[0] == 'open one session around both'
    assert asked.times == 1
    assert Store(tmp_path).names() == ['trip.json']
    assert await recorded(tmp_path, asked) == 0


@pytest.mark.anyio
async def test_a_session_inside_of_one_that_records_the_same_cassette_is_refused(tmp_path: Path):
    asked = Asked()
    async with use_cassette('trip', dir=tmp_path, record='all'):
        await asked.agent.run('Weather?')
        with pytest.raises(StoreFailed, match='another session of this thread'):
            async with use_cassette('trip', dir=tmp_path, record='all'):
                await asked.agent.run('Weather?')
    assert asked.times == 1
    assert await recorded(tmp_path, asked) == 0


CHILD = """
import sys, anyio
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.replay.test_sessions_at_once import Asked, recorded

sys.stdin.readline()
print(anyio.run(recorded, Path({folder!r}), Asked()))
"""


def test_of_two_processes_one_records_and_the_other_replays(tmp_path: Path):
    code = CHILD.format(root=ROOT, folder=str(tmp_path / 'cassettes'))
    both = [subprocess.Popen([sys.executable, '-c', code], stdin=-1, stdout=-1, text=True) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write('go\n')
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted(said) == ['0\n', '1\n']
    assert [path.name for path in (tmp_path / 'cassettes').iterdir()] == ['trip.json']
