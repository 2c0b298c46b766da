"""The keep rule and streams: cuts, snapshots and ids of an equal response stay together, or none of them does."""

import asyncio
import shutil
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from agentrun import Agent
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import PartStartEvent
from agentrun.models.function import DeltaToolCall, DeltaToolCalls, FunctionModel
from benchmarks.cassette_diff import CHANGES, Change, Provider, clerk, git, measure, record, script
from replay import use_cassette
from replay.store import read_cassette

pytestmark = pytest.mark.anyio

needs_git = pytest.mark.skipif(shutil.which('git') is None, reason='git is not installed')

MOST = {
    'one answer changed, ids kept': (3, 3),
    'same, recorded anew': (4, 4),
    'one tool call inserted': (9, 3),
    'one parameter more of a tool': (6, 2),
    'recorded anew, no change': (0, 0),
}
"""Lines added and removed at most."""


@needs_git
@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.name)
def test_a_pull_request_shows_what_changed(tmp_path: Path, change: Change) -> None:
    git(tmp_path, 'init', '-q')
    asyncio.run(record(tmp_path, seed=0, minted=0, answers=script()))
    git(tmp_path, 'add', '.')
    git(tmp_path, 'commit', '-qm', 'first')

    shown, _ = measure(tmp_path, change, 7)

    lines = [int(one) for one in shown.split(',')[0].replace('+', '').replace('-', '').split()]
    assert all(found <= most for found, most in zip((lines * 2)[:2], MOST[change.name], strict=True)), shown


async def test_a_streamed_run_recorded_anew_leaves_the_file_untouched(tmp_path: Path) -> None:
    await record(tmp_path, seed=0, minted=0, answers=script())
    before = (tmp_path / 'trip.json').read_bytes()

    await record(tmp_path, seed=1, minted=1, answers=script())

    assert (tmp_path / 'trip.json').read_bytes() == before


async def test_a_stream_that_is_kept_agrees_with_its_response_where_the_request_changed(tmp_path: Path) -> None:
    await record(tmp_path, seed=0, minted=0, answers=script())
    old = read_cassette(tmp_path / 'trip.json').runs[0]

    await record(tmp_path, seed=1, minted=1, answers=script(inserted=True))

    new = read_cassette(tmp_path / 'trip.json').runs[0]
    assert new.nodes[5].message != old.nodes[5].message  # one more result
    assert new.nodes[5].stream == old.nodes[5].stream
    assert new.nodes[6] == old.nodes[6]
    await replays(tmp_path)


async def test_old_churn_does_not_stay_without_its_stream(tmp_path: Path) -> None:
    with use_cassette('trip', dir=tmp_path, record='all'):
        await clerk(seed=0).run('Go', model=Provider(script(), 0))
    old = read_cassette(tmp_path / 'trip.json').runs[0]

    with use_cassette('trip', dir=tmp_path, record='all') as session:
        result = await clerk(seed=0).run('Go', model=Provider(script(), 1), event_stream_handler=drain)

    new = read_cassette(tmp_path / 'trip.json').runs[0]
    assert [node.message for node in new.nodes[2::2]] != [node.message for node in old.nodes[2::2]]
    with use_cassette('trip', dir=tmp_path) as replay:
        again = await clerk(seed=0).run('Go', model=Provider([], 1), event_stream_handler=drain)
    assert replay.all_messages_json() == session.all_messages_json() == again.all_messages_json()
    assert again.usage() == result.usage()


async def test_a_response_that_is_no_longer_streamed_has_its_old_churn(tmp_path: Path) -> None:
    with use_cassette('trip', dir=tmp_path, record='all'):
        await clerk(seed=0).run('Go', model=Provider(script(), 0), event_stream_handler=drain)
    old = read_cassette(tmp_path / 'trip.json').runs[0]

    with use_cassette('trip', dir=tmp_path, record='all'):
        await clerk(seed=0).run('Go', model=Provider(script(), 1))

    new = read_cassette(tmp_path / 'trip.json').runs[0]
    assert [node.message for node in new.nodes] == [node.message for node in old.nodes]
    assert not any(node.stream for node in new.nodes)


@pytest.mark.parametrize('broken', [False, True])
async def test_calls_of_a_stream_that_broke_off_keep_their_ids(tmp_path: Path, *, broken: bool) -> None:
    async def stream(messages: object, info: object) -> AsyncIterator[DeltaToolCalls | str]:
        for at in range(2):
            yield {at: DeltaToolCall(name='look', json_args='{}', tool_call_id=f'call-{uuid4()}')}
        if broken:
            raise ModelHTTPError(503, 'm')
        yield 'never read'

    async def leave(_: object, events: AsyncIterable[object]) -> None:
        async for event in events:
            if isinstance(event, PartStartEvent) and event.index == 1 and not broken:
                raise EOFError

    agent = Agent(FunctionModel(stream_function=stream), name='clerk')
    files: list[bytes] = []
    for _ in range(2):
        with use_cassette('trip', dir=tmp_path, record='all'), pytest.raises((EOFError, ModelHTTPError)):
            await agent.run('Go', event_stream_handler=leave)
        files.append((tmp_path / 'trip.json').read_bytes())

    assert b'call-' in files[0]
    assert files[1] == files[0]


async def drain(_: object, events: AsyncIterable[object]) -> None:
    """Read a stream to its end."""
    async for _event in events:
        pass


async def replays(folder: Path) -> None:
    """See that the run plays, with other values minted."""
    with use_cassette('trip', dir=folder):
        await clerk(seed=9).run(
            'Weather in Paris and Rome? Open a ticket.', model=Provider([], 0), event_stream_handler=drain
        )
