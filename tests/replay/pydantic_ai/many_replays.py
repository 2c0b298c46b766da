"""Replays every case in many processes, each with another hash seed: one distinct result per case, the recorded one.

    python tests/replay/pydantic_ai/many_replays.py [NUMBER]

A case is a kind of output (text, tools, structured, both) in one style of driving a run. A process replays all of them
once. What is compared is all that a user can see: both message dumps, the kinds of the nodes, the usage and the output.
"""

import asyncio
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed

from replay import use_cassette  # noqa: E402, needs the path above
from replay.adapters.pydantic_ai._compat import installed_version  # noqa: E402, needs the path above
from replay.modes import Mode  # noqa: E402, needs the path above
from tests.replay.pydantic_ai.driving import STYLES, Asked  # noqa: E402, needs the path above
from tests.replay.pydantic_ai.test_runs import KINDS, made  # noqa: E402, needs the path above

PROCESSES = os.cpu_count() or 1


async def one(kind: str, style: str, folder: Path, mode: Mode) -> str:
    """Run one case.

    Returns:
        A digest of what a user sees of it.

    Raises:
        AssertionError: If a replay asked the model.
    """
    asked = Asked()
    with use_cassette(f'{kind}-{style}', dir=folder, record=mode) as session:
        output, result = await STYLES[style](made(kind, asked), 'Weather in Paris?')
    assert mode == 'rewrite' or asked.times == 0, f'{kind} by {style}: the model was asked {asked.times} times'
    seen = (result.all_messages_json(), result.new_messages_json(), session.node_kinds, session.usage, output)
    return hashlib.sha256(repr(seen).encode()).hexdigest()


async def all_cases(folder: Path, mode: Mode) -> list[str]:
    """Run every case, a line each."""
    return [
        f'{kind} {style} {await one(kind, style, folder, mode)}' for kind, style in itertools.product(KINDS, STYLES)
    ]


def in_a_process(folder: Path, mode: Mode, seed: int) -> list[str]:
    """The same in a process of its own, with a hash seed of its own."""
    # Compiling what is imported would be most of the work.
    kept = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    environment = {**kept, 'PYTHONHASHSEED': str(seed)}
    command = [sys.executable, __file__, '--cases', str(folder), mode]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()


def main(number: int) -> int:
    """Record once, replay so often, and print what came of it.

    Returns:
        The exit code: 1 if a case had another result than its recording.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorded = in_a_process(folder, 'rewrite', 0)
        with ThreadPoolExecutor(PROCESSES) as pool:
            replayed = list(pool.map(partial(in_a_process, folder, 'none'), range(1, number + 1)))
    results = Counter(itertools.chain(recorded, *replayed))
    cases = len(KINDS) * len(STYLES)
    odd = sorted(line for line, times in results.items() if times != number + 1)
    print(
        f'pydantic_ai {installed_version()}: {cases} cases, recorded once, {number} replays each in {number} processes'
    )
    print(f'{cases * number} replays, {len(results)} distinct results for {cases} cases')
    for line in odd:
        print(f'  {results[line]} of {number + 1}: {line}')
    return 1 if odd else 0


if __name__ == '__main__':
    if sys.argv[1:2] == ['--cases']:
        print('\n'.join(asyncio.run(all_cases(Path(sys.argv[2]), cast('Mode', sys.argv[3])))))
        sys.exit()
    sys.exit(main(int((sys.argv[1:] or ['100'])[0])))
