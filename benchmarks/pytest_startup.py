"""What the plugin adds to the start of pytest: bare pytest, with this plugin, with pytest-recording, in turns.

A module without any code, loaded as a plugin, shows how much of it is the price of any plugin. Each measurement is a
whole process that runs one empty test; no other plugin is loaded. CPU time and the best round stand beside the median
of wall time, because other work of the machine spoils the latter. Run it as `python benchmarks/pytest_startup.py`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).parent.parent
PLUGINS = {
    'bare pytest': (),
    'empty plugin': ('empty_plugin',),
    'replay': ('replay.pytest_plugin',),
    'pytest-recording': ('pytest_recording.plugin',),
}

Times = list[tuple[float, float]]
"""Wall and CPU time of each round, in milliseconds."""


def median_of(times: Times, column: int) -> float:
    return median(each[column] for each in times)


def best_of(times: Times, column: int) -> float:
    return min(each[column] for each in times)


COLUMNS = (('wall', median_of, 0), ('cpu', median_of, 1), ('best cpu', best_of, 1))


def measured(folder: Path, plugins: tuple[str, ...]) -> tuple[float, float]:
    """Wall and CPU time of one run, in milliseconds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(('PYTEST_', 'PYTHONDONT'))}
    path = os.pathsep.join(filter(None, [str(ROOT), str(folder), os.environ.get('PYTHONPATH')]))
    environment = {**kept, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1', 'PYTHONPATH': path}
    options = [part for plugin in plugins for part in ('-p', plugin)]
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *options, str(folder)]
    begun = perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f'{" ".join(command)} ended with {process.returncode}')
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=21)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        sys.path[:0] = [str(ROOT), folder]
        (Path(folder) / 'test_empty.py').write_text('def test_empty():\n    pass\n', encoding='utf-8')
        (Path(folder) / 'empty_plugin.py').touch()
        subjects = {
            name: plugins for name, plugins in PLUGINS.items() if all(find_spec(each.split('.')[0]) for each in plugins)
        }
        times: dict[str, Times] = {name: [] for name in subjects}
        for turn in range(rounds + 1):
            for name, plugins in subjects.items():
                found = measured(Path(folder), plugins)
                if turn:  # the first one compiles and warms up
                    times[name].append(found)
    bare = times['bare pytest']
    for name, found in times.items():
        cells = [
            f'{label} {summary(found, column):6.1f} ms {summary(found, column) / summary(bare, column):5.3f}x'
            for label, summary, column in COLUMNS
        ]
        print(f'{name:<18}', '   '.join(cells))
    for name in PLUGINS.keys() - subjects.keys():
        print(f'{name:<18} not installed')


if __name__ == '__main__':
    main()
