"""Values that a run makes anew each time: a replay shows those of its recording."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent  # noqa: E402

from replay import use_cassette  # noqa: E402
from tests.replay.pydantic_ai.driving import STYLES, Asked, scripted  # noqa: E402

pytestmark = pytest.mark.anyio

UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f-]{27}')


@pytest.mark.parametrize('style', STYLES)
async def test_a_fresh_id_is_shown_as_it_was_recorded(tmp_path: Path, style: str):
    async def once() -> tuple[Any, Any, int]:
        asked, fresh = Asked(), str(uuid4())
        agent = Agent[None, str](scripted(asked), name='support', instructions=f'Session {fresh}.')

        @agent.tool_plain
        def weather(city: str) -> str:
            """Weather of a city."""
            return f'{city}: sunny'

        with use_cassette('one', dir=tmp_path, record='once') as session:
            _, result = await STYLES[style](agent, f'Open {fresh}')
        return session, result, asked.times

    (recording, one, asked), (replayed, other, again) = await once(), await once()
    assert asked > again == 0
    assert len(set(UUID.findall(str([message.parts for message in one.all_messages()])))) == 1
    assert one.all_messages_json() == other.all_messages_json()
    assert one.all_messages() == other.all_messages()
    assert recording.all_messages_json() == replayed.all_messages_json() == other.all_messages_json()
