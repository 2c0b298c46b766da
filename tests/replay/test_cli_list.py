"""`replay list` and `replay migrate`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._group import replay as command
from replay.store import Store
from tests.wide import answers, asks, cassette, run, text, user

DAMAGE = 'damaged: the cassette cannot be read: the text stops in the middle at line 1 column 1'


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three cassettes: one with everything, one of no date, one damaged."""
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    first = run(asks(user('Paris?')), answers(text('sunny')))
    marked = replace(run(asks(user('Rome?')), name='other'), marks=('rebound', 'edited'))
    day = (datetime.now(UTC).astimezone().date() - timedelta(days=3)).isoformat()
    found.write('a', cassette(first, marked, recorded={'on': day, 'by': 'agentrun 1'}))
    found.write('a', cassette(first), pending=True)
    found.write('b/c', cassette(first))
    found.path('d').write_text('{')
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_each_cassette_is_a_line_with_its_numbers() -> None:
    result = invoke('list')
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        'cassette            runs  nodes  tokens  age',
        'cassettes/a.json       2      7       2  3 d  edited, rebound, pending',
        'cassettes/b/c.json     1      4       2    -',
        f'cassettes/d.json       -      -       -    -  {DAMAGE}',
        '3 cassettes, 4 tokens as recorded, 1 damaged',
    ]


def test_a_list_without_damage_is_clean() -> None:
    result = invoke('list', 'cassettes/b')
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, '1 cassette, 2 tokens as recorded')


def test_machines_get_all_of_it() -> None:
    first, _, damaged = from_json(invoke('list', '--json').stdout)['cassettes']
    assert first == {
        'cassette': 'cassettes/a.json',
        'test': 'tests/test_trip.py::test_forecast',
        'recorded': first['recorded'],
        'runs': ['trip_agent', 'other'],
        'nodes': 7,
        'tokens': 2,
        'days': 3,
        'marks': ['edited', 'rebound'],
        'pending': True,
        'error': None,
    }
    assert damaged['error'].startswith('replay: the cassette cannot be read')


def test_no_cassettes_at_all_is_told() -> None:
    assert invoke('list', '--dir', 'empty').exit_code == 2


def test_there_is_nothing_to_migrate(store: Store) -> None:
    store.path('d').unlink()
    assert (invoke('migrate').exit_code, invoke('migrate').stdout) == (
        0,
        '2 cassettes of format agentrun-replay/1, the only one there is: nothing to do\n',
    )
    assert from_json(invoke('migrate', '--json', 'cassettes/a.json').stdout) == {
        'format': 'agentrun-replay/1',
        'migrated': [],
        'unchanged': ['cassettes/a.json'],
    }


def test_a_damaged_cassette_is_not_migrated() -> None:
    assert invoke('migrate').exit_code == 2
