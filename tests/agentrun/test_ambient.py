"""The door to clock and ids: live readings, logical readings, and which of them a run gets."""

import contextvars
import re
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import anyio
import pytest

from agentrun import _ambient
from agentrun._ambient import BASE_TIME, LiveSource, LogicalSource, deterministic, source_for_run, use


def readings(source: _ambient.Source) -> tuple[datetime, str, str]:
    return source.now(), source.run_id(), source.tool_call_id()


def test_the_live_clock_is_the_real_one_in_utc():
    before = datetime.now(tz=UTC)
    shown = LiveSource().now()
    assert before <= shown <= datetime.now(tz=UTC)
    assert shown.utcoffset() == timedelta(0)


def test_the_clock_of_the_machine_goes_on_where_a_test_has_set_the_clock(monkeypatch: pytest.MonkeyPatch):
    class Frozen(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2024, 5, 6, tzinfo=UTC)

    before = datetime.now(tz=UTC)
    monkeypatch.setattr(_ambient, 'datetime', Frozen)
    assert LiveSource().now().year == 2024
    assert before <= LiveSource().system_now() <= datetime.now(tz=UTC)


@pytest.mark.parametrize('travelling', [False, True])
def test_the_clock_of_the_machine_is_asked_for_from_what_sets_every_clock(
    monkeypatch: pytest.MonkeyPatch, travelling: bool
):
    real = SimpleNamespace(is_travelling=lambda: travelling, time=SimpleNamespace(time=lambda: 1_000_000_000.0))
    monkeypatch.setitem(sys.modules, 'time_machine', SimpleNamespace(escape_hatch=real))
    assert (LiveSource().system_now() == datetime.fromtimestamp(1_000_000_000, UTC)) == travelling


def test_live_ids_are_random_uuids():
    source = LiveSource()
    assert uuid.UUID(source.run_id()).version == 4
    assert re.fullmatch('pyd_ai_[0-9a-f]{32}', source.tool_call_id())
    assert len({source.run_id() for _ in range(9)} | {source.tool_call_id() for _ in range(9)}) == 18


def test_a_live_clock_takes_no_notice_of_requests():
    source = LiveSource()
    source.request_begun()
    assert source.now() - datetime.now(tz=UTC) < timedelta(seconds=1)


def test_a_logical_clock_counts_requests_begun():
    source = LogicalSource('support')
    shown = [source.now()]
    for _ in range(2):
        source.request_begun()
        shown += [source.now(), source.now()]
    assert [str(time) for time in shown] == [
        '2000-01-01 00:00:00+00:00',
        '2000-01-01 00:00:01+00:00',
        '2000-01-01 00:00:01+00:00',
        '2000-01-01 00:00:02+00:00',
        '2000-01-01 00:00:02+00:00',
    ]


def test_logical_ids_follow_from_the_name_the_kind_and_a_counter():
    source = LogicalSource('support/lookup#2')
    assert source.run_id() == str(uuid.uuid5(uuid.NAMESPACE_OID, 'support/lookup#2/run/1'))
    first, second = source.tool_call_id(), source.tool_call_id()
    assert first == 'pyd_ai_' + uuid.uuid5(uuid.NAMESPACE_OID, 'support/lookup#2/call/1').hex
    assert second == 'pyd_ai_' + uuid.uuid5(uuid.NAMESPACE_OID, 'support/lookup#2/call/2').hex
    assert source.run_id() == str(uuid.uuid5(uuid.NAMESPACE_OID, 'support/lookup#2/run/2'))


def test_the_functions_read_the_source_in_use():
    with use(LogicalSource('r')) as source:
        source.request_begun()
        assert readings(LogicalSource('r'))[1:] == (_ambient.new_run_id(), _ambient.new_tool_call_id())
        assert _ambient.now() == BASE_TIME + timedelta(seconds=1)


def test_the_functions_are_live_where_no_source_is_in_use():
    assert _ambient.now() > BASE_TIME + timedelta(days=365)
    assert uuid.UUID(_ambient.new_run_id()).version == 4
    assert _ambient.new_tool_call_id() != _ambient.new_tool_call_id()


def test_sources_in_use_nest():
    outer, inner = LogicalSource('outer'), LogicalSource('inner')
    inner.request_begun()
    with use(outer):
        with use(inner):
            assert _ambient.now() == inner.now()
        assert _ambient.now() == outer.now()
    assert _ambient.now() > BASE_TIME + timedelta(days=365)


