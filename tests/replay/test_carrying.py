"""What is recorded beside a replay, with the values that stand for others as they were recorded."""

import pytest

from replay.canon import Json, dumps
from replay.carrying import carried_end, carried_outcome, carried_request
from replay.cassette import Definition, ToolResult
from replay.effects import Answered, Counted, Ended, Finish, Outcome, Request
from replay.exchange import Exchange

A, X = 'e3e70682-c209-4cac-a29f-6fbed82c07cd', '00000000-0000-4000-8000-00000000000a'


def exchange() -> Exchange:
    found = Exchange([A])
    found.respelt(A, X)
    return found


def request(value: str, told: str = 'go') -> Request:
    old, own = dumps({'parts': [{'content': f'old {value}'}]}), dumps({'parts': [{'content': told}]})
    return Request(message=own, sent=[old, own], appended=True, definition=Definition(settings={'user': value}))


@pytest.mark.parametrize('told', ['go', f'open {A}'])
def test_a_request_is_told_in_recorded_values(told: str) -> None:
    assert carried_request(exchange(), request(X, told.replace(A, X))) == request(A, told)


def test_a_request_without_bound_values_is_itself() -> None:
    asked = request('someone')

    assert carried_request(exchange(), asked) is asked


def test_settings_alone_are_carried_too() -> None:
    asked = Request(message=b'{}', sent=[b'{}'], appended=True, definition=Definition(settings={'user': X}))

    assert carried_request(exchange(), asked).definition == Definition(settings={'user': A})


def test_results_of_tools_are_carried() -> None:
    def ended(value: Json) -> Ended:
        result = ToolResult(kind='return', content=value, metadata={'id': value}, user_content=[value])
        return Ended(started=[0], finished=[0], results={0: result})

    assert carried_outcome(exchange(), ended(X)) == ended(A)


@pytest.mark.parametrize('outcome', [Answered(message={'parts': [{'content': X}]}), Counted(usage={'input_tokens': 1})])
def test_what_a_model_says_is_left_alone(outcome: Outcome) -> None:
    assert carried_outcome(exchange(), outcome) is outcome


def test_the_end_of_a_run_is_carried() -> None:
    finish = Finish(messages=dumps([{'parts': [{'content': X}]}]), new_from=0)
    other = Finish(messages=b'[{"parts":[]}]', new_from=0)

    assert carried_end(exchange(), finish).messages == dumps([{'parts': [{'content': A}]}])
    assert carried_end(exchange(), other) is other
