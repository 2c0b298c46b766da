"""Runs of pydantic_ai, recorded and replayed."""

from pathlib import Path
from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent  # noqa: E402
from pydantic_ai.messages import ModelResponse, TextPart  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402

from replay import use_cassette  # noqa: E402

pytestmark = pytest.mark.anyio


def answering(*texts: str) -> FunctionModel:
    """A model that gives these answers, one after the other, and then fails."""
    left = list(texts)

    def answer(_messages: Any, _info: Any) -> ModelResponse:
        return ModelResponse(parts=[TextPart(left.pop(0))])

    return FunctionModel(answer)


async def test_a_run_is_recorded_and_replayed_byte_for_byte(tmp_path: Path):
    async def once() -> Any:
        agent = Agent(answering('Sunny') if record else answering(), name='weather', system_prompt='Be brief.')
        with use_cassette('one', dir=tmp_path, record='once') as session:
            result = await agent.run('Weather in Paris?')
        return session, result

    record = True
    recording, first = await once()
    record = False
    replayed, second = await once()
    assert (recording.live_requests, replayed.live_requests) == (1, 0)
    assert first.output == second.output == 'Sunny'
    assert first.all_messages_json() == second.all_messages_json()
    assert first.all_messages() == second.all_messages()
    assert replayed.node_kinds == ['UserPromptNode', 'ModelRequestNode', 'CallToolsNode', 'End']