def test_a_source_is_put_back_after_an_exception():
    with pytest.raises(KeyError), use(LogicalSource('r')):
        raise KeyError
    assert _ambient.now() > BASE_TIME + timedelta(days=365)


def test_a_source_in_use_is_not_seen_in_another_context():
    elsewhere = contextvars.copy_context()
    with use(LogicalSource('r')):
        assert elsewhere.run(_ambient.now) > BASE_TIME + timedelta(days=365)


def test_a_run_reads_live_unless_asked_to_be_deterministic():
    assert isinstance(source_for_run('a'), LiveSource)


def test_runs_in_a_deterministic_block_read_by_their_names():
    with deterministic():
        found = [source_for_run(name) for name in ('a', 'a/tool/b', 'a', 'a', 'a/tool/b')]
        expected = [LogicalSource(name) for name in ('a', 'a/tool/b', 'a#2', 'a#3', 'a/tool/b#2')]
        assert list(map(readings, found)) == list(map(readings, expected))
    assert isinstance(source_for_run('a'), LiveSource)


def test_each_deterministic_block_counts_anew():
    shown: list[tuple[datetime, str, str]] = []
    for _ in range(2):
        with deterministic():
            shown.append(readings(source_for_run('a')))
    assert shown[0] == shown[1]


def test_outside_of_runs_a_deterministic_block_shows_the_base_time():
    with deterministic():
        source_for_run('a').request_begun()
        first = _ambient.now(), _ambient.new_run_id(), _ambient.new_tool_call_id()
        assert _ambient.now() == BASE_TIME
        assert _ambient.new_tool_call_id() != first[2]
    with deterministic():
        assert first == (_ambient.now(), _ambient.new_run_id(), _ambient.new_tool_call_id())


def test_a_run_that_began_before_the_block_keeps_its_readings():
    with use(LiveSource()), deterministic():
        assert _ambient.now() > BASE_TIME + timedelta(days=365)


def test_the_inner_of_two_blocks_is_the_one_that_counts():
    with deterministic():
        source_for_run('a')
        with deterministic():
            assert readings(source_for_run('a')) == readings(LogicalSource('a'))
        assert readings(source_for_run('a')) == readings(LogicalSource('a#2'))


def test_a_thread_without_a_context_is_in_the_block_too():
    found: list[_ambient.Source] = []
    with deterministic():
        source_for_run('a')
        thread = threading.Thread(target=lambda: found.append(source_for_run('a')))
        thread.start()
        thread.join()
    assert readings(found[0]) == readings(LogicalSource('a#2'))


def test_a_task_left_over_from_a_closed_block_reads_live():
    with deterministic():
        left_over = contextvars.copy_context()
    assert isinstance(left_over.run(source_for_run, 'a'), LiveSource)


def test_a_block_may_be_left_in_another_context():
    block = deterministic()
    contextvars.copy_context().run(block.__enter__)
    assert isinstance(source_for_run('a'), LogicalSource)
    contextvars.copy_context().run(block.__exit__, None, None, None)
    assert isinstance(source_for_run('a'), LiveSource)


@pytest.mark.anyio
async def test_two_concurrent_blocks_do_not_share_numbers():
    shown: list[list[tuple[datetime, str, str]]] = []
    entered = [anyio.Event(), anyio.Event()]

    async def task(number: int) -> None:
        with deterministic():
            entered[number].set()
            await entered[1 - number].wait()
            shown.append([readings(source_for_run('a')), readings(source_for_run('a'))])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task, 0)
        tasks.start_soon(task, 1)
    assert shown[0] == shown[1] == [readings(LogicalSource('a')), readings(LogicalSource('a#2'))]


@pytest.mark.anyio
async def test_a_source_in_use_belongs_to_its_task():
    shown: dict[str, datetime] = {}
    both = [anyio.Event(), anyio.Event()]

    async def task(number: int) -> None:
        source = LogicalSource('r')
        for _ in range(number):
            source.request_begun()
        with use(source):
            both[number].set()
            await both[1 - number].wait()
            shown[str(number)] = _ambient.now()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task, 0)
        tasks.start_soon(task, 1)
    assert shown == {'0': BASE_TIME, '1': BASE_TIME + timedelta(seconds=1)}
