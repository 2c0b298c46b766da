"""`replay move`: cassettes follow renamed tests."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cassette import Cassette
from replay.cli._group import replay as command
from replay.names import cassette_name
from replay.store import Store
from tests.wide import asks, cassette, run, user

TESTS = (
    'tests/test_trip.py::test_round_trip',
    'tests/test_trip.py::test_cities[rome]',
    'tests/test_trip.py::test_cities[paris]',
    'tests/test_trip.py::TestBack::test_home',
    'tests/deep/test_other.py::test_here',
)


def of(test: str | None, text: str = 'x') -> Cassette:
    return replace(cassette(run(asks(user(text)))), test=test)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Cassettes of some tests, one of no test, and one with a name of its own."""
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    for test in TESTS:
        found.write(cassette_name(test), of(test))
    found.write('imported', of(None))
    found.write('shared', of('tests/test_shared.py::test_first'))
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['move', *arguments])


def owners(store: Store) -> dict[str, str | None]:
    return {name: store.read(name).test for name in store.names()}


@pytest.mark.parametrize(
    ('old', 'new', 'moved'),
    [
        ('test_round_trip', 'test_return_trip', {TESTS[0]: 'tests/test_trip.py::test_return_trip'}),
        (TESTS[0], 'tests/test_new.py::test_b', {TESTS[0]: 'tests/test_new.py::test_b'}),
        ('test_round_trip', 'tests/test_new.py::test_b', {TESTS[0]: 'tests/test_new.py::test_b'}),
        ('test_trip.py::test_round_trip', 'test_new.py::test_b', {TESTS[0]: 'tests/test_new.py::test_b'}),
        ('test_round_trip', 'TestBack::test_b', {TESTS[0]: 'tests/test_trip.py::TestBack::test_b'}),
        ('TestBack::test_home', 'test_b', {TESTS[3]: 'tests/test_trip.py::test_b'}),
        ('cassettes/tests/test_trip/test_round_trip.json', 'test_b', {TESTS[0]: 'tests/test_trip.py::test_b'}),
        ('tests/test_trip/test_cities[rome]', 'test_towns[r]', {TESTS[1]: 'tests/test_trip.py::test_towns[r]'}),
        ('test_cities[rome]', 'test_cities[roma]', {TESTS[1]: 'tests/test_trip.py::test_cities[roma]'}),
        (
            'test_cities',
            'test_towns',
            {
                TESTS[1]: 'tests/test_trip.py::test_towns[rome]',
                TESTS[2]: 'tests/test_trip.py::test_towns[paris]',
            },
        ),
        ('tests/deep/test_other.py', 'tests/test_o.py', {TESTS[4]: 'tests/test_o.py::test_here'}),
        ('test_other.py', 'test_o.py', {TESTS[4]: 'tests/deep/test_o.py::test_here'}),
    ],
)
def test_a_name_as_short_as_tells_the_test_moves_its_cassettes(
    store: Store, old: str, new: str, moved: dict[str, str]
) -> None:
    before = owners(store)
    result = invoke(old, new)
    assert result.exit_code == 0, result.output
    expected = {
        (cassette_name(moved[test]) if test in moved else name): (moved.get(test, test) if test else None)
        for name, test in before.items()
    }
    assert owners(store) == expected


def test_what_was_done_is_told(store: Store) -> None:
    assert invoke('test_round_trip', 'test_b').stdout == (
        'moved cassettes/tests/test_trip/test_round_trip.json to cassettes/tests/test_trip/test_b.json'
        '   test tests/test_trip.py::test_b\n'
    )
    assert from_json(invoke('test_b', 'test_c', '--json').stdout) == {
        'moved': [
            {
                'old': 'cassettes/tests/test_trip/test_b.json',
                'new': 'cassettes/tests/test_trip/test_c.json',
                'test': 'tests/test_trip.py::test_c',
            }
        ]
    }


@pytest.mark.parametrize('old', ['imported', 'cassettes/imported.json'])
@pytest.mark.parametrize('new', ['kept/incident', 'cassettes/kept/incident.json'])
def test_a_cassette_of_no_test_gets_another_name(store: Store, old: str, new: str) -> None:
    assert invoke(old, new).exit_code == 0
    assert store.exists('kept/incident')
    assert not store.exists('imported')


def test_a_cassette_with_a_name_of_its_own_keeps_it(store: Store) -> None:
    assert invoke('test_first', 'test_second').exit_code == 0
    assert store.read('shared').test == 'tests/test_shared.py::test_second'


def test_a_pending_recording_goes_along(store: Store) -> None:
    store.write(cassette_name(TESTS[0]), of(TESTS[0], 'new'), pending=True)
    assert invoke('test_round_trip', 'test_b').exit_code == 0
    assert store.pending() == ['tests/test_trip/test_b.json']
    assert store.read('tests/test_trip/test_b', pending=True).test == 'tests/test_trip.py::test_b'


def test_nothing_is_overwritten_and_then_nothing_moves_at_all(store: Store) -> None:
    store.write('tests/test_trip/test_towns[rome]', of('tests/test_trip.py::test_towns[rome]', 'mine'))
    before = owners(store)
    result = invoke('test_cities', 'test_towns')
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: cassettes/tests/test_trip/test_towns[rome].json exists\n')
    assert owners(store) == before


def test_a_name_that_several_tests_have_must_be_told_apart(store: Store) -> None:
    store.write('tests/a/test_here', of('tests/a.py::test_here'))
    result = invoke('test_here', 'test_there')
    assert result.exit_code == 2
    assert 'tests/a.py::test_here, tests/deep/test_other.py::test_here' in result.stderr


@pytest.mark.parametrize('old', ['nope', 'tests/nope.py', 'cassettes/nope.json', '../x', 'trip'])
def test_what_no_cassette_is_of_is_told(old: str) -> None:
    result = invoke(old, 'test_b')
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, f'replay: no cassette of {old}')


def test_an_empty_folder_has_nothing_to_move(tmp_path: Path) -> None:
    result = invoke('--dir', 'empty', 'test_a', 'test_b')
    assert (result.exit_code, result.stderr.splitlines()[1]) == (2, '   expected  a cassette below empty')


def test_a_damaged_cassette_is_not_moved_by_its_path(store: Store) -> None:
    path = store.path('imported')
    path.write_text('{')
    assert invoke('cassettes/imported.json', 'b').exit_code == 2
    assert path.read_text() == '{'
