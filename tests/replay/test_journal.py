"""The lines of a journal by direct calls: what is written, and what of it can be gone on from."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from replay.cassette import Raised, ToolResult
from replay.effects import Answered, Count, Counted, Cut, Effect, Ended, Failed, Outcome
from replay.errors import CassetteDamaged
from replay.journal import Entry, Journal, Read, Strip, read_journal
from tests.replay import wire

REQUEST = wire.request(wire.asked(wire.user()))
RESPONSE = wire.answered(wire.call(), wire.call('jump', 'c2'))
CALLS = wire.calls(RESPONSE)
ANSWERED = Answered(message=wire.answered(wire.text()))
RESULT = ToolResult(kind='return', content=1)
RAISED = Raised(type='app.Busy', bases=('RuntimeError',), message='later')
ENDED = Ended(started=[0, 1], finished=[1, 0], results={0: RESULT, 1: ToolResult(kind='raised', raised=RAISED)})


class Lines:
    """A file in memory."""

    def __init__(self) -> None:
        self.data = b''
        self.synced: list[bool] = []
        self.full = False

    def append(self, data: bytes, *, last: bool) -> None:
        if self.full:
            raise OSError('no space left')
        self.data += data
        self.synced.append(last)


def journal(lines: Lines, read: Read | None = None, redacted: Callable[[bytes], bytes] = bytes) -> Journal:
    return Journal(lines, read or Read(), redacted=redacted)


def record(strip: Strip, effect: Effect, outcome: Outcome) -> None:
    assert strip.answer(effect) is None
    strip.note(effect, outcome)


def again(lines: Lines) -> Journal:
    """The journal of the next recording."""
    return journal(lines, read_journal(lines.data, name='j'))


def written(*pairs: tuple[Effect, Outcome], run: str = 'a') -> Lines:
    lines = Lines()
    strip = journal(lines).strip(run)
    for effect, outcome in pairs:
        record(strip, effect, outcome)
    return lines


@pytest.mark.parametrize(
    ('effect', 'outcome'),
    [
        (REQUEST, ANSWERED),
        (Count(), Counted(usage={'input_tokens': 3})),
        (CALLS, ENDED),
    ],
)
def test_what_came_of_an_effect_is_its_answer_in_the_next_recording(effect: Effect, outcome: Outcome) -> None:
    assert again(written((effect, outcome))).strip('a').answer(effect) == outcome


def test_answered_requests_are_counted_as_resumed_and_calls_are_not() -> None:
    later = again(written((REQUEST, ANSWERED), (CALLS, ENDED)))
    strip = later.strip('a')
    strip.answer(REQUEST)
    strip.answer(CALLS)

    assert later.resumed == 1


def test_nothing_is_answered_after_the_first_difference() -> None:
    strip = again(written((REQUEST, ANSWERED), (REQUEST, ANSWERED))).strip('a')

    assert strip.answer(wire.request(wire.asked(wire.user('Other')))) is None
    assert strip.answer(REQUEST) is None


def test_another_run_has_no_answers() -> None:
    assert again(written((REQUEST, ANSWERED))).strip('b').answer(REQUEST) is None


def test_calls_that_other_runs_were_inside_of_are_made_again() -> None:
    lines = written((CALLS, ENDED))
    inner = 'a/0/inner'
    record(again(lines).strip(inner), REQUEST, ANSWERED)

    strip = again(lines).strip('a')

    assert strip.answer(CALLS) is None


@pytest.mark.parametrize(
    'outcome',
    [
        Cut(cancelled=True),
        Ended(started=[0, 1], finished=[0], results={0: RESULT}),
        Ended(started=[0, 1], finished=[0, 1], results={0: RESULT}, cut=True),
    ],
)
def test_what_did_not_end_is_not_written(outcome: Outcome) -> None:
    assert written((CALLS, outcome)).data == b''


def test_the_model_is_asked_again_where_the_last_thing_was_an_error() -> None:
    strip = again(written((REQUEST, ANSWERED), (REQUEST, Failed(raised=RAISED)))).strip('a')

    assert strip.answer(REQUEST) == ANSWERED
    assert strip.answer(REQUEST) is None


def test_an_error_that_the_run_went_on_from_is_answered() -> None:
    strip = again(written((REQUEST, Failed(raised=RAISED)), (REQUEST, ANSWERED))).strip('a')

    assert strip.answer(REQUEST) == Failed(raised=RAISED)


def test_only_answers_of_a_model_have_to_outlast_a_power_loss() -> None:
    assert written((REQUEST, ANSWERED), (CALLS, ENDED)).synced == [False, True, False]


def test_after_a_disk_that_is_full_nothing_is_written() -> None:
    lines = Lines()
    strip = journal(lines).strip('a')
    lines.full = True
    record(strip, REQUEST, ANSWERED)
    lines.full = False
    record(strip, REQUEST, ANSWERED)

    assert lines.data == b''


def test_nothing_is_written_from_a_line_on_that_holds_a_secret() -> None:
    lines = Lines()
    strip = journal(lines, redacted=lambda line: line.replace(b'hush', b'')).strip('a')
    record(strip, REQUEST, ANSWERED)
    before = lines.data
    record(strip, REQUEST, Answered(message=wire.answered(wire.text('hush'))))
    record(strip, REQUEST, ANSWERED)

    assert lines.data == before != b''


def test_nothing_is_written_after_the_end() -> None:
    lines = Lines()
    one = journal(lines)
    one.end()
    record(one.strip('a'), REQUEST, ANSWERED)

    assert lines.data == b''


def test_a_recording_that_went_another_way_replaces_what_came_after() -> None:
    lines = written((REQUEST, ANSWERED), (REQUEST, ANSWERED))
    other = wire.request(wire.asked(wire.user('Other')))
    record(again(lines).strip('a'), other, ANSWERED)

    strip = again(lines).strip('a')

    assert strip.answer(other) == ANSWERED
    assert strip.answer(REQUEST) is None


@pytest.mark.parametrize('torn', [b'{"run":"a', b'{"run":"a\0\0', b'\0\0\0'])
def test_a_last_line_that_was_torn_is_dropped(torn: bytes) -> None:
    lines = written((REQUEST, ANSWERED))

    found = read_journal(lines.data + torn, name='j')

    assert found.size == len(lines.data)
    assert len(found.entries['a']) == 1


def test_an_end_that_is_no_line_is_damage() -> None:
    with pytest.raises(CassetteDamaged) as caught:
        read_journal(written((REQUEST, ANSWERED)).data + b'x', name='j')
    assert caught.value.got == 'line 3 is not as it was written'


def test_a_changed_line_is_damage() -> None:
    with pytest.raises(CassetteDamaged) as caught:
        read_journal(written((REQUEST, ANSWERED)).data.replace(b'Hello', b'Hullo'), name='j')
    assert caught.value.got == 'line 2 is not as it was written'


def chained(*bodies: bytes) -> bytes:
    """Lines with the checks that belong to them."""
    data, check = b'', ''
    for body in bodies:
        check = sha256(check.encode() + body).hexdigest()[:16]
        data += body[:-1] + f',"check":"{check}"}}\n'.encode()
    return data


HEAD = b'{"format":"agentrun-replay-journal/1"}'


@pytest.mark.parametrize(
    ('bodies', 'line'),
    [
        ([b'{"format":"agentrun-replay-journal/2"}'], 1),
        ([HEAD, b'{"run":"a","at":0,"asked":"x","outcome":{"kind":"Guessed"}}'], 2),
        ([HEAD, b'{"run":"a","at":0,"asked":"x"}'], 2),
    ],
)
def test_whole_lines_that_say_what_no_journal_says_are_damage(bodies: list[bytes], line: int) -> None:
    with pytest.raises(CassetteDamaged) as caught:
        read_journal(chained(*bodies), name='j')
    assert caught.value.got == f'line {line} is not as it was written'


def test_a_streamed_answer_comes_back_with_what_passed() -> None:
    outcome = Answered(message=wire.answered(wire.text()), stream=({'over': True},))

    assert again(written((REQUEST, outcome))).strip('a').answer(REQUEST) == outcome


def test_a_line_that_does_not_follow_on_those_of_its_run_is_passed_over() -> None:
    lines = Lines()
    journal(lines).note(Entry(run='a', at=3, asked='x', outcome=ANSWERED))

    assert read_journal(lines.data, name='j').entries == {'a': []}
