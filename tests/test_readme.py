"""Every example of the README and of the pages in docs/ runs, in order, in an empty folder.

A block marked `<!-- file: NAME -->` is written to NAME. In a block marked `<!-- run -->` the lines that begin with `$ `
are typed and the lines below each are what has to come out (`...` stands for anything). A Python block marked
`<!-- python -->` is run as a script of its own.
"""

import doctest
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
BLOCK = re.compile(r'^<!-- (file|run|python)(?:: (\S+))? -->\n+```\w*\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r'^\$ (.+)$', re.MULTILINE)

NEEDS_PLUGINS = {'snapshots.md', 'migrating.md'}
"""Pages whose examples are about other plugins. Without the rest of those that are installed, pytest starts in half
the time."""
FEW_PLUGINS = {'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1', 'PYTEST_PLUGINS': 'anyio.pytest_plugin,xdist.plugin'}


@dataclass(frozen=True)
class Block:
    kind: str
    name: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding='utf-8')
    return [Block(m[1], m[2] or '', m[3], text.count('\n', 0, m.start()) + 1) for m in BLOCK.finditer(text)]


def run(command: str, folder: Path, **plugins: str) -> str:
    """What a person in `folder` sees, with the tree's packages and this interpreter's commands first in line."""
    bins = Path(sys.executable).parent
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith(('PYTEST_', 'COV_', 'CI'))},
        'PATH': f'{bins}{os.pathsep}{os.environ["PATH"]}',
        'PYTHONPATH': str(ROOT),
        'COLUMNS': '100',
        'NO_COLOR': '1',
        # Byte code is kept by whole seconds and size: an edit within the second might not be seen.
        'PYTHONDONTWRITEBYTECODE': '1',
        **plugins,
    }
    # Where the distribution is not installed there is no command `replay` and no plugin entry point.
    command = re.sub(r'^replay\b', f'{sys.executable} -m replay', command)
    command = re.sub(r'^pytest\b', f'{sys.executable} -m pytest -p replay.pytest_plugin', command)
    command = re.sub(r'^python\b', sys.executable, command)
    done = subprocess.run(
        command, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    return done.stdout + done.stderr


def expected_after(commands: list[re.Match[str]], index: int, text: str) -> str:
    end = commands[index + 1].start() if index + 1 < len(commands) else len(text)
    return text[commands[index].end() + 1 : end]


def check_console(block: Block, folder: Path, **plugins: str) -> None:
    commands = list(COMMAND.finditer(block.text))
    assert commands, f'line {block.line}: a console block without a command'
    for index, command in enumerate(commands):
        want = expected_after(commands, index, block.text)
        got = run(command[1], folder, **plugins)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(want, got, flags), (
            f'line {block.line}: $ {command[1]}\n--- expected\n{want}\n--- got\n{got}'
        )


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_example_of_the_page_runs_as_printed(page: Path, tmp_path: Path):
    for block in blocks_of(page):
        if block.kind == 'file':
            target = tmp_path / block.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding='utf-8')
        elif block.kind == 'run':
            check_console(block, tmp_path, **({} if page.name in NEEDS_PLUGINS else FEW_PLUGINS))
        else:
            script = tmp_path / 'example.py'
            script.write_text(block.text, encoding='utf-8')
            out = run('python -W error example.py', tmp_path)
            assert 'Traceback' not in out, f'line {block.line}:\n{out}'


def test_the_demo_prints_what_the_readme_shows(tmp_path: Path):
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    shown = re.search(r'<!-- prints: (\S+) -->\n```text\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert run(f'python {ROOT / shown[1]}', tmp_path) == shown[2]


def test_the_readme_has_examples_of_each_kind():
    kinds = {block.kind for block in blocks_of(ROOT / 'README.md')}
    assert kinds == {'file', 'run'}


def test_every_fenced_python_block_of_the_readme_is_marked():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    unmarked = re.findall(r'(?<!-->\n)^```python\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    assert unmarked == []
