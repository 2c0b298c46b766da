"""What recording adds to a run of a pydantic_ai agent of N tool turns.

    python benchmarks/recording_overhead.py [--turns 100] [--rounds 9]

The agent asks a provider on this machine through the official SDK, or, on the lines `scripted`, a function: the least
that a model can cost, so that nothing hides what recording does. Recorded and unrecorded runs take turns in this
process, and the medians are compared: only the ratios mean something. Recording includes the file on the disk, and
each answer flushed to it; CPU time leaves out what only waits for the disk.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from http_agent import LIMITS, agent_asking, looking, provider, scripted
from pydantic_ai import Agent

from benchmarks.replay_speed import seconds
from replay import use_cassette

BUDGET = 5
"""Per cent of the unrecorded run."""


async def compare(kind: str, agent: Agent[None, str], turns: int, rounds: int) -> None:
    """Print both sides and what recording adds."""

    async def plain() -> None:
        await agent.run('go', usage_limits=LIMITS)

    names = itertools.count()
    with tempfile.TemporaryDirectory() as folder:

        async def recorded() -> None:
            async with use_cassette(f'walk-{next(names)}', dir=Path(folder), record='rewrite'):
                await plain()

        runs: list[Callable[[], Awaitable[Any]]] = [plain, recorded]
        measured: dict[str, list[tuple[float, float]]] = {run.__name__: [] for run in runs}
        for run in runs:
            await run()
        for turn in range(rounds):
            for run in runs if turn % 2 else reversed(runs):
                cpu = time.process_time()
                measured[run.__name__].append((await seconds(run, 1), time.process_time() - cpu))
    print(f'{kind:9} N={turns:<4} (budget: adds <= {BUDGET} %)')
    for column, clock in enumerate(('wall', 'CPU')):
        alone, more = (statistics.median(each[column] for each in measured[run.__name__]) * 1e3 for run in runs)
        added = f'adds {(more / alone - 1) * 100:6.1f} %'
        print(f'  {clock:4} unrecorded {alone:9.2f} ms   recorded {more:9.2f} ms   {added}')


async def main(arguments: argparse.Namespace) -> None:
    for turns in arguments.turns:
        with provider(turns) as url:
            await compare('HTTP', agent_asking(url), turns, arguments.rounds)
        await compare('scripted', looking(scripted(turns)), turns, arguments.rounds)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--turns', type=int, nargs='+', default=[100], help='tool turns of the runs')
    parser.add_argument('--rounds', type=int, default=9, help='measurements of each; the median counts')
    asyncio.run(main(parser.parse_args()))
