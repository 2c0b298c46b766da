"""The logical clock and ids."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import NAMESPACE_OID, uuid5

import pytest

from replay import logical


def test_the_clock_moves_one_second_a_request():
    assert [logical.stamp(requests) for requests in (0, 1, 61)] == [
        '2000-01-01T00:00:00Z',
        '2000-01-01T00:00:01Z',
        '2000-01-01T00:01:01Z',
    ]


def test_ids_come_from_the_name_of_the_run_and_a_counter():
    assert logical.run_id('support#2') == str(uuid5(NAMESPACE_OID, 'support#2/run/1'))
    assert logical.call_id('support', 3) == f'pyd_ai_{uuid5(NAMESPACE_OID, "support/call/3").hex}'


@pytest.mark.parametrize(
    ('moment', 'text'),
    [
        (datetime(2026, 11, 20, 9, 50, 39, tzinfo=UTC), '2026-11-20T09:50:39Z'),
        (datetime(2026, 11, 20, 9, 50, 39, 120000, tzinfo=UTC), '2026-11-20T09:50:39.120000Z'),
        (
            datetime(2026, 11, 20, 9, 50, 39, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            '2026-11-20T09:50:39+05:30',
        ),
    ],
)
def test_a_time_is_written_as_messages_write_it(moment: datetime, text: str):
    assert logical.wire_time(moment) == text


def test_the_core_reads_the_same_clock_and_ids():
    ambient = pytest.importorskip('agentrun._ambient', reason='the core is not part of this tree')
    source = ambient.LogicalSource('support#2')
    source.request_begun()
    assert (logical.time(1), logical.run_id('support#2'), logical.call_id('support#2', 1)) == (
        source.now(),
        source.run_id(),
        source.tool_call_id(),
    )
    assert logical.call_id('support#2', 2) == source.tool_call_id()


def test_a_run_has_an_id_and_a_conversation_of_its_own():
    assert logical.conversation_id('support') == str(uuid5(NAMESPACE_OID, 'support/conversation/1'))
    assert logical.conversation_id('support') != logical.run_id('support')
