"""What a session says of what is wrong, and what it tells people to type."""

from pathlib import Path

import pytest

from replay.canon import Json, dumps
from replay.cassette import Raised, Run
from replay.errors import CassetteNotFound, ReplayError
from replay.match import Diverged, Divergence
from replay.tape import Tape
from replay.verdicts import NotRebound, RecordingExpired, RunLacking, RunUnfinished, SessionClosed, Texts, Unplayed
from tests.replay import wire

TEST = 'tests/test_trip.py::test_it'
FILE = 'tapes/trip.json'
DIVERGENCE = Divergence(
    cause='user prompt', field='x', recorded='a', live='b', run='r', agent='look', node=1, kind='ModelRequestNode'
)


def texts(test: str | None = TEST, mode: str = 'none') -> Texts:
    return Texts(name='trip', path=Path(FILE), mode=mode, test=test)


def block(mode: str = 'none') -> Texts:
    """Those of a block that no test owns."""
    return texts(None, mode)


def row(error: ReplayError, label: str) -> str:
    return dict(error.rows())[label]


@pytest.mark.parametrize(
    ('told', 'next_step'),
    [
        (texts(), f'pytest {TEST} --replay-record=once     to record it'),
        (block(), "use_cassette('trip', record='once')     to record it"),
    ],
)
def test_without_a_cassette_the_way_to_record_one_is_told(told: Texts, next_step: str) -> None:
    error = told.no_cassette('look', 'Hi')

    assert isinstance(error, CassetteNotFound)
    assert error.expected == f'{FILE}   (mode none: nothing is recorded)'
    assert row(error, 'first') == 'run look, prompt "Hi"'
    assert error.next == (next_step,)


def test_a_prompt_that_is_no_text_is_told_as_json() -> None:
    prompt: list[Json] = ['Hi', {'url': 'a'}]

    assert row(texts().no_cassette('look', prompt), 'first') == f'run look, prompt "{dumps(prompt).decode()}"'


@pytest.mark.parametrize(
    ('old', 'command'),
    [
        ('tests/test_trip.py::test_old', 'replay move test_old test_it'),
        ('tests/test_other.py::test_old', f'replay move tests/test_other.py::test_old {TEST}'),
    ],
)
def test_a_cassette_that_a_renamed_test_left_behind_is_moved(old: str, command: str) -> None:
    error = texts().no_cassette('look', 'Hi', renamed=('tapes/old.json', old))

    assert row(error, 'found') == 'tapes/old.json plays the same first request and no test owns it'
    assert [step.split('     ')[0].rstrip() for step in error.next] == [command, f'pytest {TEST} --replay-record=once']
    assert [step.rpartition('  ')[2] for step in error.next] == ['if the test was renamed', 'to record it']


def test_a_block_is_told_of_no_move_since_no_test_owns_its_cassette() -> None:
    error = block().no_cassette('look', 'Hi', renamed=('tapes/old.json', 'test_old'))

    assert error.next == ("use_cassette('trip', record='once')     to record it",)


@pytest.mark.parametrize(
    ('told', 'play'),
    [
        (texts(), f'pytest {TEST} --replay-pending     to play it'),
        (block(), "use_cassette('trip', play_pending=True)     to play it"),
    ],
)
def test_a_pending_recording_is_to_be_played_or_reviewed_and_not_made_again(told: Texts, play: str) -> None:
    error = told.no_cassette('look', 'Hi', pending=Path('tapes/trip.pending.json'))

    assert error.got == 'trip.pending.json beside it'
    assert error.next == (play, 'replay review     to look at it, and accept it')


@pytest.mark.parametrize(
    ('recorded', 'have'), [([], 'none'), ([Run(name='a', agent='a'), Run(name='a#2', agent='a')], 'a, a#2')]
)
def test_a_run_that_is_not_in_the_cassette_is_told_with_those_that_are(recorded: list[Run], have: str) -> None:
    error = texts().run_lacking('look', 'Hi', recorded)

    assert isinstance(error, RunLacking)
    assert error.expected == f'one of its runs that was not played yet; it has {have}'
    assert error.next == (f'pytest {TEST} --replay-record=rewrite     to record all runs anew',)


