"""Cost of importing agentrun: whole processes, against what a program that uses pydantic pays anyway.

    python benchmarks/imports.py [--rounds 15]

Each import runs in a fresh process, turn and turn about, with compiled modules in place; the medians are compared, so
only the ratios mean something. Wall time is what a user waits; CPU time is told beside it, because a machine that does
other work spoils the former. Where `pydantic-ai-slim` is installed, its import is measured too.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMPORTS = {
    'bare Python': 'pass',
    'pydantic': 'from pydantic import BaseModel, TypeAdapter',
    'import agentrun': 'import agentrun',
    'from agentrun import Agent': 'from agentrun import Agent',
    'and FunctionModel': 'from agentrun import Agent; from agentrun.models.function import FunctionModel',
    'import pydantic_ai': 'import pydantic_ai',
}


def milliseconds(code: str) -> tuple[float, float]:
    """Milliseconds of a whole process that runs `code`: on the wall and of the CPU."""
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONDONTWRITEBYTECODE'}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, '-c', code], env=environment, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f'{code!r} ended with {process.returncode}')
    return wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3


def main(rounds: int) -> None:
    imports = IMPORTS
    if importlib.util.find_spec('pydantic_ai') is None:
        imports = {name: code for name, code in IMPORTS.items() if 'pydantic_ai' not in code}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in imports}
    for code in imports.values():
        milliseconds(code)
    for _ in range(rounds):
        for name, code in imports.items():
            measured[name].append(milliseconds(code))
    for place, clock in enumerate(('wall', 'CPU')):
        medians = {name: statistics.median(times[place] for times in found) for name, found in measured.items()}
        for name, median in medians.items():
            ratios = f'{median / medians["pydantic"]:.2f}x pydantic'
            if 'import pydantic_ai' in medians:
                ratios += f', {median / medians["import pydantic_ai"]:.2f}x pydantic_ai'
            print(f'{clock:5}{name:30} {median:7.1f} ms   {ratios}')
    print('budget: agentrun <= 1.25x pydantic, <= 0.30x pydantic_ai')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n', maxsplit=1)[0])
    parser.add_argument('--rounds', type=int, default=15, help='processes of each; the median counts')
    main(parser.parse_args().rounds)
