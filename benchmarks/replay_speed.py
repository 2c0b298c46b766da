"""Cost of a replay against the floor: read the messages as JSON, validate them, one hop of the event loop per node.

    python benchmarks/replay_speed.py [--rounds 15] [--turns 10 100 300] [--profile TURNS]

All sides run in this process, turn and turn about, and the least CPU time of each is compared: others on the machine
only ever add to it. Only the ratios mean something.

`fed` is a replay that checks nothing: the cassette is read, and whatever the run asks gets the next recorded answer.
What a replay takes longer than that is the price of its checks.
"""

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

from agentrun import Agent, UsageLimits
from agentrun._ambient import LogicalSource, Source
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart, ToolBatch, ToolWork, install
from agentrun._outcomes import ToolReturned
from agentrun.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.usage import RequestUsage
from replay import use_cassette
from replay.adapters.agentrun._wire import Responses
from replay.calls import parts_of
from replay.cassette import Run as Recording
from replay.codec import dumps, loads

TEXT = 'The harbour was quiet in the morning, and the ferry left four minutes late. ' * 9
LIMITS = UsageLimits(request_limit=None)

Run = Callable[[], Awaitable[Any]]


def agent_of(turns: int) -> Agent[None, str]:
    """An agent whose scripted model calls a tool so many times, one after the other."""

    async def script(history: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        made = len(history) // 2
        usage = RequestUsage(input_tokens=10, output_tokens=2)
        if made < turns:
            call = ToolCallPart('look', {'place': made}, tool_call_id=f'call-{made}')
            return ModelResponse(parts=[call], usage=usage)
        return ModelResponse(parts=[TextPart('done')], usage=usage)

    agent = Agent(FunctionModel(script), name='walker', instructions='Look at every place.')

    @agent.tool_plain
    async def look(place: int) -> str:
        """Look at a place.

        Args:
            place: Number of the place.
        """
        return f'{place}: {TEXT}'

    return agent


class Feeding:
    """Gives a run what was recorded, in order, and compares nothing.

    Args:
        recorded: The recording.
    """

    def __init__(self, recorded: Recording) -> None:
        self.source: Source = LogicalSource(recorded.name)
        messages = recorded.messages
        self._responses = Responses(recorded)
        self._answers = iter([one for one in messages if one['kind'] == 'response'])
        parts = [part for one in messages if one['kind'] == 'request' for part in parts_of(one)]
        self._results = iter([part['content'] for part in parts if part['part_kind'] == 'tool-return'])

    def node(self, node: object) -> None:
        pass

    async def request(self, call: ModelCall, do: object) -> ModelResponse:  # noqa: ARG002, nothing is looked at
        return self._responses.restored(next(self._answers))

    def stream(self, call: ModelCall, do: object) -> Any:
        raise NotImplementedError

    async def count_tokens(self, call: ModelCall, do: object) -> RequestUsage:
        raise NotImplementedError

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        for index in range(len(batch.calls)):
            work.arrived(index, work.check(index) or ToolReturned(next(self._results)))

    def finished(self, end: RunEnd) -> None:
        assert end.ended


class Fed:
    """Has all runs fed from one recording."""

    def __init__(self, recorded: Recording) -> None:
        self._recorded = recorded

    def start(self, run: RunStart) -> RunHandler:  # noqa: ARG002, nothing is looked at
        return Feeding(self._recorded)


class Sides:
    """What is compared, on one recording.

    Args:
        turns: Tool calls of the run.
        folder: Where the files are.
    """

    def __init__(self, turns: int, folder: Path) -> None:
        self.turns = turns
        self.folder = folder
        self.agent = agent_of(turns)

    async def prepare(self) -> None:
        """Record."""
        async with use_cassette('walk', dir=self.folder, record='all') as session:
            result = await self.agent.run('go', usage_limits=LIMITS)
        (self.folder / 'messages.json').write_bytes(result.all_messages_json())
        self.cassette = session.cassette_path

    async def floor(self) -> None:
        """The least anyone could do."""
        messages = ModelMessagesTypeAdapter.validate_json((self.folder / 'messages.json').read_bytes())
        for _ in range(2 * self.turns + 3):
            await asyncio.sleep(0)
        assert len(messages) == 2 * self.turns + 2

    async def live(self) -> None:
        """The run with its scripted model."""
        await self.agent.run('go', usage_limits=LIMITS)

    async def replay(self) -> None:
        """The run replayed, from the file to the end of the session."""
        async with use_cassette('walk', dir=self.folder):
            await self.agent.run('go', usage_limits=LIMITS)

    async def fed(self) -> None:
        """The run with its recorded answers, unchecked."""
        with install(Fed(loads(self.cassette.read_bytes()).runs[0])):
            await self.agent.run('go', usage_limits=LIMITS)

    async def record(self) -> None:
        """The run recorded, to the file on the disk."""
        async with use_cassette('again', dir=self.folder, record='rewrite'):
            await self.agent.run('go', usage_limits=LIMITS)

    async def load(self) -> None:
        """The cassette read."""
        loads(self.cassette.read_bytes())

    async def write(self) -> None:
        """The cassette written and read back."""
        dumps(loads(self.cassette.read_bytes()))


async def seconds(run: Run, times: int, *, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds per run; what earlier runs left behind is collected first."""
    gc.collect()
    start = clock()
    for _ in range(times):
        await run()
    return (clock() - start) / times


async def compare(sides: Sides, rounds: int) -> None:
    """Print the least of each side, and its ratio to the floor."""
    await sides.prepare()
    runs: list[Run] = [sides.floor, sides.live, sides.load, sides.fed, sides.replay, sides.write, sides.record]
    measured: dict[str, list[float]] = {run.__name__: [] for run in runs}
    times = max(1, 60 // sides.turns)
    for run in runs:
        await run()
    for _ in range(rounds):
        for run in runs:
            measured[run.__name__].append(await seconds(run, times, clock=time.process_time))
    found = {name: min(values) for name, values in measured.items()}
    print(f'{sides.turns} turns:', end='')
    for name, value in found.items():
        print(f'  {name} {value * 1e3:.2f} ms ({value / found["floor"]:.1f}x)', end='')
    print(f'  checked against unchecked {found["replay"] / found["fed"]:.2f}x (budget <= 1.5x)')


async def main(arguments: argparse.Namespace) -> None:
    for turns in [arguments.profile] if arguments.profile else arguments.turns:
        with tempfile.TemporaryDirectory() as folder:
            sides = Sides(turns, Path(folder))
            if not arguments.profile:
                await compare(sides, arguments.rounds)
                continue
            await sides.prepare()
            run = getattr(sides, arguments.side)
            await run()
            with cProfile.Profile() as profile:
                for _ in range(10):
                    await run()
            pstats.Stats(profile).sort_stats(arguments.sort).print_stats(60)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--rounds', type=int, default=15, help='measurements of each; the least counts')
    parser.add_argument('--turns', type=int, nargs='+', default=[3, 10, 100, 300], help='tool turns of the runs')
    parser.add_argument('--profile', type=int, metavar='TURNS', help='profile one side instead')
    parser.add_argument('--side', default='replay', help='which one: replay, fed, load, record, write, live')
    parser.add_argument('--sort', default='tottime', help='order of a profile: tottime, cumtime')
    asyncio.run(main(parser.parse_args()))
