"""Texts of the session's report, as FORMAT of the project's design shows them."""

from dataclasses import replace

import pytest

from replay.cassette import Node, Raised, ToolResult
from replay.errors import ReplayError, Where
from replay.match import Difference, Diverged, locate
from replay.report import (
    Note,
    Problem,
    State,
    cause_lines,
    causes,
    error_names,
    section_title,
    short_line,
    summary_line,
)

CHANGED = ReplayError(
    'instructions of trip_agent changed',
    expected='Answer briefly. Use the tools.',
    got='Answer briefly. Use the tools. Never guess.',
    where=Where(cassette='cassettes/a.json', run='trip_agent', node='1 ModelRequestNode', field='instructions'),
)
TESTS = [
    'tests/test_trip.py::test_forecast[Paris]',
    'tests/test_trip.py::test_forecast[Rome]',
    'tests/test_trip.py::test_ticket',
    'tests/test_trip.py::test_a',
    'tests/test_trip.py::test_b',
    'tests/test_other.py::test_c',
    'tests/test_trip.py::test_d',
]
COST = 'ask the model again ({} tokens as recorded)'


def note(test: str = TESTS[0], *, state: State = 'differ', error: ReplayError | None = CHANGED, live: int = 0) -> Note:
    return Note(
        test=test,
        cassette=f'cassettes/{test}.json',
        mode='none',
        state=state,
        live_requests=live,
        tokens=1700,
        runs=1,
        problem=None if error is None else Problem.of(error),
    )


def test_a_cause_shows_both_values_the_place_the_other_tests_and_the_command():
    lines = cause_lines(1, [note(test) for test in TESTS])
    assert lines == [
        '1. instructions of trip_agent changed                     7 tests, 7 cassettes',
        '     recorded  Answer briefly. Use the tools.',
        '     now       Answer briefly. Use the tools. Never guess.',
        '                                             ^^^^^^^^^^^^^',
        f'   where  {TESTS[0]}  run trip_agent  node 1 ModelRequestNode  field instructions',
        '   also   test_forecast[Rome], test_ticket, 4 more (-v lists them)',
        f'   next   pytest --last-failed --replay-record=rewrite     {COST.format("7 runs, about 12 k")}',
    ]


def test_a_verbose_report_names_every_test():
    lines = cause_lines(1, [note(test) for test in TESTS], verbose=True)
    assert [line.split()[-1] for line in lines[5:11]] == [
        test.removeprefix('tests/test_trip.py::') for test in TESTS[1:]
    ]


def test_few_tests_are_recorded_by_name_as_a_shell_takes_it():
    lines = cause_lines(1, [note(test) for test in TESTS[:3:2]])
    assert lines[-2:] == [
        '   also   test_ticket',
        f"   next   replay record '{TESTS[0]}' {TESTS[2]}     {COST.format('2 runs, about 3 k')}, then replay review",
    ]


def test_many_tests_are_named_too_if_others_failed_for_another_cause():
    shown = cause_lines(1, [note(test) for test in TESTS], sole=False)[-1]
    assert shown.startswith(f"   next   replay record '{TESTS[0]}' '{TESTS[1]}' {TESTS[2]} ")


def test_tests_of_one_cassette_are_recorded_by_the_first_of_them():
    both = [replace(note(f't::a[{loop}]'), cassette='a.json') for loop in ('asyncio', 'trio')]
    assert cause_lines(1, both)[-1] == (
        f"   next   replay record 't::a[asyncio]'     {COST.format('1 run, about 2 k')}, then replay review"
    )


def test_the_advice_of_one_error_is_given_for_all_tests_of_the_cause():
    def missing(test: str) -> Note:
        return note(test, error=ReplayError('no cassette', next=(f'pytest {test} --x', 'other')))

    assert cause_lines(1, [missing('t::a'), missing('t::b')])[-2:] == [
        '   next   pytest t::a t::b --x',
        '          other',
    ]


def test_an_error_without_a_field_shows_what_it_says_and_its_own_advice():
    error = ReplayError(
        'no cassette',
        expected='a cassette   (mode none: nothing is recorded)',
        got='nothing',
        where=Where(cassette='cassettes/a.json'),
        details=(('this run', 'line 1\nline 2'),),
        next=('pytest a --replay-record=once', 'or else'),
    )
    assert cause_lines(2, [note(error=error, state='missing')])[1:] == [
        '     cassette  cassettes/a.json',
        '     expected  a cassette   (mode none: nothing is recorded)',
        '     got       nothing',
        '     this run  line 1',
        '               line 2',
        '   where  tests/test_trip.py::test_forecast[Paris]',
        '   next   pytest a --replay-record=once',
        '          or else',
    ]


