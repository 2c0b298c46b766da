"""Suites with HTTP cassettes, recorded once through them, then replayed without them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are what is migrated')
pytest.importorskip('openai', reason='needs the client of OpenAI')
pytest.importorskip('pytest_recording', reason='needs what is migrated from')

from tests.wire.dialects import DIALECTS, Call, Said
from tests.wire.loopback import Loopback

ROOT = Path(__file__).parents[2]

AGENTS = """
import os

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    name: str


model = OpenAIChatModel('gpt-5', provider=OpenAIProvider(base_url=os.environ['PROVIDER'] + '/v1', api_key='none'))
forecaster = Agent(model, name='forecaster')
finder = Agent(model, name='finder', output_type=City)


@forecaster.tool_plain
def get_weather(city: str) -> str:
    return f'{city}: sunny'
"""

SUITE = """
import asyncio

import pytest
from agents import City, finder, forecaster

AROUND
def test_tools(FIXTURE):
    assert forecaster.run_sync('Weather in Paris?').output == 'Sunny in Paris.'

AROUND
def test_structured(FIXTURE):
    assert finder.run_sync('Where is it sunny?').output == City(name='Paris')

AROUND
def test_streamed(FIXTURE):
    async def streamed():
        async with forecaster.run_stream('Weather?') as result:
            return [text async for text in result.stream_text(debounce_by=None, delta=True)]

    assert ''.join(asyncio.run(streamed())) == 'Sunny it is.'
"""

BY_HAND = """
import vcr
from agents import forecaster


def test_tools(agent_run_replay):
    with vcr.use_cassette('answers.yaml', record_mode='none') as cassette:
        assert forecaster.run_sync('Weather in Paris?').output == 'Sunny in Paris.'
    assert cassette.play_count == PLAYED
"""

MOCKED = """
import httpx
from agents import forecaster


def test_tools(respx_mock, agent_run_replay):
    route = respx_mock.post(path='/v1/chat/completions')
    route.side_effect = [httpx.Response(200, json=one) for one in ANSWERS]
    assert forecaster.run_sync('Weather in Paris?').output == 'Sunny in Paris.'
"""

WITHOUT = """
import sys

sys.modules.update({'vcr': None, 'pytest_recording': None, 'respx': None})
"""

CHAT = DIALECTS['chat']
CALLED = Said(calls=[Call(tool='get_weather', args={'city': 'Paris'})])
SUNNY = Said(text='Sunny in Paris.', id='2')
FOUND = Said(calls=[Call(tool='final_result', args={'name': 'Paris'}, id='call_2')], id='3')
STREAMED = Said(text='Sunny it is.', id='4')


def suite(*, around: str, fixture: str) -> str:
    """The suite with something around each test."""
    return SUITE.replace('AROUND', around).replace('FIXTURE', fixture)


def pytest_in(folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest there, without the configuration of this checkout."""
    # In CI nothing is recorded, and these suites are.
    kept = {key: value for key, value in os.environ.items() if not key.startswith(('PYTEST_', 'COV_')) and key != 'CI'}
    environment = {**kept, 'PROVIDER': url, 'PYTHONPATH': f'{ROOT}{os.pathsep}{folder}'}
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:randomly', '-p', 'replay.pytest_plugin', *options]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def recorded_over_http(folder: Path) -> str:
    """A suite whose answers are in YAML.

    Returns:
        Where the provider was.
    """
    (folder / 'agents.py').write_text(AGENTS, encoding='utf-8')
    (folder / 'test_agents.py').write_text(suite(around='@pytest.mark.vcr', fixture=''), encoding='utf-8')
    with Loopback() as server:
        server.answers = [CHAT.answer(said, stream=False) for said in (CALLED, SUNNY, FOUND)]
        server.answers.append(CHAT.answer(STREAMED, stream=True))
        done = pytest_in(folder, server.url, '--record-mode=once')
    assert '3 passed' in done.stdout, done.stdout + done.stderr
    assert len(server.asked) == 4
    return server.url


def test_a_suite_recorded_through_its_yaml_replays_without_yaml_and_vcrpy(tmp_path: Path):
    url = recorded_over_http(tmp_path)
    cassettes = tmp_path / 'cassettes/test_agents'
    (tmp_path / 'test_agents.py').write_text(suite(around='@pytest.mark.vcr', fixture='agent_run_replay'), 'utf-8')
    done = pytest_in(tmp_path, url, '--replay-record=once')
    assert '3 recorded, 4 live requests' in done.stdout, done.stdout + done.stderr
    assert '3 passed' in done.stdout
    (tmp_path / 'test_agents.py').write_text(suite(around='', fixture='agent_run_replay'), 'utf-8')
    (tmp_path / 'conftest.py').write_text(WITHOUT, 'utf-8')
    for file in cassettes.glob('*.yaml'):
        file.unlink()
    assert sorted(file.name for file in cassettes.iterdir()) == [
        'test_streamed.json',
        'test_structured.json',
        'test_tools.json',
    ]
    done = pytest_in(tmp_path, url, '-p', 'no:recording')
    assert '3 cassettes: 3 played, 0 differ' in done.stdout, done.stdout + done.stderr
    assert ', 0 live requests' in done.stdout


def test_a_block_of_vcrpy_answers_while_its_run_is_recorded_and_is_idle_in_a_replay(tmp_path: Path):
    url = recorded_over_http(tmp_path)
    (tmp_path / 'cassettes/test_agents/test_tools.yaml').rename(tmp_path / 'answers.yaml')
    for said, played, options in (('2 live requests', 2, ['--replay-record=once']), ('0 live requests', 0, [])):
        (tmp_path / 'test_agents.py').write_text(BY_HAND.replace('PLAYED', str(played)), 'utf-8')
        done = pytest_in(tmp_path, url, '-p', 'no:recording', *options)
        assert said in done.stdout, done.stdout + done.stderr
        assert '1 passed' in done.stdout


def test_respx_answers_while_a_suite_is_recorded(tmp_path: Path):
    pytest.importorskip('respx', reason='needs what is migrated from')
    from pydantic_ai.providers.openai import OpenAIProvider

    if type(OpenAIProvider(api_key='none').client._client).__module__.partition('.')[0] != 'httpx':
        pytest.skip('respx answers for httpx, and this version of pydantic_ai speaks another client')
    (tmp_path / 'agents.py').write_text(AGENTS, encoding='utf-8')
    answers = repr([CHAT.whole(said) for said in (CALLED, SUNNY)])
    (tmp_path / 'test_agents.py').write_text(MOCKED.replace('ANSWERS', answers), 'utf-8')
    done = pytest_in(tmp_path, 'https://provider.example', '--replay-record=once')
    assert '1 recorded, 2 live requests' in done.stdout, done.stdout + done.stderr
    (tmp_path / 'test_agents.py').write_text(suite(around='', fixture='agent_run_replay'), 'utf-8')
    (tmp_path / 'conftest.py').write_text(WITHOUT, 'utf-8')
    done = pytest_in(tmp_path, 'https://provider.example', '-p', 'no:respx', '-k', 'test_tools')
    assert '1 cassette: 1 played, 0 differ' in done.stdout, done.stdout + done.stderr
