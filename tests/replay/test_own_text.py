"""What stands in the text of a program."""

import linecache
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

from replay import own_text
from replay.minted import pieces
from replay.own_text import OwnText

TOKEN = 'k3v9x2m7q4z8'
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """No session has begun in this process."""
    monkeypatch.setattr(own_text, '_BEGINNING', [])


def has(root: Path, value: str, *given: str, now: datetime = LATER, aside: Path | None = None) -> bool:
    (piece,) = pieces(value)
    return OwnText(root=root, now=lambda: now, given=given, aside=aside).has(piece)


def token() -> str:
    """A text that no module of this process has."""
    return f'{uuid4().hex[:14]}7x'


def test_a_value_that_stands_nowhere_is_not_there(tmp_path: Path) -> None:
    assert not has(tmp_path, token())


def test_a_literal_of_a_loaded_module_is_there(tmp_path: Path) -> None:
    assert has(tmp_path, TOKEN)


@pytest.mark.parametrize(
    'path', ['order.json', 'tests/data/deep/order.yaml', 'app/prompts/system.md', '.env', '.env.local', 'app/main.py']
)
def test_a_value_in_a_file_of_the_project_is_there(tmp_path: Path, path: str) -> None:
    value = token()
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(f'order: {value}')

    assert has(tmp_path, value)


@pytest.mark.parametrize(
    'path',
    [
        '.git/order.json',
        'node_modules/order.json',
        'lib/site-packages/order.json',
        '__snapshots__/order.json',
        'image.png',
        'venv/order.json',
        'tapes/order.json',
    ],
)
def test_a_value_in_a_file_that_is_not_the_projects_own_is_not_there(tmp_path: Path, path: str) -> None:
    value = token()
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(f'order: {value}')
    (tmp_path / 'venv').mkdir(exist_ok=True)
    (tmp_path / 'venv' / 'pyvenv.cfg').touch()

    assert not has(tmp_path, value, aside=tmp_path / 'tapes')


def test_a_file_that_was_changed_since_the_first_session_may_hold_what_was_minted(tmp_path: Path) -> None:
    value = token()
    (tmp_path / 'log.json').write_text(value)

    assert not has(tmp_path, value, now=datetime(2000, 1, 1, tzinfo=UTC))


def test_a_file_that_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = token()
    (tmp_path / 'log.json').write_text(value)
    monkeypatch.setattr(own_text, '_LARGEST', 10)

    assert not has(tmp_path, value)


def test_a_project_with_very_many_files_is_searched_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = token()
    for path in ('a.json', 'b.json', 'deep/order.json'):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(value if 'deep' in path else '')
    monkeypatch.setattr(own_text, '_MOST', 2)

    assert not has(tmp_path, value)


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    value = token()
    (tmp_path / 'a.json').symlink_to(tmp_path / 'missing.json')
    os.mkfifo(tmp_path / 'b.json')
    (tmp_path / 'c.json').write_text(value)

    assert has(tmp_path, value)


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert not has(tmp_path / 'missing', token())


def test_the_current_folder_is_that_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = token()
    (tmp_path / 'order.json').write_text(value)
    monkeypatch.chdir(tmp_path)
    (piece,) = pieces(value)

    assert OwnText(now=lambda: LATER).has(piece)


def test_the_id_of_a_test_is_text_of_the_program(tmp_path: Path) -> None:
    value = token()

    assert has(tmp_path, value, f'tests/test_shop.py::test_order[{value}]')


def test_the_environment_counts_as_it_was_at_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, since = token(), token()
    monkeypatch.setattr(own_text, '_ENVIRONMENT', f'/bin\n{before}')
    monkeypatch.setenv('ORDER', since)

    assert has(tmp_path, before)
    assert not has(tmp_path, since)


def test_a_cell_of_a_notebook_is_text_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = token()
    monkeypatch.setitem(linecache.cache, '<cell-1>', (1, None, [f'ORDER = {value!r}\n'], '<cell-1>'))

    assert has(tmp_path, value)


@pytest.mark.parametrize(
    ('written', 'told'),
    [
        ('9F86D081-884C-4D65-9A2F-EAA0C55AD015', '9f86d081-884c-4d65-9a2f-eaa0c55ad015'),
        ('9f86d081884c4d659a2feaa0c55ad015', '9f86d081-884c-4d65-9a2f-eaa0c55ad015'),
        ('9f86d081-884c-4d65-9a2f-eaa0c55ad015', '9F86D081884C4D659A2FEAA0C55AD015'),
        ('1_790_000_000', '1790000000'),
        ('790_123_456_789', '790123456789'),
        ('1790000000.25', '1790000000.25'),
    ],
)
def test_another_spelling_of_a_value_is_that_value(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / 'order.py').write_text(f'ORDER = {written}')

    assert has(tmp_path, told)


def test_modules_that_are_odd_or_gone_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = ModuleType('gone')
    gone.__file__ = str(tmp_path / 'gone.py')
    monkeypatch.setitem(sys.modules, 'gone', gone)
    monkeypatch.setitem(sys.modules, 'odd', object())

    assert not has(tmp_path, token())


def test_a_module_that_is_loaded_late_is_not_loaded_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    monkeypatch.setitem(sys.modules, 'late', Late('late'))

    assert not has(tmp_path, token())


def test_what_only_calls_itself_a_module_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = type('Library', (), {'__slots__': (), '__class__': property(lambda _: ModuleType)})
    monkeypatch.setitem(sys.modules, 'loaded_by_cffi', library())
    assert not has(tmp_path, token())
