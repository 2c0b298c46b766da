"""Runs that take turns, and a library that is loaded when a session is open already."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent

from replay import use_cassette
from tests.replay.pydantic_ai.driving import Asked
from tests.replay.pydantic_ai.test_runs import KINDS, made

pytestmark = pytest.mark.anyio

LATE = """
import sys
from replay import use_cassette

assert not any(name.partition('.')[0] == 'pydantic_ai' for name in sys.modules)
with use_cassette('one', dir=sys.argv[1], record=sys.argv[2]) as session:
    from tests.replay.pydantic_ai.driving import Asked
    from tests.replay.pydantic_ai.test_runs import made

    asked = Asked()
    messages = made('both', asked).run_sync('Weather in Paris?').all_messages_json()
    assert messages == session.all_messages_json()
print(asked.times, messages.decode())
"""


def test_a_library_that_is_loaded_when_the_session_is_open_is_recorded_and_replayed(tmp_path: Path):
    found: list[list[str]] = []
    for mode in ('rewrite', 'none'):
        command = [sys.executable, '-W', 'ignore', '-c', LATE, str(tmp_path), mode]
        done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split(' ', 1))
    (recorded, messages), (replayed, again) = found
    assert (int(recorded) > 0, int(replayed)) == (True, 0)
    assert messages == again


@pytest.mark.parametrize('kind', KINDS)
async def test_runs_that_are_stepped_in_turn_are_replayed_each_to_its_own_bytes(tmp_path: Path, kind: str):
    async def once() -> tuple[int, list[bytes], Any]:
        asked = Asked()
        one, other = made(kind, asked), made(kind, asked)
        with use_cassette('one', dir=tmp_path, record='once') as session:
            async with one.iter('Weather in Paris?') as first, other.iter('And in Rome?') as second:
                steps: list[tuple[Any, Any]] = [(first, first.next_node), (second, second.next_node)]
                while steps:
                    run, node = steps.pop(0)
                    if not Agent.is_end_node(node):
                        steps.append((run, await run.next(node)))
            results = [run.result for run in (first, second) if run.result is not None]
        return asked.times, [result.all_messages_json() for result in results], session.live_requests

    (asked, found, _), (again, same, live) = await once(), await once()
    assert (asked > 1, again, live) == (True, 0, 0)
    assert len(found) == 2
    assert found == same
