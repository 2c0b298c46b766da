"""A recording that was interrupted goes on from its journal, without asking the model again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from agentrun import Agent
from agentrun.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import AgentInfo, FunctionModel
from replay import use_cassette
from replay.errors import CassetteDamaged, ReplayError
from replay.journal import read_journal
from replay.modes import Mode
from replay.store import Store
from replay.veil import SecretLeft
from tests.replay.faults import Faults

pytestmark = pytest.mark.anyio

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / 'cassettes'


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Trip:
    """An agent that asks for the weather of two cities in turn, and may be killed when it is asked."""

    def __init__(self, *, killed_at: int = 0, killer: object = None) -> None:
        self.asked = 0
        self.called: list[str] = []
        self.killed_at = killed_at
        self.killer = killer
        self.agent = Agent(FunctionModel(self.answer), name='trip')

        @self.agent.tool_plain
        def weather(city: str) -> str:
            self.called.append(city)
            return f'{city} {os.getpid() if self.killed_at else 0}: sunny'

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        if self.asked == self.killed_at:
            if isinstance(self.killer, BaseException):
                raise self.killer
            if self.killer is not None:
                os.kill(os.getpid(), signal.SIGINT)
                await anyio.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
        turn = sum(isinstance(message, ModelResponse) for message in messages)
        if turn == 2:
            return ModelResponse(parts=[TextPart(f'Both are sunny, said {os.getpid()}.')])
        return ModelResponse(parts=[ToolCallPart('weather', {'city': ['Paris', 'Rome'][turn]}, f'call-{turn}')])


CHILD = """
import sys, anyio
sys.path.insert(0, {root!r})
from replay import use_cassette
from tests.replay.test_resuming import Trip

async def main():
    with use_cassette('trip', dir={folder!r}, record={mode!r}):
        await Trip(killed_at={at}).agent.run({prompt!r})

anyio.run(main)
"""


INTERRUPTED = """
import sys, anyio
sys.path.insert(0, {root!r})
from replay import use_cassette
from tests.replay.test_resuming import Trip

async def main():
    async with use_cassette('trip', dir={folder!r}, record='once'):
        await Trip(killed_at=2, killer='user').agent.run('Weather?')

