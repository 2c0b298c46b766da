"""`MODULE:AGENT`: what is found, and what each mistake is told."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replay.cli._agents import load_agent
from replay.errors import ReplayError

SOURCE = """
class Agent:
    def iter(self): ...
    def override(self): ...

class Holder:
    inner = Agent()

my_agent = Agent()
_hidden = Agent()
number = 3
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with modules, which leaves no trace in this process."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    for name, text in {
        'flows_a.py': SOURCE,
        'broken_a.py': 'x = 1\nx / 0\n',
        'no_python_a.py': 'def (\n',
        'leaves_a.py': 'raise SystemExit',
        'needs_a.py': 'import not_there_at_all\n',
        'package_a/__init__.py': '',
        'package_a/sub.py': SOURCE,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding='utf-8')
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    'spec', ['flows_a:my_agent', 'flows_a.py:my_agent', 'package_a.sub:my_agent', './package_a/sub.py:Holder.inner']
)
def test_an_agent_is_found_by_module_and_by_path(spec: str) -> None:
    assert type(load_agent(spec)).__name__ == 'Agent'


def test_a_file_may_import_its_neighbours(project: Path) -> None:
    (project / 'package_a/uses.py').write_text('from sub import my_agent', encoding='utf-8')
    assert type(load_agent('package_a/uses.py:my_agent')).__name__ == 'Agent'


@pytest.mark.parametrize(
    ('spec', 'headline', 'got'),
    [
        ('flows_a', 'no agent named', "'flows_a'"),
        (':x', 'no agent named', "':x'"),
        ('flows_a:', 'no agent named', "'flows_a:'"),
        ('flows_a:nobody', 'flows_a has no nobody', "'nobody'"),
        ('flows_a:number', 'flows_a:number is no agent', 'an object of type int'),
        ('flows_a:Agent', 'flows_a:Agent is no agent', 'an object of type type'),
        ('not_there_a:x', 'no module not_there_a', "No module named 'not_there_a'"),
        ('package_a.nope:x', 'no module package_a.nope', "No module named 'package_a.nope'"),
        ('needs_a:x', 'needs_a does not import', "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ('broken_a:x', 'broken_a does not import', 'ZeroDivisionError: division by zero'),
        ('broken_a.py:x', 'broken_a.py does not import', 'ZeroDivisionError: division by zero'),
        ('leaves_a:x', 'leaves_a does not import', 'SystemExit'),
        ('nowhere.py:x', 'no file nowhere.py', 'nothing there'),
        ('.:x', 'no module .', None),
        ('..:x', 'no module ..', None),
        ('.flows_a:x', 'no module .flows_a', None),
    ],
)
def test_a_mistake_is_told_with_what_came(spec: str, headline: str, got: str | None) -> None:
    with pytest.raises(ReplayError) as caught:
        load_agent(spec)
    assert caught.value.headline == headline
    assert got is None or caught.value.got == got


def test_a_folder_named_like_a_file_is_told() -> None:
    Path('folder.py').mkdir()
    with pytest.raises(ReplayError) as caught:
        load_agent('folder.py:x')
    assert caught.value.got == 'a folder'


def test_the_place_of_a_failing_import_is_told(project: Path) -> None:
    with pytest.raises(ReplayError) as caught:
        load_agent('broken_a:x')
    assert caught.value.where.field == f'{project / "broken_a.py"}:2'
    with pytest.raises(ReplayError) as caught:
        load_agent('no_python_a.py:x')
    assert caught.value.where.field == f'{Path("no_python_a.py").absolute()}:1'


def test_an_unknown_name_is_answered_with_the_agents_there_are() -> None:
    with pytest.raises(ReplayError) as caught:
        load_agent('flows_a:nobody')
    assert caught.value.expected == 'one of the agents of the module: my_agent'
    assert caught.value.next == ('replay run flows_a:my_agent ...',)
    Path('empty_a.py').write_text('', encoding='utf-8')
    with pytest.raises(ReplayError) as caught:
        load_agent('empty_a:nobody')
    assert caught.value.expected == 'an agent; the module has none'