def test_a_divergence_is_answered_by_asking_the_model_again() -> None:
    error = texts().diverged(DIVERGENCE)

    assert type(error) is Diverged
    assert error.where.cassette == FILE
    assert error.next == (f'pytest {TEST} --replay-record=rewrite     to ask the model again',)


@pytest.mark.parametrize(
    ('told', 'live'), [(texts(), f'pytest {TEST} --replay-tools=live'), (block(), "use_cassette('trip', tools='live')")]
)
def test_where_tools_were_not_executed_they_may_be(told: Texts, live: str) -> None:
    error = told.diverged(DIVERGENCE, unexecuted=('look',))

    assert error.next[1].startswith(f'{live}     ')


def test_a_run_that_cannot_be_bound_to_the_recorded_answers_is_told_apart() -> None:
    error = texts(mode='rebind').diverged(DIVERGENCE)

    assert isinstance(error, NotRebound)
    assert error.headline == 'user prompt of look changed: recorded answers cannot be bound to it'
    assert error.args == (error.headline,)


@pytest.mark.parametrize(
    ('told', 'step'),
    [
        (texts(), f'pytest {TEST} --replay-record=rewrite --replay-max-age=30d     to record anew'),
        (block(), "use_cassette('trip', record='rewrite')     to record anew"),
    ],
)
def test_a_recording_that_is_too_old_is_made_anew(told: Texts, step: str) -> None:
    error = told.expired('2026-01-01', days=40, most=30)

    assert isinstance(error, RecordingExpired)
    assert (error.made, error.days) == ('2026-01-01', 40)
    assert error.got == 'one of 2026-01-01, 40 days ago'
    assert error.next == (step,)


def test_a_run_that_outlived_its_session_names_the_cassette() -> None:
    error = texts().closed()

    assert isinstance(error, SessionClosed)
    assert error.headline == 'a run went on after its session was closed: cassette trip'
    assert error.where.cassette == FILE


def test_a_run_that_is_still_going_is_told_with_how_far_it_came() -> None:
    tape = Tape(name='look', agent='look')
    tape.node('UserPromptNode')

    error = texts().unfinished(tape)

    assert isinstance(error, RunUnfinished)
    assert error.got == f'{tape.state}, after node {tape.at}'
    assert error.where.run == 'look'


def replayed(*kinds: str, raised: Raised | None = None) -> tuple[Tape, Run]:
    """A replay that ended in an error after its first node, and its recording."""
    recorded = wire.record()
    tape = Tape(name='agent', agent='agent', recorded=recorded)
    for kind in kinds:
        tape.node(kind)
    tape.finish(wire.finish(raised=raised))
    return tape, recorded


def test_nodes_that_were_not_played_are_counted_and_shown_beside_those_that_were() -> None:
    tape, recorded = replayed('UserPromptNode', raised=Raised(type='app.Broken', message='no'))

    error = texts().unplayed_nodes(tape, recorded)

    assert isinstance(error, Unplayed)
    assert error.headline == '5 recorded nodes never played'
    assert error.nodes == (1, 2, 3, 4, 5)
    assert error.block[1].endswith('<- raised here: Broken')
    assert error.next[0] == f'fix the code, or: replay record {TEST}'


def runs(*names: str) -> list[Run]:
    return [Run(name=name, agent=name, nodes=wire.record().nodes) for name in names]


def test_a_run_that_never_started_is_shown_beside_those_that_did() -> None:
    played, never = runs('a', 'b')

    error = block().unplayed_runs([never], [played, never], ['a'])

    assert isinstance(error, Unplayed)
    assert error.headline == '1 recorded run never played'
    assert (error.run, error.nodes) == ('b', tuple(range(len(never.nodes))))
    assert [line.split()[1:] for line in error.block[1:]] == [['a', 'a'], ['b', '-']]
    assert error.next[0] == "fix the code, or: use_cassette('trip', record='rewrite')"


def test_the_place_stands_at_the_top_of_what_was_not_played() -> None:
    (never,) = runs('b')

    rows = texts().unplayed_runs([never], [never], []).rows()

    assert rows[0] == ('cassette', f'{FILE}  run b')
    assert 'where' not in dict(rows)
