"""What a test of a three-turn run costs above an empty asynchronous test, in a suite of many of them.

    python benchmarks/suite.py [--tests 500] [--rounds 3]

Suites, each in a process of pytest of its own: empty tests; `agentrun`, runs replayed by the fixture; `pydantic_ai`,
the same of its agents, their model the OpenAI SDK; `FunctionModel`, that run under pydantic_ai with a scripted model
and nothing recorded; `vcrpy`, the run replayed over HTTP. Each suite also runs with one test: the difference, by test,
has no start and no import in it. The suites take turns, and medians are compared. Only ratios mean something; CPU time
stands beside wall time, which other work of the machine spoils. Needs pydantic_ai with openai, and vcrpy.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from http_agent import provider

ROOT = Path(__file__).parent.parent

TURNS = 2
"""Tool calls of a run, one a turn; the third turn answers."""

BUDGET = 0.6
"""Milliseconds a test above an empty one, of a replay."""

HEAD = """
import os
import sys

import pytest

sys.path[:0] = {paths}
pytestmark = pytest.mark.anyio
@pytest.fixture(scope='module')
def anyio_backend():
    return 'asyncio'
"""

ASKING = """
from benchmarks.http_agent import agent_asking
agent = agent_asking(os.environ['PROVIDER'])
"""
SCRIPTED = f"""
from benchmarks.http_agent import looking
from benchmarks.recording_overhead import scripted
agent = looking(scripted({TURNS}))
"""
OVER_HTTP = """
import vcr
once = vcr.VCR(record_mode='once', cassette_library_dir='http')
"""
RUN = "await agent.run('go')"

SUITES = {
    'empty': ('', '', 'pass'),
    'agentrun': (f'from benchmarks.replay_speed import agent_of\nagent = agent_of({TURNS})', 'agent_run_replay', RUN),
    'pydantic_ai': (ASKING, 'agent_run_replay', RUN),
    'FunctionModel': (SCRIPTED, '', RUN),
    'vcrpy': (ASKING + OVER_HTTP, '', f"with once.use_cassette('{{number}}.yaml'):\n        {RUN}"),
}
"""Of each suite: what stands above its tests, the fixture that they ask for, and what they do."""


def written(name: str, folder: Path, tests: int) -> Path:
    """Write a suite."""
    above, fixture, body = SUITES[name]
    lines = [HEAD.format(paths=[str(ROOT), str(ROOT / 'benchmarks')]), above]
    lines += [f'async def test_{n}({fixture}):\n    {body.format(number=n)}\n' for n in range(tests)]
    place = folder / name / str(tests)
    place.mkdir(parents=True)
    (place / 'test_suite.py').write_text('\n'.join(lines), encoding='utf-8')
    return place


def seconds(place: Path, url: str, *options: str) -> tuple[float, float]:
    """Wall and CPU time of one run of a suite."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(('PYTEST_', 'PYTHONDONT'))}
    plugins = ('-p', 'anyio', '-p', 'replay.pytest_plugin', '-p', 'no:cacheprovider')
    environment = {**kept, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1', 'PYTHONPATH': str(ROOT), 'PROVIDER': url}
    command = [sys.executable, '-m', 'pytest', '-q', '-q', *plugins, '--rootdir', '.', *options]
    begun = perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=place, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f'{" ".join(command)} in {place} ended with {process.returncode}')
    return wall, usage.ru_utime + usage.ru_stime


def each_test(folder: Path, url: str, tests: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds by test, wall and CPU, of each suite."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in SUITES}
    places = {name: (written(name, folder, 1), written(name, folder, tests)) for name in SUITES}
    for name, pair in places.items():
        for place in pair:
            options = ('--replay-record=once',) if SUITES[name][1] else ()
            seconds(place, url, *options)
    for _ in range(rounds):
        for name, (one, many) in places.items():
            start, whole = seconds(one, url), seconds(many, url)
            wall, cpu = ((b - a) / (tests - 1) * 1000 for a, b in zip(start, whole, strict=True))
            measured[name].append((wall, cpu))
    return {
        name: (statistics.median(wall for wall, _ in found), statistics.median(cpu for _, cpu in found))
        for name, found in measured.items()
    }


def main(tests: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, provider(TURNS, keep_alive=False) as url:
        found = each_test(Path(folder), url, tests, rounds)
    empty = found['empty']
    print(f'{tests} tests of three turns; ms a test above an empty one (budget of a replay <= {BUDGET})')
    for name, each in found.items():
        cells = [
            f'{clock} {value:7.2f} above {value - base:7.2f}'
            for clock, value, base in zip(('wall', 'CPU'), each, empty, strict=True)
        ]
        print(f'{name:14}', '   '.join(cells))


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--tests', type=int, default=500, help='tests of each suite')
    parser.add_argument('--rounds', type=int, default=3, help='measurements of each; the median counts')
    arguments = parser.parse_args()
    main(arguments.tests, arguments.rounds)