@pytest.mark.parametrize(
    ('recorded', 'now', 'expected'),
    [
        ('abc', 'axc', ['recorded  abc', 'now       axc', '           ^']),
        ('abcd', 'ad', ['recorded  abcd', '           ^^', 'now       ad']),
        ('1', '1', ['recorded  1', 'now       1']),
        ('a\nb', 'a\x1bb', ['recorded  a\\nb', 'now       a\\x1bb', '            ^^^']),
        (
            'x' * 200 + 'left',
            'x' * 200 + 'right' + 'y' * 100,
            [
                'recorded  ... ' + 'x' * 33 + 'left',
                'now       ... ' + 'x' * 33 + 'right' + 'y' * 58 + '... (42 more chars)',
                ' ' * 47 + '^' * 63,
            ],
        ),
    ],
)
def test_two_readings_are_cut_around_what_differs(recorded: str, now: str, expected: list[str]):
    error = ReplayError('x changed', expected=recorded, got=now, where=Where(field='x'))
    lines = cause_lines(1, [note(error=error)])
    assert [line.removeprefix('     ') for line in lines[1 : 1 + len(expected)]] == expected


def test_equal_differences_are_one_cause_and_the_cause_of_most_tests_comes_first():
    other = ReplayError('instructions of trip_agent changed', expected='a', got='b', where=Where(field='instructions'))
    notes = [note('t::one', error=other), note('t::two'), note('t::none', error=None, state='played'), note('t::three')]
    groups = causes(notes)
    assert [[found.test for found in group] for group in groups] == [['t::two', 't::three'], ['t::one']]
    assert section_title(groups) == 'replay: 2 causes, 3 tests'
    assert section_title(groups[1:]) == 'replay: 1 cause, 1 test'


@pytest.mark.parametrize(('others', 'more'), [(0, ''), (1, ' (+1 test)'), (6, ' (+6 tests)')])
def test_the_short_line_counts_the_other_tests_of_the_cause(others: int, more: str):
    assert short_line(Problem.of(CHANGED), others=others) == f'replay: instructions of trip_agent changed{more}'


def test_the_summary_counts_cassettes_by_what_became_of_them():
    notes = [note(f't::p{n}', state='played', error=None) for n in range(34)]
    notes += [note(f't::d{n}') for n in range(7)]
    expected = 'replay: none mode, 41 cassettes: 34 played, 7 differ, 0 unplayed, 0 recorded, 0 live requests'
    assert summary_line(notes, mode='none') == expected


def test_the_summary_names_rare_states_only_when_there_are_some():
    notes = [note('t::a', state='missing'), note('t::b', state='failed', error=None, live=1)]
    rare = '0 recorded, 1 missing, 1 failed, 1 live request'
    assert summary_line(notes, mode='once') == f'replay: once mode, 2 cassettes: 0 played, 0 differ, 0 unplayed, {rare}'


def test_a_cassette_that_two_tests_share_counts_once_for_the_worst():
    played, recorded = note('t::a', state='played', error=None), note('t::a', state='recorded', error=None, live=2)
    expected = 'replay: once mode, 1 cassette: 0 played, 0 differ, 0 unplayed, 1 recorded, 2 live requests'
    assert summary_line([played, recorded], mode='once') == expected


@pytest.mark.parametrize('error', [CHANGED, None])
def test_a_note_survives_the_way_between_processes(error: ReplayError | None):
    assert Note.from_data(note(error=error).to_data()) == note(error=error)


def test_text_from_a_cassette_cannot_move_the_cursor():
    error = ReplayError('bad \x1b[2J', expected='\x1b[31mred', got='\x07', where=Where(run='\x1b', field='f\x1b'))
    shown = '\n'.join(cause_lines(1, [note('t::\x1b', error=error), note('t::\x1b2', error=error)]))
    assert '\x1b' not in shown
    assert '\x07' not in shown


def test_an_error_that_says_nothing_more_still_has_its_place():
    assert cause_lines(1, [note('t::a', error=ReplayError('odd'))]) == [
        f'{"1. odd":<57} 1 test, 1 cassette',
        '   where  t::a',
    ]


def test_a_cassette_that_the_error_names_already_is_not_named_again():
    error = ReplayError('no cassette', expected='cassettes/a.json', where=Where(cassette='cassettes/a.json'))
    assert cause_lines(1, [note('t::a', error=error)])[1:] == ['     expected  cassettes/a.json', '   where  t::a']


def test_tools_that_were_not_executed_are_named_and_can_be():
    difference = Difference(cause='history', field='messages[1]', recorded='a', live='b')
    divergence = locate(difference, run='agent', agent='agent', node=3, kind='ModelRequestNode')
    error = Diverged(divergence, unexecuted=('look', 'book'))
    lines = cause_lines(1, [note(error=error)])
    assert '     not run   look, book (results are those recorded)' in lines
    assert lines[-1].strip().startswith(f"pytest '{TESTS[0]}' --replay-tools=live     to execute")


def test_errors_are_named_by_their_status_or_their_class():
    busy = Raised(type='agentrun.exceptions.ModelHTTPError', message='later', args={'status_code': 429})
    result = ToolResult(kind='raised', raised=Raised(type='builtins.KeyError', message='x'))
    nodes = [
        Node(kind='ModelRequestNode', raised=busy),
        Node(kind='CallToolsNode', results={0: result}),
        Node(kind='End'),
    ]
    assert error_names(nodes) == ['429', 'KeyError']
