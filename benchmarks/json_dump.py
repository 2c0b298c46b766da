"""Cost of a history as JSON against pydantic-ai 1.38: first dump, later dumps, a snapshot after every message.

    python benchmarks/json_dump.py [--turns 1000] [--rounds 7]

Every message holds plain strings and numbers. Both libraries dump in this process, turn and turn about; the medians of
CPU time are compared, so that only the ratios mean something. Needs `pydantic-ai-slim==1.38.0`. The last line is what
nobody could do better in Python: bytes that are known already, put together.
"""

import argparse
import gc
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

from agentrun.messages import ModelMessage
from agentrun.messages._wire import dump_messages

Dump = Callable[[], object]


def history(library: str, turns: int) -> list[Any]:
    """A run of `turns` tool calls, two messages each, and a final answer."""
    messages: Any = importlib.import_module(f'{library}.messages')
    usage: Any = importlib.import_module(f'{library}.usage')
    made: list[Any] = []
    part = messages.UserPromptPart('What is the weather?')
    for turn in range(turns + 1):
        made.append(messages.ModelRequest(parts=[part], run_id='run'))
        name, call = 'look', f'call-{turn}'
        answer = messages.ToolCallPart(name, f'{{"place": {turn}, "unit": "celsius"}}', call)
        counted = usage.RequestUsage(input_tokens=1000 + turn, output_tokens=20)
        made.append(messages.ModelResponse(parts=[answer], usage=counted, model_name='scripted', run_id='run'))
        part = messages.ToolReturnPart(name, f'At place {turn} it is sunny, 21 degrees, with a light breeze.', call)
    made[-1].parts = [messages.TextPart('It is sunny everywhere.')]
    return made


def seconds(dump: Dump) -> float:
    """CPU seconds of one call; what earlier ones left behind is collected first."""
    gc.collect()
    start = time.process_time()
    dump()
    return time.process_time() - start


def compare(rounds: int, theirs: Dump, ours: Callable[[], Dump]) -> tuple[float, float]:
    """Median seconds of both, measured in turn; `ours` sets the stage and gives what is measured."""
    found: list[tuple[float, float]] = [(seconds(theirs), seconds(ours())) for _ in range(rounds)]
    medians = [statistics.median(times) for times in zip(*found, strict=True)]
    return medians[0], medians[1]


def snapshots(messages: list[Any], dump: Callable[[list[Any]], bytes]) -> None:
    """Dump the history after every message."""
    for length in range(1, len(messages) + 1):
        dump(messages[:length])


def main() -> None:
    """Print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--turns', type=int, default=1000, help='tool calls of the run')
    parser.add_argument('--rounds', type=int, default=7, help='measurements of each; the median counts')
    options = parser.parse_args()
    turns: int = options.turns
    rounds: int = options.rounds
    reference: Any = importlib.import_module('pydantic_ai.messages').ModelMessagesTypeAdapter
    theirs = history('pydantic_ai', turns)
    ours = history('agentrun', turns)
    for message, other in zip(ours, theirs, strict=True):
        stamp(message, other)
    if dump_messages(ours) != reference.dump_json(theirs):
        sys.exit('the bytes differ')
    pieces = [dump_messages([message])[1:-1] for message in ours]
    print(f'{len(ours)} messages, {len(reference.dump_json(theirs))} bytes')

    def known(messages: list[ModelMessage]) -> bytes:
        return b'[' + b','.join(pieces[: len(messages)]) + b']'

    cases: list[tuple[str, int, Dump, Callable[[], Dump]]] = [
        (
            'dump of new messages',
            rounds,
            lambda: reference.dump_json(theirs),
            lambda: fresh(turns),
        ),
        ('dump once more', rounds, lambda: reference.dump_json(theirs), lambda: lambda: dump_messages(ours)),
        ('snapshot after every message', 1, lambda: snapshots(theirs, reference.dump_json), lambda: grown(turns)),
        ('known bytes joined', rounds, lambda: reference.dump_json(theirs), lambda: lambda: known(ours)),
        (
            'known bytes joined after every message',
            1,
            lambda: snapshots(theirs, reference.dump_json),
            lambda: lambda: snapshots(ours, known),
        ),
    ]
    for name, times, their_dump, our_dump in cases:
        slow, fast = compare(times, their_dump, our_dump)
        print(f'{name:40} {slow * 1e3:9.2f} ms  {fast * 1e3:9.2f} ms   {slow / fast:6.1f}x')
    print('budgets: new messages >= 1.4x, once more >= 50x, snapshots >= 150x')


def fresh(turns: int) -> Dump:
    """The dump of messages that nobody has dumped yet."""
    messages = history('agentrun', turns)
    return lambda: dump_messages(messages)


def grown(turns: int) -> Dump:
    """The snapshots of a run that nobody has dumped yet."""
    messages = history('agentrun', turns)
    return lambda: snapshots(messages, dump_messages)


def stamp(message: Any, other: Any) -> None:
    """Give a message the times of its twin."""
    for ours, theirs in [(message, other), *zip(message.parts, other.parts, strict=True)]:
        if hasattr(ours, 'timestamp'):
            ours.timestamp = theirs.timestamp


if __name__ == '__main__':
    main()
