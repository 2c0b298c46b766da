"""Runs of pydantic_ai, recorded and replayed, by every driving style and kind of output."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent  # noqa: E402

from replay import use_cassette  # noqa: E402
from tests.replay.pydantic_ai.driving import STYLES, Asked, scripted  # noqa: E402

pytestmark = pytest.mark.anyio


class Weather(BaseModel):
    city: str
    celsius: int


KINDS = {'text': (False, str), 'tools': (True, str), 'structured': (False, Weather), 'both': (True, Weather)}


def made(kind: str, asked: Asked) -> Agent[Any, Any]:
    """An agent with or without a tool, with text or structured output."""
    tools, output = KINDS[kind]
    agent = Agent[Any, Any](scripted(asked), output_type=output, name='forecaster', system_prompt='Be brief.')
    if tools:

        @agent.tool_plain
        def weather(city: str) -> str:
            """Weather of a city."""
            return f'{city}: sunny'

    return agent


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('kind', KINDS)
async def test_a_run_is_replayed_byte_for_byte_and_object_for_object(tmp_path: Path, kind: str, style: str):
    async def once() -> tuple[Any, int, Any, Any]:
        asked = Asked()
        agent = made(kind, asked)
        with use_cassette('one', dir=tmp_path, record='once') as session:
            output, result = await STYLES[style](agent, 'Weather in Paris?')
        return session, asked.times, output, result

    recording, asked, first, one = await once()
    assert asked == recording.live_requests > 0
    for _ in range(2):
        replayed, asked, second, other = await once()
        assert (asked, replayed.live_requests) == (0, 0)
        assert first == second
        assert one.all_messages_json() == other.all_messages_json() == replayed.all_messages_json()
        assert one.new_messages_json() == other.new_messages_json() == replayed.new_messages_json()
        assert one.all_messages() == other.all_messages()
        assert replayed.node_kinds == recording.node_kinds
        assert replayed.usage == recording.usage


@pytest.mark.parametrize('style', ['run', 'run_stream'])
async def test_the_cassette_names_its_writer_and_is_as_short_as_that_of_the_reference_version(
    tmp_path: Path, style: str
):
    with use_cassette('one', dir=tmp_path, record='once'):
        await STYLES[style](made('both', Asked()), 'Weather in Paris?')
    text = (tmp_path / 'one.json').read_text()
    assert f'"by": "pydantic-ai {pydantic_ai.__version__}"' in text
    assert '"wire": "pydantic-ai ' in text
    assert '"timestamp"' not in text, 'messages stand there whole'
    assert '"whole"' not in text, 'streams stand there whole'
