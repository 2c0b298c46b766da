"""`replay review`: decisions by keys on a terminal, and a list without one."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._group import replay as command
from replay.store import Store
from tests.terminal import in_terminal
from tests.wide import answers, asks, cassette, run, text, user

OLD = cassette(run(asks(user('old')), answers(text('sunny'))))
NEW = cassette(
    replace(run(asks(user('new')), answers(text('sunny'))), marks=('redacted',)),
    recorded={'on': '2026-11-20', 'by': 'agentrun 1'},
)
PROMPT = 'i info'


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three cassettes, each with a pending recording."""
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    for name in 'abc':
        found.write(name, OLD)
        found.write(name, NEW, pending=True)
    return found


def press(tmp_path: Path, *keys: str) -> str:
    """Review everything with these keys; what the terminal showed."""
    code, shown = in_terminal('-m', 'replay', 'review', cwd=tmp_path, keys=[(PROMPT, key) for key in keys])
    assert code == 0, shown
    return re.sub(r'\x1b\[[0-9]*m', '', shown).replace('\r\n', '\n')


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['review', *arguments])


def state(store: Store) -> str:
    """A letter for each cassette: accepted, rejected or still pending."""
    return ''.join(
        'p' if store.exists(name, pending=True) else 'a' if store.read(name).runs == NEW.runs else 'r' for name in 'abc'
    )


def test_each_is_shown_node_by_node_and_a_key_decides(store: Store, tmp_path: Path) -> None:
    shown = press(tmp_path, 'a', 'r', 's')
    assert state(store) == 'arp'
    assert '1/3' in shown
    assert '1 ModelRequestNode: user "new"' in shown
    assert shown.endswith('1 accepted, 1 rejected, 1 left for later\n')


@pytest.mark.parametrize(
    ('keys', 'expected'),
    [('A', 'aaa'), ('R', 'rrr'), ('S', 'ppp'), ('rA', 'raa'), ('aR', 'arr'), ('aS', 'app'), ('xqsaa', 'paa')],
)
def test_capital_letters_decide_all_that_are_left_and_other_keys_nothing(
    store: Store, tmp_path: Path, keys: str, expected: str
) -> None:
    press(tmp_path, *keys)
    assert state(store) == expected


def test_the_whole_recording_and_its_origin_are_shown_on_demand(tmp_path: Path) -> None:
    shown = press(tmp_path, 'i', 'd', 'd', 'S')
    assert 'test      tests/test_trip.py::test_forecast\non        2026-11-20\nby        agentrun 1\n' in shown
    assert 'run       trip_agent: 4 nodes, 2 tokens, redacted' in shown
    assert 'cassettes/a.json.new' in shown
    assert '      text\n        sunny' in shown


def test_changed_nodes_are_shown_one_by_one_there_and_back(store: Store, tmp_path: Path) -> None:
    store.write('a', cassette(run(asks(user('new')), answers(text('rainy')))), pending=True)
    shown = press(tmp_path, 'n', 'n', 'p', 'd', 'a', 'S')
    pages = [line for line in shown.split('\n') if line.startswith('cassettes/a.json')]
    assert pages == [f'cassettes/a.json   change {page} of 2' for page in (1, 2, 1, 2)] + ['cassettes/a.json.new']
    first, second = shown.split('change 1 of 2')[1], shown.split('change 2 of 2')[1]
    assert ('      + "new"' in first, '      + "rainy"' in first.split('change 2')[0]) == (True, False)
    assert '      + "rainy"' in second.split('change 1')[0]
    assert store.read('a').runs[0].nodes[2].message == answers(text('rainy')).message


def test_keys_that_turn_pages_are_offered_where_there_are_several(store: Store, tmp_path: Path) -> None:
    store.write('b', cassette(run(asks(user('new')), answers(text('rainy')))), pending=True)
    shown = press(tmp_path, 's', 's', 's')
    assert [line.startswith('n next change') for line in shown.split('\n') if PROMPT in line] == [False, True, False]


def test_one_that_is_damaged_cannot_be_accepted_and_the_others_can(store: Store, tmp_path: Path) -> None:
    store.path('b', pending=True).write_text('{')
    shown = press(tmp_path, 'A')
    assert state(store) == 'apa'
    assert 'replay: the cassette cannot be read' in shown
    assert '2 accepted, 0 rejected, 1 left for later' in shown


def test_one_that_is_damaged_can_be_looked_at_and_rejected(store: Store, tmp_path: Path) -> None:
    store.path('a', pending=True).write_text('{')
    press(tmp_path, 'd', 'i', 'r', 'S')
    assert state(store) == 'rpp'


def test_what_was_decided_before_it_is_stopped_stays_decided(store: Store, tmp_path: Path) -> None:
    code, shown = in_terminal('-m', 'replay', 'review', cwd=tmp_path, keys=[(PROMPT, 'a'), (PROMPT, '\x03')])
    assert (code, state(store)) == (1, 'app')
    assert 'Traceback' not in shown


def test_without_a_terminal_all_are_shown_and_none_is_decided(store: Store) -> None:
    result = invoke()
    assert result.exit_code == 1
    assert result.stdout.startswith('- cassettes/a.json\n+ cassettes/a.json.new\nrun trip_agent: ')
    assert result.stdout.endswith('3 pending   next: replay accept NAME, replay reject NAME\n')
    assert state(store) == 'ppp'


def test_a_list_can_be_asked_for_on_a_terminal_too(store: Store, tmp_path: Path) -> None:
    code, shown = in_terminal('-m', 'replay', 'review', '--list', 'b', cwd=tmp_path)
    assert (code, state(store)) == (1, 'ppp')
    assert '1 pending' in shown


def test_machines_get_the_differences(store: Store) -> None:
    store.path('b', pending=True).write_text('{')
    result = invoke('--json')
    first, second, _ = from_json(result.stdout)['pending']
    assert result.exit_code == 1
    assert (first['cassette'], first['diff']['differs'], first['error']) == ('cassettes/a.json', True, None)
    assert (second['diff'], second['error'].split('\n')[0]) == (
        None,
        'replay: the cassette cannot be read: the text stops in the middle at line 1 column 1',
    )


def test_nothing_to_review_is_no_error(store: Store) -> None:
    for name in 'abc':
        store.reject(name)
    assert (invoke().exit_code, invoke().stdout) == (0, 'nothing is pending below cassettes\n')
    assert (invoke('--json').exit_code, invoke('--json').stdout) == (0, '{"pending":[]}\n')


def test_what_is_not_pending_cannot_be_reviewed() -> None:
    assert invoke('nope').exit_code == 2
