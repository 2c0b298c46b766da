"""`replay pending`, `replay accept` and `replay reject`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._group import replay
from replay.store import Store
from tests.wide import asks, cassette, run, user

OLD = cassette(run(asks(user('old'))))
NEW = cassette(run(asks(user('new'))))


DAMAGE = 'damaged: the cassette cannot be read: the text stops in the middle at line 1 column 9'


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two cassettes, each with a pending recording, and one recording without a cassette."""
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    for name in ('tests/a', 'tests/b'):
        found.write(name, OLD)
    for name in ('tests/a', 'tests/b', 'other/c'):
        found.write(name, NEW, pending=True)
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(replay, list(arguments))


def test_all_are_accepted_if_none_is_named(store: Store) -> None:
    result = invoke('accept')
    assert (result.exit_code, result.stdout) == (
        0,
        'accepted cassettes/other/c.json\naccepted cassettes/tests/a.json\naccepted cassettes/tests/b.json\n',
    )
    assert store.pending() == []
    assert all(store.read(name).runs == NEW.runs for name in store.names())


def test_all_are_rejected_if_none_is_named(store: Store) -> None:
    result = invoke('reject')
    assert result.stdout.splitlines()[0] == 'rejected cassettes/other/c.json.new'
    assert store.pending() == []
    assert store.names() == ['tests/a.json', 'tests/b.json']
    assert store.read('tests/a').runs == OLD.runs


@pytest.mark.parametrize(
    'target',
    ['tests/a', 'tests/a.json', 'tests/a.json.new', 'cassettes/tests/a.json', 'cassettes/tests/a.json.new'],
)
def test_one_is_named_by_name_or_path(store: Store, target: str) -> None:
    assert invoke('accept', target).stdout == 'accepted cassettes/tests/a.json\n'
    assert store.pending() == ['other/c.json', 'tests/b.json']


def test_a_folder_names_all_below_it(store: Store) -> None:
    assert invoke('reject', 'cassettes/tests').exit_code == 0
    assert store.pending() == ['other/c.json']


def test_what_is_named_twice_is_accepted_once(store: Store) -> None:
    assert invoke('accept', 'tests/a', 'tests/a').exit_code == 0


def test_another_folder_of_cassettes_can_be_named(store: Store) -> None:
    assert invoke('accept', '--dir', 'cassettes/tests', 'a').exit_code == 0
    assert store.pending() == ['other/c.json', 'tests/b.json']


def test_json_lists_the_cassettes() -> None:
    assert invoke('reject', '--json', 'tests/a').stdout == '{"rejected":["cassettes/tests/a.json"]}\n'


def test_nothing_pending_is_no_error(store: Store) -> None:
    invoke('reject')
    assert (invoke('accept').exit_code, invoke('accept').stdout) == (0, 'nothing is pending below cassettes\n')
    assert invoke('accept', '--json').stdout == '{"accepted":[]}\n'


@pytest.mark.parametrize(
    'target', ['nope', 'tests/nope.json', '/tests/a', 'cassettes/nope.json', '../a', 'tests/a.txt']
)
def test_a_name_without_a_pending_recording_changes_nothing(store: Store, target: str) -> None:
    result = invoke('accept', 'tests/b', target)
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: ')
    assert len(store.pending()) == 3


def test_without_any_recording_the_error_says_how_to_make_one(store: Store) -> None:
    invoke('reject')
    assert invoke('accept', 'x').stderr == (
        'replay: no pending recording of x\n'
        '   expected  a pending recording below cassettes\n'
        '   got       x\n'
        '   next      replay record TEST   makes one\n'
    )


def test_a_damaged_recording_is_not_accepted_nor_any_other(store: Store) -> None:
    store.path('tests/b', pending=True).write_bytes(b'{"format"')
    result = invoke('accept')
    assert result.exit_code == 2
    assert 'tests/b.json.new' in result.stderr
    assert len(store.pending()) == 3
    assert store.read('tests/a').runs == OLD.runs


def test_what_waits_is_listed_with_what_it_changes(store: Store) -> None:
    store.path('tests/b', pending=True).write_bytes(b'{"format"')
    result = invoke('pending')
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        'cassettes/other/c.json   new: 1 run',
        'cassettes/tests/a.json   run trip_agent: 1 changed of 3 nodes, first 1 ModelRequestNode',
        f'cassettes/tests/b.json   {DAMAGE}',
        '3 pending   next: replay review, or replay accept NAME, replay reject NAME',
    ]


def test_what_waits_is_listed_for_machines() -> None:
    told = from_json(invoke('pending', '--json', 'tests/a').stdout)
    assert told['pending'] == [
        {
            'cassette': 'cassettes/tests/a.json',
            'change': 'run trip_agent: 1 changed of 3 nodes, first 1 ModelRequestNode',
        }
    ]


def test_runs_that_came_and_went_are_named_in_the_list(store: Store) -> None:
    both = cassette(run(asks(user('old'))), run(asks(user('more')), name='helper'))
    store.write('tests/a', both, pending=True)
    assert invoke('pending', 'tests/a').stdout.splitlines()[0] == 'cassettes/tests/a.json   run helper added'


def test_nothing_waits() -> None:
    invoke('reject')
    assert invoke('pending').stdout == 'nothing is pending below cassettes\n'


def test_a_damaged_cassette_is_no_reason_to_refuse_its_successor(store: Store) -> None:
    store.path('tests/a').write_bytes(b'')
    assert invoke('pending', 'tests/a').stdout.splitlines()[0] == 'cassettes/tests/a.json   new: 1 run'