anyio.run(main, backend={backend!r})
"""


@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_ctrl_c_is_no_cancelled_run_even_where_the_event_loop_makes_it_one(folder: Path, backend: str):
    code = INTERRUPTED.format(root=ROOT, folder=str(folder), backend=backend)
    ended = subprocess.run([sys.executable, '-c', code], check=False, timeout=60, capture_output=True)
    assert b'KeyboardInterrupt' in ended.stderr
    assert names(folder) == ['trip.json.journal']
    (entries,) = read_journal((folder / 'trip.json.journal').read_bytes(), name='journal').entries.values()
    assert len(entries) == 2  # the first answer, and what its tool returned


def killed(folder: Path, *, at: int, mode: str = 'once', prompt: str = 'Weather?') -> None:
    code = CHILD.format(root=ROOT, folder=str(folder), at=at, mode=mode, prompt=prompt)
    assert subprocess.run([sys.executable, '-c', code], check=False, timeout=60).returncode == -signal.SIGKILL


@pytest.mark.parametrize('mode', ['once', 'new_episodes', 'all', 'rewrite'])
async def test_after_a_kill_the_next_recording_asks_only_for_what_is_missing(folder: Path, mode: Mode):
    killed(folder, at=3)
    assert names(folder) == ['trip.json.journal']
    trip = Trip()
    with use_cassette('trip', dir=folder, record=mode) as session:
        result = await trip.agent.run('Weather?')
    assert (trip.asked, trip.called, session.resumed, session.live_requests) == (1, [], 2, 1)
    assert names(folder) == ['trip.json']
    again = Trip()
    with use_cassette('trip', dir=folder, record='none'):
        replayed = await again.agent.run('Weather?')
    assert replayed.all_messages_json() == result.all_messages_json()
    assert again.asked == 0


async def test_a_changed_prompt_is_asked_for_anew(folder: Path):
    killed(folder, at=3)
    trip = Trip()
    with use_cassette('trip', dir=folder, record='once') as session:
        await trip.agent.run('Weather, please?')
    assert (trip.asked, trip.called, session.resumed) == (3, ['Paris', 'Rome'], 0)


async def test_two_kills_lose_nothing(folder: Path):
    killed(folder, at=2)
    killed(folder, at=2)  # its first request is resumed: this is the third of the run
    trip = Trip()
    with use_cassette('trip', dir=folder, record='once') as session:
        await trip.agent.run('Weather?')
    assert (trip.asked, session.resumed) == (1, 2)


async def test_a_torn_last_line_is_dropped_and_a_damaged_one_refused(folder: Path):
    killed(folder, at=3)
    path = folder / 'trip.json.journal'
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert len(lines) == 5
    path.write_bytes(data[:-20])
    trip = Trip()
    with use_cassette('trip', dir=folder, record='once') as session:
        await trip.agent.run('Weather?')
    assert (trip.asked, trip.called, session.resumed) == (1, ['Rome'], 2)
    path.write_bytes(data.replace(b'Paris', b'Sofia', 1))
    (folder / 'trip.json').unlink()
    session = use_cassette('trip', dir=folder, record='once')
    refused = pytest.raises(CassetteDamaged, match='line 2 is not as it was written')
    with refused, session:
        await trip.agent.run('Weather?')
    assert session.problems[0].next == (f'remove {path.as_posix()}     what was recorded is then asked for again',)


def test_every_cut_of_a_journal_is_read_and_every_change_is_refused(folder: Path):
    killed(folder, at=3)
    data = (folder / 'trip.json.journal').read_bytes()
    for size in range(len(data)):
        read = read_journal(data[:size], name='a')
        assert read.size == data[:size].rfind(b'\n') + 1
    for at in range(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            read = read_journal(bytes(changed), name='a')
        except CassetteDamaged:
            continue
        assert at >= len(data) - 1
        assert len(read.entries['trip']) == 3


async def test_an_error_of_the_disk_at_the_end_keeps_what_was_paid_for(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    trip = Trip()
    session = use_cassette('trip', dir=folder, record='once').open()
    with session.bound():
        await trip.agent.run('Weather?')
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', full)
        assert ['No space left' in str(problem) for problem in session.close()] == [True]
    with use_cassette('trip', dir=folder, record='once') as session:
        await trip.agent.run('Weather?')
    assert (trip.asked, session.resumed) == (3, 3)


async def test_a_disk_that_takes_no_journal_does_not_stop_a_recording(folder: Path):
    at, done = 0, False
    while not done:
        at += 1
        trip = Trip()
        with Faults(folder, at=at, kind='ENOSPC').installed() as faults:
            try:
                with use_cassette('trip', dir=folder, record='rewrite'):
                    await trip.agent.run('Weather?')
            except ReplayError as error:
                assert 'No space left' in str(error)  # noqa: PT017  # what else may come goes on
        done = faults.count < at
        assert trip.asked in {0, 1, 3}
        with use_cassette('trip', dir=folder, record='all'):
            await trip.agent.run('Weather?')
        assert Store(folder).names() == ['trip.json']
        assert names(folder) == ['trip.json']
        (folder / 'trip.json').unlink()
    assert at > 20


async def test_a_secret_is_in_no_journal(folder: Path, monkeypatch: pytest.MonkeyPatch):
    secret = 'sk-proj-' + 'a1B2c3D4e5' * 4
    trip = Trip(killed_at=2, killer=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), use_cassette('trip', dir=folder, record='once'):
        await trip.agent.run(f'Weather? {secret}')
    journal = folder / 'trip.json.journal'
    assert b'Paris' in journal.read_bytes()
    assert secret.encode() not in journal.read_bytes()
    monkeypatch.setenv('CITY_API_KEY', 'Paris-is-secret-7391')
    trip = Trip()
    with pytest.raises(SecretLeft), use_cassette('trip~Paris-is-secret-7391', dir=folder, record='once'):
        await trip.agent.run('Weather?')
    assert not (folder / 'trip~Paris-is-secret-7391.json.journal').exists()
