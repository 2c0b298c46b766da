"""How a test with a recording looks: ask for the fixture, run the agent, say what matters.

Record: `pytest examples/test_trip.py --replay-record=once`; from then on plain `pytest examples/test_trip.py` replays.
"""

import pytest

from examples.trip import trip_agent
from replay import Session

pytestmark = pytest.mark.anyio


async def test_forecast(agent_run_replay: Session) -> None:
    """The fixture tells what happened, node by node."""
    result = await trip_agent.run('Weather in Paris?')
    assert result.output == 'Sunny, 21 degrees.'
    assert agent_run_replay.node_kinds == [
        'UserPromptNode',
        'ModelRequestNode',
        'CallToolsNode',
        'ModelRequestNode',
        'CallToolsNode',
        'End',
    ]


@pytest.mark.agent_run_replay
def test_two_cities_without_a_loop() -> None:
    """The marker alone is enough."""
    assert trip_agent.run_sync('Weather in Paris and Rome?').output == 'Sunny, 21 degrees. Cloudy, 18.5 degrees.'
