"""Cost of a node of a run against pydantic-ai 1.38: scripted model, N tool turns, then text.

    python benchmarks/node_loop.py [--rounds 5]

Both libraries run in this process, turn and turn about, and the medians are compared: only the ratios mean something.
Needs `pydantic-ai-slim==1.38.0`.
"""

import argparse
import asyncio
import gc
import importlib
import statistics
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

Run = Callable[[], Awaitable[Any]]


@dataclass
class Library:
    """One of the two, by the names of its modules."""

    name: str

    def module(self, path: str) -> ModuleType:
        return importlib.import_module(f'{self.name}{path}')

    def loop(self, turns: int, *, usage: bool, streamed: bool = False) -> Run:
        """A run of `turns` tool calls, one after the other."""
        messages, counted, function = self.module('.messages'), self.module('.usage'), self.module('.models.function')

        async def script(history: list[Any], _info: Any) -> Any:
            made = len(history) // 2
            part = messages.TextPart('done')
            if made < turns:
                part = messages.ToolCallPart('look', {'place': made}, tool_call_id=f'call-{made}')
            if not usage:
                return messages.ModelResponse(parts=[part])
            return messages.ModelResponse(parts=[part], usage=counted.RequestUsage(input_tokens=10, output_tokens=2))

        async def stream(history: list[Any], _info: Any) -> AsyncIterator[Any]:
            made = len(history) // 2
            if made < turns:
                yield {0: function.DeltaToolCall('look', f'{{"place": {made}}}', tool_call_id=f'call-{made}')}
            else:
                yield 'done'

        model = function.FunctionModel(stream_function=stream) if streamed else function.FunctionModel(script)
        agent = self.module('').Agent(model)

        @agent.tool_plain
        async def look(place: int) -> str:
            return f'seen {place}'

        async def drain(_ctx: Any, events: AsyncIterable[Any]) -> None:
            async for _ in events:
                pass

        limits = counted.UsageLimits(request_limit=None)
        handler = drain if streamed else None
        return lambda: agent.run('go', usage_limits=limits, event_stream_handler=handler)

    def parallel(self, calls: int) -> Run:
        """A run with many calls in one response."""
        messages = self.module('.messages')

        async def script(history: list[Any], _info: Any) -> Any:
            if len(history) > 1:
                return messages.ModelResponse(parts=[messages.TextPart('done')])
            parts = [messages.ToolCallPart('look', {'place': i}, tool_call_id=f'call-{i}') for i in range(calls)]
            return messages.ModelResponse(parts=parts)

        agent = self.module('').Agent(self.module('.models.function').FunctionModel(script))

        @agent.tool_plain
        async def look(place: int) -> str:
            return f'seen {place}'

        return lambda: agent.run('go')

    def structured(self) -> Run:
        """A run that ends in a call of an output tool."""
        messages = self.module('.messages')

        async def script(_history: list[Any], _info: Any) -> Any:
            part = messages.ToolCallPart('final_result', {'city': 'Paris', 'people': 2}, tool_call_id='call')
            return messages.ModelResponse(parts=[part])

        agent = self.module('').Agent(self.module('.models.function').FunctionModel(script), output_type=Place)
        return lambda: agent.run('go')


@dataclass
class Place:
    """An output."""

    city: str
    people: int


async def seconds(run: Run, times: int) -> float:
    """Seconds per run; what earlier runs left behind is collected first."""
    gc.collect()
    start = time.perf_counter()
    for _ in range(times):
        await run()
    return (time.perf_counter() - start) / times


async def compare(runs: dict[str, Run], times: int, rounds: int) -> dict[str, float]:
    """Median seconds per run of each, measured in turn."""
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        await run()
    for _ in range(rounds):
        for name, run in runs.items():
            measured[name].append(await seconds(run, times))
    return {name: statistics.median(values) for name, values in measured.items()}


async def main(rounds: int) -> None:
    ours, theirs = Library('agentrun'), Library('pydantic_ai')
    for turns, times in ((1, 200), (10, 30), (100, 4), (1000, 1)):
        for kind, usage, streamed in (('', True, False), (', estimated', False, False), (', streamed', True, True)):
            if turns == 1000 and kind:
                continue  # the other library takes too long: its cost per node grows with the run
            loops = {lib.name: lib.loop(turns, usage=usage, streamed=streamed) for lib in (ours, theirs)}
            found = await compare(loops, times, rounds)
            show(f'node loop{kind}, N={turns}, us a node', found, 1e6 / (2 * turns + 3), None if kind else 12)
    runs = {f'N={turns}': ours.loop(turns, usage=False) for turns in (10, 1000)}
    found = await compare({'N=10': many(runs['N=10'], 90), 'N=1000': runs['N=1000']}, 1, rounds)
    per_node = found['N=10'] / (90 * 23), found['N=1000'] / 2003
    print(f'{"usage estimated, us a node, N=10 and 1000":44} {per_node[0] * 1e6:9.2f} {per_node[1] * 1e6:9.2f}', end='')
    print(f'   growth {per_node[1] / per_node[0]:.2f}x (budget <= 1.1x)')
    found = await compare({lib.name: lib.parallel(50) for lib in (ours, theirs)}, 20, rounds)
    show('50 parallel calls, ms a run', found, 1e3, 5)
    found = await compare({lib.name: lib.structured() for lib in (ours, theirs)}, 50, rounds)
    show('structured output, ms a run', found, 1e3, 8)


def many(run: Run, times: int) -> Run:
    async def repeated() -> None:
        for _ in range(times):
            await run()

    return repeated


def show(what: str, found: dict[str, float], scale: float, budget: float | None) -> None:
    ours, theirs = found['agentrun'], found['pydantic_ai']
    asked = '' if budget is None else f' (budget <= 1/{budget})'
    print(f'{what:44} {ours * scale:9.2f} {theirs * scale:9.2f}   1/{theirs / ours:.1f}{asked}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--rounds', type=int, default=5, help='measurements of each; the median counts')
    asyncio.run(main(parser.parse_args().rounds))
