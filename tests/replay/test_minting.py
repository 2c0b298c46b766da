"""Which values are minted while runs are recorded."""

from datetime import UTC, datetime
from typing import Any

import pytest

from replay.canon import Json, JsonObject, dumps
from replay.cassette import Definition, Node, ToolResult
from replay.effects import Answered, Counted, Request
from replay.minted import Piece
from replay.minting import Minting, RunMinting

A, B = 'e3e70682-c209-4cac-a29f-6fbed82c07cd', '21636369-8b52-4b4a-97b7-50923ceb3ffd'
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def minting() -> RunMinting:
    return Minting(lambda: NOW).run()


def part(kind: str, content: Json, **fields: Json) -> JsonObject:
    return {'part_kind': kind, 'content': content, **fields}


def ask(run: RunMinting, *messages: list[JsonObject], **definition: Any) -> None:
    """Send messages, each a list of parts."""
    sent = [dumps({'kind': 'request', 'parts': [*parts]}) for parts in messages]
    own = sent[-1] if sent else b'{}'
    run.asked(Request(message=own, sent=sent, appended=True, definition=Definition(**definition)))


@pytest.mark.parametrize(
    ('parts', 'by'),
    [
        (part('user-prompt', f'open {A}'), 'prompt'),
        (part('user-prompt', ['look', {'url': f'https://a/{A}'}]), 'prompt'),
        (part('system-prompt', f'you are {A}'), 'system prompt'),
        (part('tool-return', {'id': A}, tool_name='new_ticket'), 'new_ticket'),
        (part('retry-prompt', A, tool_name=None), 'history'),
        (part('tool-return', 'ok', tool_name='look', metadata={'trace': A}), 'look'),
    ],
)
def test_a_value_is_noted_with_where_it_came_from(parts: JsonObject, by: str) -> None:
    run = minting()

    ask(run, [parts])

    assert run.noted == {'uuid-1': {'value': A, 'by': by}}


def test_a_value_that_stands_twice_is_noted_once() -> None:
    run = minting()

    ask(run, [part('user-prompt', f'{A} and {A}')])

    assert list(run.noted) == ['uuid-1']


def test_what_stands_before_the_request_is_history() -> None:
    run = minting()

    ask(run, [part('user-prompt', A)], [{'part_kind': 'tool-call', 'args': {'id': B}}], [part('user-prompt', 'go')])

    assert run.noted == {'uuid-1': {'value': A, 'by': 'history'}, 'uuid-2': {'value': B, 'by': 'history'}}


@pytest.mark.parametrize(
    ('fields', 'by'),
    [
        ({'instructions': f'Ticket {A}'}, 'instructions'),
        ({'settings': {'extra_headers': {'X-Trace': A}}}, 'settings'),
        ({'tools': {'look': {'description': f'Look at {A}'}}}, 'tools'),
        ({'builtin_tools': ({'kind': 'web_search', 'user': A},)}, 'tools'),
    ],
)
def test_what_goes_with_a_request_is_looked_through(fields: dict[str, Any], by: str) -> None:
    run = minting()

    ask(run, [part('user-prompt', 'go')], **fields)
    ask(run, [part('user-prompt', 'on')], **fields)

    assert run.noted == {'uuid-1': {'value': A, 'by': by}}


def test_a_definition_is_looked_through_once() -> None:
    run = minting()
    definition = Definition(settings={'n': A})
    request = Request(message=b'{"parts":[]}', sent=[], appended=True, definition=definition)

    run.asked(request)
    run.noted.clear()
    run.asked(request)

    assert run.noted == {}


@pytest.mark.parametrize('text', ['no value', 'on 2030-12-31', 'Friday', 'at 03:00', True, None, 5])
def test_what_is_not_of_this_moment_is_not_minted(text: Json) -> None:
    run = minting()

    ask(run, [part('user-prompt', text)])

    assert run.noted == {}


def test_names_of_days_are_minted_beside_dates() -> None:
    run = minting()

    ask(run, [part('user-prompt', 'Friday, 2026-11-20, 12:00')])

    assert {name: one['value'] for name, one in run.noted.items()} == {
        'weekday-1': 'Friday',
        'date-1': '2026-11-20',
        'time-1': '12:00',
    }


def test_numbers_of_a_clock_are_minted() -> None:
    run = minting()

    ask(run, [part('user-prompt', {'at': NOW.timestamp(), 'ms': int(NOW.timestamp() * 1000)})])

    assert [one['value'] for one in run.noted.values()] == ['1795176000.0', '1795176000000']


