"""Measures modules that await nothing, each by the tests of its own name alone.

    python tests/coverage_alone.py [NAME ...]

Branches count. What only tests of other modules reach is not covered here: a reader looks for what a module does in the
tests that bear its name. Exits with 1 if anything is below 100 %.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
HERE = 'tests/replay/test_'
SAME_NAME = (
    'age', 'attempts', 'calls', 'canon', 'carrying', 'cuts', 'diff', 'diff_formats', 'errors', 'exchange', 'facts',
    'finder', 'journal', 'logical', 'match', 'minted', 'minting', 'modes', 'names', 'options', 'outline', 'own_text',
    'places', 'printable', 'redact', 'redact_streams', 'report', 'run_view', 'script', 'shapes', 'snapshots',
    'streams', 'unplayed', 'veil', 'verdicts', 'wording',
)  # fmt: skip
"""Modules with one module of tests."""

OTHERS = {
    'cassette': ('codec',),
    'codec/*': ('codec', 'codec_attempts', 'codec_minted', 'shapes'),
    'draft': ('draft', 'tape', 'tape_cancelled', 'tape_streams'),
    'effects': ('tape',),
    'history/*': ('history', 'history_versions'),
    'keep': ('keep', 'keep_streams'),
    'playback': ('playback', 'tape', 'tape_cancelled', 'tape_others', 'tape_streams'),
    'redact_rules': ('redact',),
    'tape': ('tape', 'tape_cancelled', 'tape_others', 'tape_streams'),
}
"""Modules and folders whose tests are in several files, or with those of another module."""


def measured(name: str, tests: tuple[str, ...], folder: Path) -> tuple[bool, str]:
    """Run the tests of a module.

    Returns:
        Whether all of it is covered and they pass, and what says so: a line, and one for each file that is not.
    """
    data = f'--data-file={folder / name.partition("/")[0]}'
    coverage = [sys.executable, '-m', 'coverage']
    files = [f'{HERE}{test}.py' for test in tests]
    ran = subprocess.run(
        [*coverage, 'run', data, '--branch', '--source=replay', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = subprocess.run(
        [*coverage, 'report', data, f'--include=replay/{name}.py', '--fail-under=100', '--skip-empty'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in report.stdout.splitlines() if line.startswith(('replay/', 'TOTAL'))]
    said = '' if ran.returncode == 0 else f'  tests: {ran.stdout.splitlines()[-1]}'
    total, short = lines[-1].removeprefix('TOTAL').strip(), ''.join(f'\n    {row}' for row in lines[:-1])
    return ran.returncode == report.returncode == 0, f'{name:<16}{total}{said}{short}'


def main(names: list[str]) -> int:
    """Measure all modules, or those that are named."""
    modules = {**{name: (name,) for name in SAME_NAME}, **OTHERS}
    whole = True
    with TemporaryDirectory() as folder:
        for name in names or modules:
            covered, line = measured(name, modules[name], Path(folder))
            whole &= covered
            print(line)
    return 0 if whole else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
