"""Cost of a replay of N tool turns against HTTP cassettes: vcrpy under the OpenAI SDK under pydantic_ai.

    python benchmarks/replay_against_http.py [--turns 10 100 300] [--rounds 5] [--bodies]

All sides run in this process, turn and turn about, and the medians are compared: only the ratios mean something. The
floor is the least that anyone could do: read the messages as JSON, validate them, one hop of the event loop per node.
Sides: the floor; `agentrun`, a run of its own replayed; `pydantic_ai`, the run of the agent replayed that vcrpy
replays; `scripted`, that run without any recording, of a model that is a function: what the library itself takes;
`vcrpy`, with its ordinary matching; with `--bodies`, too, with the bodies of requests compared, as the others always
do. Memory is the peak of what Python allocates during one replay. Needs pydantic_ai with openai, and vcrpy.
"""

import argparse
import asyncio
import statistics
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import vcr  # pyright: ignore[reportMissingTypeStubs]
from http_agent import LIMITS, agent_asking, looking, provider, scripted

from benchmarks.replay_speed import Run, Sides, seconds
from replay import use_cassette

BUDGETS = {10: 60, 100: 500, 300: 1000}
"""How many times faster than vcrpy a replay has to be, by N."""

BODIES = ['method', 'scheme', 'host', 'port', 'path', 'query', 'body']


class HttpSides(Sides):
    """The agent of pydantic_ai, with either kind of cassette."""

    async def prepare(self) -> None:
        """Record once by each."""
        await super().prepare()
        self.scripted_agent = looking(scripted(self.turns))
        with provider(self.turns) as url:
            self.http_agent = agent_asking(url)
            with self.http('all'):
                await self.ask()
            async with use_cassette('http', dir=self.folder, record='all'):
                await self.ask()

    def http(self, mode: str, **options: Any) -> Any:
        untyped: Any = vcr
        return untyped.use_cassette(str(self.folder / 'http.yaml'), record_mode=mode, **options)

    async def ask(self) -> None:
        await self.http_agent.run('go', usage_limits=LIMITS)

    async def agentrun(self) -> None:
        await self.replay()

    async def pydantic_ai(self) -> None:
        async with use_cassette('http', dir=self.folder):
            await self.ask()

    async def scripted(self) -> None:
        await self.scripted_agent.run('go', usage_limits=LIMITS)

    async def vcrpy(self) -> None:
        with self.http('none'):
            await self.ask()

    async def vcrpy_bodies(self) -> None:
        with self.http('none', match_on=BODIES):
            await self.ask()


async def peak(run: Run) -> int:
    """Bytes that Python has allocated at most during a run, of those that were not there before."""
    tracemalloc.start()
    await run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


async def compare(sides: HttpSides, rounds: int, *, bodies: bool) -> None:
    await sides.prepare()
    runs: list[Run] = [sides.floor, sides.agentrun, sides.pydantic_ai, sides.scripted, sides.vcrpy]
    runs += [sides.vcrpy_bodies] if bodies else []
    measured: dict[str, list[float]] = {run.__name__: [] for run in runs}
    memory = {run.__name__: await peak(run) for run in runs}
    for _ in range(rounds):
        for run in runs:
            times = 1 if run.__name__.startswith('vcrpy') else max(1, 300 // sides.turns)
            measured[run.__name__].append(await seconds(run, times))
    found = {name: statistics.median(values) for name, values in measured.items()}
    files = {'floor': 'messages.json', 'agentrun': 'walk.json', 'pydantic_ai': 'http.json'}
    asked = f'{BUDGETS.get(sides.turns, "-")}x as fast as vcrpy, at most 4x the floor, peak at most 1.3x'
    print(f'N={sides.turns}, budget: {asked}')
    for name, value in found.items():
        size = 0 if name == 'scripted' else (sides.folder / files.get(name, 'http.yaml')).stat().st_size
        print(
            f'  {name:14} {value * 1e3:10.2f} ms   {value / found["floor"]:8.1f}x floor   '
            f'{found["vcrpy"] / value:7.1f}x as fast as vcrpy   peak {memory[name] / 1e6:7.2f} MB '
            f'{memory[name] / memory["floor"]:6.2f}x   file {size / 1e3:8.1f} kB'
        )


async def main(arguments: argparse.Namespace) -> None:
    for turns in arguments.turns:
        with tempfile.TemporaryDirectory() as folder:
            await compare(HttpSides(turns, Path(folder)), arguments.rounds, bodies=arguments.bodies)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--turns', type=int, nargs='+', default=[10, 100, 300], help='tool turns of the runs')
    parser.add_argument('--rounds', type=int, default=5, help='measurements of each; the median counts')
    parser.add_argument('--bodies', action='store_true', help='vcrpy with bodies compared, too: takes minutes')
    asyncio.run(main(parser.parse_args()))
