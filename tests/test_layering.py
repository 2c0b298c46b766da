"""The order in which files may import each other, and what an import may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

PACKAGES = {'agentrun', 'replay'}

BRIDGE = 'replay/adapters/agentrun'
"""The one place of `replay` (a file, or a folder of this name) that may import `agentrun`."""

LEAN = {'agentrun', 'pydantic', 'pydantic_core', 'annotated_types', 'typing_inspection', 'anyio', 'typing_extensions'}
"""The families of packages that `import agentrun` may load beside the standard library."""


def layout() -> list[str]:
    """The order as docs/design.md tells it, each entry with its package in front."""
    block = (ROOT / 'docs/design.md').read_text(encoding='utf-8').split('```text\n')[1].split('```')[0]
    package, found = '', list[str]()
    for line in filter(None, block.splitlines()):
        entry = line.split()[0]
        if entry in {'agentrun/', 'replay/'}:
            package = entry
        else:
            found.append(package + entry)
    return found


ORDER = layout()
"""A file imports only files above it in its package. A folder is one place: its files are only kept free of cycles."""


class Edge(NamedTuple):
    """One import statement: who imports whom, and on which line."""

    importer: str
    imported: str
    line: int


def files() -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix() for name in ('agentrun', 'replay') for path in (ROOT / name).rglob('*.py')
    )


def place(file: str) -> int | None:
    """Where in `ORDER` a file stands: itself, or the nearest folder around it."""
    folders = [f'{parent.as_posix()}/' for parent in Path(file).parents]
    return next((ORDER.index(entry) for entry in (file, *folders) if entry in ORDER), None)


def file_of(module: str) -> str | None:
    """The file that holds a module of ours."""
    base = module.replace('.', '/')
    return next((file for file in (f'{base}.py', f'{base}/__init__.py') if (ROOT / file).exists()), None)


def modules_of(statement: ast.Import | ast.ImportFrom, importer: str) -> Iterator[str]:
    """The modules that a statement names; for `from package import name` the submodule, if `name` is one."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    package = importer.split('/')[:-1]
    anchor = package[: len(package) - statement.level + 1] if statement.level else []
    base = '.'.join([*anchor, *([statement.module] if statement.module else [])])
    for alias in statement.names:
        submodule = f'{base}.{alias.name}'
        yield submodule if file_of(submodule) else base


def edges_of(importer: str) -> list[Edge]:
    tree = ast.parse((ROOT / importer).read_text(encoding='utf-8'), importer)
    return [
        Edge(importer, imported, statement.lineno)
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for module in modules_of(statement, importer)
        if (imported := file_of(module)) is not None and imported != importer
    ]


@pytest.mark.parametrize('file', files())
def test_every_file_has_a_place_in_the_order(file: str):
    assert place(file) is not None, f'give {file} its place in the layout of docs/design.md'


@pytest.mark.parametrize('file', files())
def test_a_file_imports_only_files_above_it(file: str):
    own = place(file)
    package = file.split('/', 1)[0]
    wrong = [
        f'{edge.importer}:{edge.line} imports {edge.imported}'
        for edge in edges_of(file)
        if edge.imported.startswith(f'{package}/')
        and (own is None or (other := place(edge.imported)) is None or other > own or (other == own and file in ORDER))
    ]
    assert wrong == []


def test_no_import_makes_a_cycle():
    graph = {file: {edge.imported for edge in edges_of(file)} for file in files()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_the_packages_touch_in_the_bridge_only():
    crossing = {
        edge.importer
        for file in files()
        for edge in edges_of(file)
        if edge.imported.split('/')[0] != edge.importer.split('/')[0]
    }
    assert {file for file in crossing if not file.startswith((f'{BRIDGE}.py', f'{BRIDGE}/'))} == set()


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('import replay.canon', ['replay/canon.py']),
        ('from . import canon, errors', ['replay/canon.py', 'replay/errors.py']),
        ('from .canon import Json', ['replay/canon.py']),
        ('def f():\n    from replay.canon import Json', ['replay/canon.py']),
        ('if TYPE_CHECKING:\n    from agentrun import graph', ['agentrun/graph.py']),
        ('import json, pydantic', []),
    ],
)
def test_every_form_of_import_is_seen(
    source: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, text in {
        'replay/canon.py': '',
        'replay/errors.py': '',
        'agentrun/graph.py': '',
        'replay/x.py': source,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding='utf-8')
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    assert [edge.imported for edge in edges_of('replay/x.py')] == expected


def loaded_by(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after `statement`, beyond those it starts with."""
    program = f'import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))'
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope='module')
def loaded_by_agentrun() -> set[str]:
    return loaded_by('import agentrun')


@pytest.mark.parametrize('unwanted', ['asyncio', 'griffe', 'griffelib', '_griffe', 'pytest', 'trio', 'replay'])
def test_importing_agentrun_leaves_out(unwanted: str, loaded_by_agentrun: set[str]):
    assert unwanted not in loaded_by_agentrun


def test_importing_the_agent_loads_next_to_nothing_but_pydantic_and_itself():
    added = loaded_by('from agentrun import Agent') - loaded_by('from pydantic import BaseModel, TypeAdapter')
    assert {name for name in added if name.split('.')[0] != 'agentrun'} <= {'atexit', 'gc'}


def test_importing_agentrun_loads_no_other_third_party(loaded_by_agentrun: set[str]):
    families = {name.split('.')[0] for name in loaded_by_agentrun}
    assert families - LEAN - set(sys.stdlib_module_names) == set()


def test_the_layout_is_read_whole():
    assert (ORDER[0], ORDER[-1]) == ('agentrun/_ambient.py', 'replay/__init__.py')
    assert len(set(ORDER)) == len(ORDER)


def test_what_the_plugin_adds_to_the_start_of_pytest_is_itself():
    ours = {name for name in loaded_by('import pytest, replay.pytest_plugin') if name.split('.')[0] in PACKAGES}
    assert ours == {'replay', 'replay.pytest_plugin'}
