"""A tape with what goes with it: redaction, minted values, a journal, and answers bound to other requests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from replay.canon import JsonObject, dumps
from replay.cassette import Run, ToolResult
from replay.effects import Answered, Cut, Do, Ended, Replay, Stop
from replay.exchange import Exchange
from replay.journal import Journal, Read, read_journal
from replay.minting import Minting
from replay.redact import Redactor
from replay.tape import REBOUND, Apart, Tape
from replay.veil import Veil
from tests.replay.wire import answered, asked, call, calls, do, finish, request, returned, text, user

RECORDED_ID, LIVE_ID = 'e3e70682-c209-4cac-a29f-6fbed82c07cd', '21636369-8b52-4b4a-97b7-50923ceb3ffd'
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECRET, STAND_IN = 'tulips-and-windmills', '<secret:env GARDEN_TOKEN>'
VEIL = Veil(Redactor({'GARDEN_TOKEN': SECRET}))
LAST = answered(text())
RESPONSE = answered(call())


def tape(recorded: Run | None = None, apart: Apart = 'stop', **parts: Any) -> Tape:
    """A tape that has come to its first request."""
    found = Tape(name='agent', agent='agent', recorded=recorded, apart=apart, **parts)
    found.node('UserPromptNode')
    found.node('ModelRequestNode')
    return found


def ended(tape: Tape, *messages: JsonObject) -> bytes:
    for kind in ('CallToolsNode', 'End'):
        tape.node(kind)
    return tape.finish(finish(*messages))


def run_of(tape: Tape) -> Run:
    assert tape.run is not None
    return tape.run


def recording(message: JsonObject, **parts: Any) -> Run:
    found = tape(**parts)
    do(found, request(message), Answered(message=LAST))
    ended(found, message, LAST)
    return run_of(found)


# -- where a run and its recording part


def test_a_run_that_left_its_recording_is_recorded_from_there_on():
    other = asked(user('Bye'))
    found = tape(recording(asked(user())), apart='record')
    assert (found.replaying, found.parted) == (True, False)
    do(found, request(other), Answered(message=RESPONSE))
    assert (found.replaying, found.parted, found.fresh) == (False, True, True)
    ended(found, other, RESPONSE)
    assert run_of(found).messages == [other, RESPONSE]


def test_answers_are_bound_to_other_requests_of_the_same_run():
    other = asked(user('Bye'))
    found = tape(recording(asked(user())), apart='rebind')
    assert found.begin(request(other)) == Replay(outcome=Answered(message=LAST))
    ended(found, other, LAST)
    assert run_of(found).messages == [other, LAST]
    assert run_of(found).marks == (REBOUND,)


def test_answers_are_not_bound_to_a_run_of_other_nodes():
    found = Tape(name='agent', agent='agent', recorded=recording(asked(user())), apart='rebind')
    assert isinstance(found.node('End'), Stop)


def test_a_cancelled_run_has_to_come_to_where_it_was_cancelled():
    cut = tape()
    do(cut, request(asked(user())), Cut(cancelled=True))
    cut.finish(finish(asked(user()), facts={'interrupted': 'cancelled'}))
    found = Tape(name='agent', agent='agent', recorded=run_of(cut))
    assert found.has_to_come
    found.node('UserPromptNode')
    found.node('ModelRequestNode')
    assert found.begin(request(asked(user()))) == Replay(outcome=Cut(cancelled=True))
    assert not found.has_to_come


# -- without secrets


def test_outcomes_of_calls_are_kept_without_their_secrets():
    def outcome(content: str) -> Ended:
        return Ended(started=[0], finished=[0], results={0: ToolResult(kind='return', content=content)})

    assert tape(veil=VEIL).kept(outcome(SECRET)) == outcome(STAND_IN)
    assert tape().kept(outcome(SECRET)) == outcome(SECRET)


# -- minted values


def ticket(id: str, more: str = '') -> JsonObject:
    return asked(user(f'Open {id}{more}'))


def test_minted_values_are_noted_wherever_a_run_has_them():
    response, closing = answered(call()), asked(returned('Ticket ' + LIVE_ID))
    found = tape(minting=Minting(lambda: NOW).run())
    do(found, request(ticket(RECORDED_ID)), Answered(message=response))
    ended(found, ticket(RECORDED_ID), response, closing)
    assert run_of(found).minted == {
        'uuid-1': {'value': RECORDED_ID, 'by': 'prompt'},
        'uuid-2': {'value': LIVE_ID, 'by': 'look'},
    }


def test_what_a_model_said_is_not_minted_when_it_comes_back():
    response, closing = answered(call(args={'id': LIVE_ID})), asked(returned(LIVE_ID))
    found = tape(minting=Minting(lambda: NOW).run())
    do(found, request(asked(user())), Answered(message=response))
    ended(found, asked(user()), response, closing)
    assert run_of(found).minted == {}


def test_a_request_with_another_minted_value_is_shown_as_it_was_recorded():
    run = recording(ticket(RECORDED_ID))
    found = tape(run, exchange=Exchange([RECORDED_ID]))
    respelt = request(ticket(RECORDED_ID))
    assert found.begin(request(ticket(LIVE_ID))) == Replay(
        outcome=Answered(message=LAST), respelt=replace(respelt, sent=[*respelt.sent])
    )
    assert ended(found, ticket(LIVE_ID), LAST) == dumps([ticket(RECORDED_ID), LAST])
    assert found.divergence is None


def test_a_request_that_is_shown_as_it_was_recorded_keeps_its_secret():
    run = recording(ticket(RECORDED_ID, f' {SECRET}'), veil=VEIL)
    found = tape(run, veil=VEIL, exchange=Exchange([RECORDED_ID]))
    answer = found.begin(request(ticket(LIVE_ID, f' {SECRET}')))
    assert isinstance(answer, Replay)
    assert answer.respelt is not None
    assert answer.respelt.message == dumps(ticket(RECORDED_ID, f' {SECRET}'))
    shown = ended(found, ticket(LIVE_ID, f' {SECRET}'), LAST)
    assert shown == dumps([ticket(RECORDED_ID, f' {SECRET}'), LAST])


def bound() -> Exchange:
    """What a run of the session that was replayed has told: a live id stands for a recorded one."""
    exchange = Exchange([RECORDED_ID])
    assert exchange.respelt(RECORDED_ID, LIVE_ID) == RECORDED_ID
    return exchange


def test_a_run_beside_replayed_ones_is_recorded_with_their_values():
    found = tape(exchange=bound())
    answer = found.begin(request(ticket(LIVE_ID)))
    assert isinstance(answer, Do)
    assert answer.respelt is not None
    assert answer.respelt.message == dumps(ticket(RECORDED_ID))
    found.end(answer.token, Answered(message=LAST))
    assert ended(found, ticket(LIVE_ID), LAST) == dumps([ticket(RECORDED_ID), LAST])
    assert run_of(found).messages == [ticket(RECORDED_ID), LAST]


def test_a_run_beside_replayed_ones_that_has_none_of_their_values_is_asked_as_it_is():
    found = tape(exchange=bound())
    assert found.begin(request(asked(user()))) == Do(token=1)


# -- a journal


class Lines:
    """The file of a journal."""

    def __init__(self) -> None:
        self.data = b''

    def append(self, data: bytes, *, last: bool) -> None:
        self.data += data


def test_an_interrupted_recording_goes_on_from_its_journal():
    lines = Lines()
    first = tape(strip=Journal(lines, Read(), redacted=lambda line: line).strip('agent'))
    do(first, request(asked(user())), Answered(message=RESPONSE))

    read = read_journal(lines.data, name='a.journal')
    again = tape(strip=Journal(lines, read, redacted=lambda line: line).strip('agent'))
    assert again.begin(request(asked(user()))) == Replay(outcome=Answered(message=RESPONSE))
    again.node('CallToolsNode')
    assert isinstance(again.begin(calls(RESPONSE)), Do)


def test_a_recording_that_was_interrupted_and_asks_for_something_else_does_it():
    lines = Lines()
    first = tape(strip=Journal(lines, Read(), redacted=lambda line: line).strip('agent'))
    do(first, request(asked(user())), Answered(message=RESPONSE))

    read = read_journal(lines.data, name='a.journal')
    again = tape(strip=Journal(lines, read, redacted=lambda line: line).strip('agent'))
    assert again.begin(request(asked(user('Bye')))) == Do(token=1)
