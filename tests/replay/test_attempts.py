"""What came of requests that did not count, and definitions as JSON."""

import pytest

from replay import canon
from replay.attempts import definition_json, definition_of, outcome_of, parsed
from replay.cassette import Attempt, Definition, Raised
from replay.effects import Answered, Cut, Failed
from tests.replay.wire import answered, asked, text, user

BOOM = Raised(type='builtins.ValueError', message='boom')
WHOLE = Definition(
    instructions='Look.',
    settings={'seed': 1},
    tools={'look': {'description': 'Looks.', 'parameters': {'type': 'object'}}},
    builtin_tools=({'kind': 'web_search'},),
    output={'mode': 'text'},
)


def test_an_attempt_that_was_answered_is_answered_again():
    response = answered(text())
    assert outcome_of(Attempt(model='one', response=response)) == Answered(message=response)


def test_an_attempt_that_failed_fails_again():
    assert outcome_of(Attempt(model='one', raised=BOOM)) == Failed(raised=BOOM)


def test_an_attempt_that_was_given_up_is_cancelled_again():
    assert outcome_of(Attempt(model='one', cut=True)) == Cut(cancelled=True)


@pytest.mark.parametrize('definition', [WHOLE, Definition()], ids=['whole', 'empty'])
def test_a_definition_that_was_written_as_json_is_the_same_when_it_is_read(definition: Definition):
    written = canon.own(canon.dumps(definition_json(definition)))
    assert isinstance(written, dict)
    assert definition_of(written) == definition


def test_a_definition_as_json_shows_each_field_by_its_name():
    assert definition_json(WHOLE) == {
        'instructions': 'Look.',
        'settings': {'seed': 1},
        'tools': {'look': {'description': 'Looks.', 'parameters': {'type': 'object'}}},
        'builtin_tools': [{'kind': 'web_search'}],
        'output': {'mode': 'text'},
    }


def test_messages_that_were_sent_are_read_in_their_order():
    messages = [asked(user()), answered(text())]
    assert parsed([canon.dumps(message) for message in messages]) == messages
    assert parsed([]) == []
