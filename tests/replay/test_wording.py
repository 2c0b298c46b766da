"""What a session shows of runs that are recorded anew."""

from pathlib import Path

import pytest

from agentrun import Agent
from replay import use_cassette
from tests.replay.test_keep import Provider, clerk

pytestmark = pytest.mark.anyio


async def test_a_run_recorded_anew_shows_the_bytes_of_its_first_recording_and_of_its_replay(tmp_path: Path) -> None:
    shown: list[tuple[bytes, bytes, dict[str, int], tuple[object, ...]]] = []
    for mode in ('once', 'all', 'rewrite', 'none'):
        with use_cassette('run', dir=tmp_path, record=mode) as session:
            result = await clerk().run('go', model=Provider('new_ticket', 'done').model())
            assert result.output == 'done'
            shown.append((session.all_messages_json(), session.new_messages_json(), session.usage, session.nodes))

    assert shown == [shown[0]] * 4


async def test_later_runs_are_shown_in_the_words_of_the_earlier_ones(tmp_path: Path) -> None:
    shown: list[list[bytes]] = []
    for mode in ('once', 'all', 'none'):
        with use_cassette('run', dir=tmp_path, record=mode) as session:
            provider = Provider('new_ticket', 'done', 'bye').model()
            first = await clerk().run('go', model=provider)
            before = [run.all_json for run in session.runs]
            await clerk().run('on', model=provider, message_history=first.all_messages())
            shown.append([run.all_json for run in session.runs])
            assert shown[-1][:1] == before

    assert shown == [shown[0]] * 3


async def test_what_changed_is_shown_as_it_is_now(tmp_path: Path) -> None:
    for answer in ('one', 'two'):
        with use_cassette('run', dir=tmp_path, record='all') as session:
            await clerk().run('go', model=Provider(answer).model())
            assert f'"content":"{answer}"'.encode() in session.all_messages_json()


async def test_a_run_without_an_earlier_recording_is_shown_as_it_went(tmp_path: Path) -> None:
    with use_cassette('run', dir=tmp_path, record='all'):
        await clerk().run('go', model=Provider('done').model())
    with use_cassette('run', dir=tmp_path, record='new_episodes') as session:
        await clerk().run('go', model=Provider().model())
        other = await Agent(name='other').run('go', model=Provider('well').model())

    assert [run.name for run in session.runs] == ['clerk', 'other']
    assert session.run('other').all_json == other.all_messages_json()
