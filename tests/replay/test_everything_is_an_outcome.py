"""Whatever happens in a run is recorded, and replayed to the same bytes, nodes and errors, without asking anybody."""

from pathlib import Path
from typing import Any

import pytest

from replay import Session
from replay.check import check_cassette
from replay.store import Store

from .outcome_errors import RAISING
from .outcome_flows import FLOWS
from .outcome_runs import FALLBACKS, Scenario, World

pytestmark = pytest.mark.anyio

HISTORY = 'a run whose history its own code changed cannot be played without that code'
NODES = 'a run whose nodes its own code changed cannot be played without that code'
REFUSED: dict[str, str] = {
    'summarised': HISTORY,  # what was inserted was joined to its neighbour before it was sent
    'parts_edited': NODES,
    'response_edited': HISTORY,
    'node_replaced': NODES,
    'node_twice': NODES,
}
"""Scenarios that cannot be played without their own code, and what `check` says of them."""


async def played(folder: Path, scenario: Scenario, **options: Any) -> tuple[World, Session]:
    world = World()
    with Session('run', dir=folder, **options) as session:
        await scenario(world)
    return world, session


def told(session: Session) -> Any:
    """What there is of the runs at the top, by name: those inside of tools need not start in a replay."""
    top = [run for run in session.runs if '/' not in run.name]
    return sorted((run.name, run.node_kinds, run.all_json, run.new_json) for run in top)


@pytest.mark.parametrize('scenario', [*FALLBACKS, *RAISING, *FLOWS], ids=lambda scenario: scenario.__name__)
async def test_a_recording_replays_without_asking_anybody(scenario: Scenario, tmp_path: Path):
    live, recorded = await played(tmp_path, scenario, record='rewrite')
    replayed, again = await played(tmp_path, scenario)
    assert live.asked
    assert (replayed.asked, replayed.ran) == ([], [])
    assert replayed.seen == live.seen
    assert told(again) == told(recorded)
    cassette = Store(tmp_path).read('run')
    checked = [one for one in check_cassette(cassette) if one.verdict != 'exact']
    refused = REFUSED.get(scenario.__name__)
    if refused is None:
        assert checked == []
    else:
        assert {one.reason for one in checked} == {refused}
