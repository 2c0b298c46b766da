"""The same scripted agent under agentrun and under pydantic_ai leaves the same cassette."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')


import agentrun  # noqa: E402
from replay import use_cassette  # noqa: E402
from replay.adapters.pydantic_ai._wire import table_name  # noqa: E402

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(table_name() != 'pydantic-ai 1.38', reason='agentrun behaves as version 1.38 does'),
]


async def recorded(library: Any, tmp_path: Path, *, streamed: bool) -> str:
    """The cassette of an agent of a library that calls a tool and answers, its writer apart."""
    messages, models = (import_module(f'{library.__name__}.{name}') for name in ('messages', 'models.function'))

    def answer(history: Any, _info: Any) -> Any:
        if len(history) == 1:
            return messages.ModelResponse(parts=[messages.ToolCallPart('weather', {'city': 'Paris'})])
        return messages.ModelResponse(parts=[messages.TextPart('Sunny.')])

    async def stream(history: Any, _info: Any) -> Any:
        if len(history) == 1:
            yield {0: models.DeltaToolCall('weather', '{"city": "Paris"}')}
        else:
            yield 'Sun'
            yield 'ny.'

    agent = library.Agent(
        models.FunctionModel(answer, stream_function=stream), name='forecaster', instructions='Brief.'
    )

    @agent.tool_plain
    def weather(city: str) -> str:
        """Weather of a city."""
        return f'{city}: sunny'

    with use_cassette(library.__name__, dir=tmp_path, record='all') as session:
        if streamed:
            async with agent.run_stream('Weather?') as result:
                await result.get_output()
        else:
            await agent.run('Weather?')
    text = session.cassette_path.read_text()
    return re.sub(r'"by": "[^"]*"|"seal": "[^"]*"', '', text)


@pytest.mark.parametrize('streamed', [False, True])
async def test_both_libraries_leave_the_same_cassette(tmp_path: Path, streamed: bool):
    one = await recorded(agentrun, tmp_path, streamed=streamed)
    other = await recorded(pydantic_ai, tmp_path, streamed=streamed)
    assert one == other
