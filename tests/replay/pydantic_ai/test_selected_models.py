"""Models that a capability selects for each request (versions of 2.x that wrap them)."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent

from replay import use_cassette
from replay.adapters.pydantic_ai._compat import has_capabilities
from tests.replay.pydantic_ai.driving import STYLES, Asked, scripted

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(not has_capabilities(), reason='this version has no capabilities that wrap a selected model')
@pytest.mark.parametrize('style', STYLES)
async def test_an_agent_whose_model_is_only_selected_is_replayed(tmp_path: Path, style: str):
    capabilities = pytest.importorskip('pydantic_ai.capabilities', reason='needs capabilities')

    async def once() -> tuple[Any, int]:
        asked = Asked()
        model = scripted(asked)

        def select(_: object) -> Any:
            return model

        made: Any = Agent
        agent = made(None, name='support', capabilities=[capabilities.SelectModel(select)], defer_model_check=True)
        with use_cassette('one', dir=tmp_path, record='once') as session:
            _, result = await STYLES[style](agent, 'Weather in Paris?')
        assert session.all_messages_json() == result.all_messages_json()
        return result, asked.times

    (one, asked), (other, again) = await once(), await once()
    assert (asked, again) == (1, 0)
    assert one.all_messages_json() == other.all_messages_json()
    assert one.all_messages() == other.all_messages()
