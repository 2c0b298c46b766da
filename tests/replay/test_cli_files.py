"""Cassettes as a person names them."""

from pathlib import Path

import pytest

from replay.cli._files import cassette_at, cassettes_in, shown_path, split_path, write_new
from replay.errors import CassetteNotFound, ReplayError
from replay.store import Store
from tests.wide import asks, cassette, run, user


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Cassettes `b` and `sub/a`, and a recording that waits."""
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    for name in ('b', 'sub/a'):
        found.write(name, cassette(run(asks(user(name)))))
    found.write('sub/a', cassette(run(asks(user('new')))), pending=True)
    return found


def named(*paths: str) -> list[str]:
    return [path.as_posix() for path in cassettes_in(tuple(map(Path, paths)), Path('cassettes'))]


def test_without_a_path_all_cassettes_of_the_folder_are_meant() -> None:
    assert named() == ['cassettes/b.json', 'cassettes/sub/a.json']


def test_files_and_folders_stand_in_the_order_named_none_twice() -> None:
    assert named('cassettes/sub/a.json', 'cassettes') == ['cassettes/sub/a.json', 'cassettes/b.json']
    assert named('cassettes/sub/a.json.new') == ['cassettes/sub/a.json.new']


def test_a_path_with_nothing_there_is_told() -> None:
    with pytest.raises(CassetteNotFound) as caught:
        named('cassettes/nope')
    assert caught.value.headline == 'nothing at cassettes/nope'


def test_a_folder_without_cassettes_is_told() -> None:
    Path('empty').mkdir()
    with pytest.raises(CassetteNotFound) as caught:
        named('empty')
    assert caught.value.headline == 'no cassettes in empty'


def test_a_path_is_shown_as_typed_here(tmp_path: Path) -> None:
    assert shown_path(tmp_path / 'cassettes/b.json') == 'cassettes/b.json'
    assert shown_path(Path('/elsewhere/\x1b.json')) == '/elsewhere/\\x1b.json'


def test_a_path_is_a_folder_and_a_name() -> None:
    store, name = split_path(Path('x/y.json.new'))
    assert (store.folder, name) == (Path('x'), 'y.json')


def test_what_is_no_file_is_never_replaced_unasked() -> None:
    with pytest.raises(ReplayError) as caught:
        write_new(Path('cassettes'), 'x', force=False)
    assert caught.value.got == 'no plain file'


@pytest.mark.parametrize(
    ('given', 'path'),
    [
        ('cassettes/b.json', 'cassettes/b.json'),
        ('b', 'cassettes/b.json'),
        ('b.json', 'cassettes/b.json'),
        ('sub/a', 'cassettes/sub/a.json'),
        ('sub/a.json.new', 'cassettes/sub/a.json.new'),
        ('sub.py::a', 'cassettes/sub/a.json'),
        ('sub.py::a[asyncio]', 'cassettes/sub/a.json'),
    ],
)
def test_one_cassette_is_meant_by_its_path_its_name_or_its_test(given: str, path: str) -> None:
    assert cassette_at(given).as_posix() == path


def test_a_cassette_that_is_not_there_names_those_that_are_near() -> None:
    with pytest.raises(CassetteNotFound) as raised:
        cassette_at('sub/aa')
    assert raised.value.render() == (
        'replay: no cassette sub/aa\n'
        '   expected  the path of one, its name below cassettes, or the id of its test\n'
        '   got       no such file; near: sub/a\n'
        '   next      replay list     shows what there is'
    )
    with pytest.raises(CassetteNotFound, match=r'no cassette \.\./x'):
        cassette_at('../x')


def test_a_folder_is_not_one_cassette() -> None:
    with pytest.raises(CassetteNotFound, match='sub is a folder') as raised:
        cassette_at('cassettes/sub')
    assert raised.value.next == ('replay list cassettes/sub     shows what is in it',)