@pytest.mark.parametrize('said', [{'content': f'take {A}'}, {'args': f'{{"id":"{A}"}}'}, {'args': {'id': [A]}}])
def test_what_a_model_said_is_not_minted(said: JsonObject) -> None:
    run = minting()
    run.answered(Answered(message={'parts': [said]}))
    run.answered(Counted(usage={}))

    ask(run, [part('tool-return', A, tool_name='look')])

    assert run.noted == {}


def test_a_value_is_noted_in_the_run_that_told_it_first() -> None:
    shared = Minting(lambda: NOW)
    first, later = shared.run(), shared.run()

    ask(first, [part('user-prompt', A)])
    ask(later, [part('user-prompt', f'{A} {A.upper()} {B}')])

    assert [list(run.noted.values()) for run in (first, later)] == [
        [{'value': A, 'by': 'prompt'}],
        [{'value': B, 'by': 'prompt'}],
    ]


def test_a_run_that_goes_on_has_the_values_of_its_recording() -> None:
    run = Minting(lambda: NOW).run({'uuid-1': {'value': A, 'by': 'prompt'}})

    ask(run, [part('user-prompt', f'{A} {B}')])

    assert list(run.noted) == ['uuid-1', 'uuid-2']


@pytest.mark.parametrize(
    ('before', 'after', 'noted'),
    [
        ('Trace 731234567890123', 'Trace 731234567890124', ['number-1', 'number-2']),
        ('Trace 731234567890123', 'Track 731234567890124', []),
        ('Trace 731234567890123', 'Trace 7312345678901240', []),
        ('Trace 731234567890123', 'Trace 731234567890123', []),
        ('Due 2030-12-31', 'Due 2030-12-30', ['date-1', 'date-2']),
        ('nothing', 'Trace 731234567890124', []),
    ],
)
def test_a_second_look_at_instructions_proves_values_minted(before: str, after: str, noted: list[str]) -> None:
    run = minting()

    ask(run, [part('user-prompt', 'go')], instructions=before)
    ask(run, [part('user-prompt', 'on')], instructions=after)

    assert list(run.noted) == noted


def test_a_request_without_messages_of_its_own_has_nothing_new() -> None:
    run = minting()

    ask(run)

    assert run.noted == {}


def test_the_last_request_of_a_run_is_looked_through_though_no_model_was_asked() -> None:
    run = minting()
    request: JsonObject = {'kind': 'request', 'parts': [part('tool-return', A, tool_name='look')]}

    run.left(dumps([{**request, 'parts': [part('user-prompt', 'open')]}, {**request, 'instructions': f'At {B}.'}]))

    assert run.noted == {'uuid-1': {'value': A, 'by': 'look'}, 'uuid-2': {'value': B, 'by': 'instructions'}}


@pytest.mark.parametrize('messages', [[], [{'kind': 'response', 'parts': [part('text', A)]}]])
def test_a_run_that_ended_in_an_answer_has_no_request_left_to_look_through(messages: list[Json]) -> None:
    run = minting()

    run.left(dumps([*messages]))

    assert run.noted == {}


def test_results_that_no_request_tells_are_looked_through_by_the_tool_that_gave_them() -> None:
    run = minting()
    message: JsonObject = {
        'kind': 'response',
        'parts': [{'part_kind': 'tool-call', 'tool_name': name, 'args': {}} for name in ('look', 'new_ticket')],
    }
    results = {1: ToolResult(kind='return', content={'id': A}, metadata={'trace': B})}

    run.untold([Node(kind='CallToolsNode', message=message, results=results)])

    assert run.noted == {
        'uuid-1': {'value': A, 'by': 'new_ticket'},
        'uuid-2': {'value': B, 'by': 'new_ticket'},
    }


def test_a_value_that_is_known_to_be_constant_is_not_noted_and_asked_about_once() -> None:
    questions: list[str] = []

    def is_constant(piece: Piece) -> bool:
        questions.append(piece.text)
        return piece.text == A

    run = Minting(lambda: NOW, is_constant=is_constant).run()

    ask(run, [part('user-prompt', A)], [part('user-prompt', f'{A} and {B}')])

    assert run.noted == {'uuid-1': {'value': B, 'by': 'prompt'}}
    assert questions == [A, B]
