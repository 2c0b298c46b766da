"""The same bytes whatever a tool returns, and whatever process, event loop, time zone and locale replays them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

import replay
from agentrun import Agent, BinaryContent
from tests.stage import Stage, shown

# Values


@dataclass
class Spot:
    x: int
    when: datetime


class Colour(Enum):
    RED = 'red'


class Pair(NamedTuple):
    a: int
    b: str


class City(BaseModel):
    name: str
    founded: date


VALUES: dict[str, object] = {
    'a dataclass': Spot(1, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    'a model': City(name='x', founded=date(2000, 1, 1)),
    'models': [City(name='x', founded=date(2000, 1, 1))],
    'a set': {'only'},
    'a frozen set': frozenset({3}),
    'a naive time': datetime(2020, 1, 2, 3, 4, 5),  # noqa: DTZ001, naive on purpose
    'a date': date(2020, 1, 2),
    'a time of day': time(1, 2, 3),
    'a duration': timedelta(seconds=1.5),
    'bytes': b'abc\xff',
    'a decimal': Decimal('1.10'),
    'a uuid': UUID(int=5),
    'an enum': Colour.RED,
    'a tuple': (1, 'a'),
    'a named tuple': Pair(1, 'b'),
    'not a number': float('nan'),
    'infinity': float('inf'),
    'nothing': None,
    'a path': Path('/a/b'),
    'keys that are no text': {1: 'a'},
    'a mixture': {'s': {1, 2}, 'd': datetime(2020, 1, 1), 't': (1, 2), 'b': b'x', 'n': None},  # noqa: DTZ001, naive on purpose
    'a large number': 10**30,
    'a large float': 1e16,
    'minus zero': -0.0,
    'true': True,
    'lines': 'line\nline\n' * 20,
    'odd keys and characters': {'a|': 'x\n' * 60, 'b': '\u2028 \x1b[31m \x7f', '': [[], {}]},
    'an image': BinaryContent(b'123', media_type='image/png'),
}


@pytest.mark.anyio
@pytest.mark.parametrize('what', VALUES)
async def test_what_tools_return_comes_back_byte_for_byte(what: str, tmp_path: Path):
    value = VALUES[what]

    async def act(stage: Stage) -> object:
        agent = Agent(stage.says(('get', {}), 'done'), name='agent')

        def get() -> object:
            stage.runs()
            return value

        agent.tool_plain(get)
        return await agent.run('x')

    with replay.use_cassette('tape', dir=tmp_path, record='once'):
        recorded = shown(await act(Stage(live=True)))
    with replay.use_cassette('tape', dir=tmp_path):
        assert shown(await act(Stage(live=False))) == recorded


# Determinism

PROGRAM = """
import random, sys
import anyio
import replay
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel

def script(messages, info):
    if len(messages) > 1:
        return ModelResponse(parts=[TextPart(str([part.content for part in messages[-1].parts]))])
    return ModelResponse(parts=[ToolCallPart('wait', {'n': n}) for n in range(5)])

agent = Agent(FunctionModel(script), name='agent', model_settings={'temperature': 0.0})

@agent.tool_plain
async def wait(n: int) -> set[str]:
    await anyio.sleep(random.random() / 100)
    return {f'{n}{letter}' for letter in 'abcdef'}

async def main(folder, mode):
    with replay.use_cassette('tape', dir=folder, record=mode):
        result = await agent.run('Go at \u00e9 12:00')
    sys.stdout.buffer.write(result.all_messages_json() + result.new_messages_json())

anyio.run(main, *sys.argv[2:], backend=sys.argv[1])
"""
SURROUNDINGS = (
    ('asyncio', 'once', {'PYTHONHASHSEED': '1', 'TZ': 'UTC', 'LC_ALL': 'C.UTF-8'}),
    ('asyncio', 'none', {'PYTHONHASHSEED': '2', 'TZ': 'Asia/Kathmandu', 'LC_ALL': 'C'}),
    ('trio', 'none', {'PYTHONHASHSEED': '3', 'TZ': 'America/New_York', 'LC_ALL': 'POSIX', 'PYTHONUTF8': '0'}),
    ('trio', 'none', {'PYTHONHASHSEED': '0', 'TZ': 'Europe/Berlin', 'LC_ALL': 'de_DE.UTF-8'}),
)


def test_every_process_gives_the_same_bytes(tmp_path: Path):
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM, encoding='utf-8')

    def run(backend: str, mode: str, surroundings: dict[str, str]) -> bytes:
        command = [sys.executable, str(program), backend, str(tmp_path / 'cassettes'), mode]
        environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1]), **surroundings}
        return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout

    recorded = run(*SURROUNDINGS[0])
    with ThreadPoolExecutor(2) as pool:
        replayed = list(pool.map(run, *zip(*SURROUNDINGS[1:], strict=True)))
    assert {recorded, *replayed} == {recorded}
    assert recorded.count(b'tool-return') == 10
