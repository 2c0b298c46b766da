"""Random streamed runs, driven in any way: recorded, then replayed to the same events, states, messages and errors."""

import tempfile
from typing import Any

import pytest

pytest.importorskip('pydantic_ai', reason='scripts of streams are those of the comparison with pydantic-ai-slim 1.38')

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay import Session
from replay.errors import NotRestorable
from tests.agentrun.test_differential_streaming import ASKED, SCENARIOS
from tests.side_by_side import OURS
from tests.stream_driving import STYLES, Driving, Scenario, Seen, run_in


def recorded_and_replayed(scenario: Scenario, driving: Driving, backends: tuple[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, problems, views = in_session(
            scenario, driving, backends[0], Session('run', dir=folder, record='rewrite')
        )
        if any(isinstance(problem, NotRestorable) for problem in problems):
            return
        again, found, shown = in_session(scenario, driving, backends[1], Session('run', dir=folder))
        assert not problems
        assert not found, found[0].render()
        assert lines(first) == lines(again)
        assert views == shown


def in_session(scenario: Scenario, driving: Driving, backend: str, session: Session) -> Any:
    with session.bound():
        session.open()
        seen = run_in(OURS, scenario, driving, backend)
        problems = session.close()
    return seen, problems, [(run.name, run.all_json, run.node_kinds) for run in session.runs]


def lines(seen: Seen) -> list[str]:
    found = [*seen.noted, seen.error, seen.captured]
    return [line.replace('TIME)', 'TIME') for line in found]  # the same zone has two classes, with reprs of their own


@pytest.mark.parametrize('style', STYLES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    scenario=SCENARIOS,
    asked=st.lists(ASKED, max_size=3).map(tuple),
    broken_off=st.sampled_from([False, False, False, True]),
    backends=st.permutations(['asyncio', 'trio']).map(tuple),
)
def test_any_stream_replays_as_it_was_recorded(
    style: str, scenario: Scenario, asked: Any, broken_off: bool, backends: Any
):
    recorded_and_replayed(scenario, Driving(style, asked, broken_off), backends)
