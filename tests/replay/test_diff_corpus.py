"""Real histories: every one can be outlined, shown and compared, and provider churn is no difference."""

import re
from itertools import pairwise
from typing import Any, cast

import pytest

from replay.canon import JsonObject, dumps, loads
from replay.cassette import Cassette
from replay.cli._show import told
from replay.diff import CassetteDiff, diff_cassettes
from replay.diff_formats import diff_to_markdown, diff_to_text
from replay.history import from_history
from replay.outline import outline_of
from tests.helpers import CORPUS_ABSENT, corpus

pytestmark = pytest.mark.skipif(not corpus(), reason=CORPUS_ABSENT)

CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f]')


def imported(record: dict[str, Any], text: str) -> Cassette:
    return from_history(text, new_from=record['history_messages_in']).cassette


def compare(old: Cassette, new: Cassette) -> CassetteDiff:
    return diff_cassettes(old, new, old_label='old', new_label='new')


def churned(text: str) -> str:
    """The same run as a provider would tell it another time: other times, ids, usage, signatures, details."""
    numbers: dict[str, str] = {}

    def again(value: Any, key: str = '') -> Any:
        if isinstance(value, list):
            return [again(item) for item in cast('list[Any]', value)]
        if isinstance(value, dict):
            return {name: again(item, name) for name, item in cast('dict[str, Any]', value).items()}
        if key == 'tool_call_id':
            return numbers.setdefault(value, f'anew-{len(numbers)}')
        if key == 'timestamp' and value is not None:
            return '2030-01-01T00:00:00Z'
        if key in {'run_id', 'provider_response_id', 'signature', 'id', 'encrypted_content'} and value is not None:
            return 'anew'
        return value

    messages: list[JsonObject] = again(loads(text))
    for message in messages:
        if message['kind'] == 'response':
            message['provider_details'] = {'finish_reason': 'anew'}
            message['usage'] = {**dict.fromkeys(list(_usage(message)), 7), 'details': {}}
    return dumps(list(messages)).decode()


def _usage(message: JsonObject) -> JsonObject:
    usage = message['usage']
    assert isinstance(usage, dict)
    return usage


def test_every_history_is_outlined_in_safe_lines_one_for_each_node() -> None:
    for record in corpus():
        run = imported(record, record['all_messages_json']).runs[0]
        items = outline_of(run)
        assert [item.kind for item in items if item.kind != 'history'] == [node.kind for node in run.nodes]
        assert not [item.line for item in items if '\n' in item.line or CONTROL.search(item.line)]
        assert max(len(item.line) for item in items) < 3000


def test_every_history_can_be_shown() -> None:
    for record in corpus():
        assert not [line for line, _ in told(imported(record, record['all_messages_json'])) if CONTROL.search(line)]


def test_churn_of_a_provider_is_no_difference() -> None:
    for record in corpus():
        text = record['all_messages_json']
        found = compare(imported(record, text), imported(record, churned(text)))
        assert not found.differs, f'{record["test_id"]}\n{diff_to_text([found])}'


def test_any_two_neighbours_can_be_compared() -> None:
    cassettes = [imported(record, record['all_messages_json']) for record in corpus()]
    for old, new in pairwise(cassettes):
        found = compare(old, new)
        assert not CONTROL.search(diff_to_text([found]))
        assert diff_to_markdown([found]).count('\n### ') == found.differs
