"""Histories that pydantic_ai 2.x wrote, read as those of 1.38."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from replay.cli._group import replay
from replay.history import from_history, to_history

HISTORY = Path(__file__).parent / 'data' / 'versions' / '2.68.json'
"""A run with a tool that asked for a retry, as pydantic_ai 2.68.0 wrote it."""


def read(messages: Any) -> tuple[list[Any], tuple[str, ...]]:
    found = from_history(json.dumps(messages))
    return json.loads(to_history(found.cassette)), found.assumed


def test_a_retry_of_a_tool_is_read_as_a_retry_prompt():
    messages, assumed = read(json.loads(HISTORY.read_text()))
    (part,) = messages[2]['parts']
    assert (part['part_kind'], part['tool_name'], part['content']) == ('retry-prompt', 'weather', 'No such city.')
    assert any('messages[2].parts[0]: a tool-return part that asks for a retry' in line for line in assumed)


def test_a_retry_of_no_tool_is_read_as_a_retry_prompt_without_one():
    asked, answered = json.loads(HISTORY.read_text())[::5]
    feedback: dict[str, Any] = {
        'part_kind': 'retry-feedback',
        'content': 'Again.',
        'timestamp': asked['timestamp'],
        'retry': {},
    }
    messages, _ = read([asked, answered, {**asked, 'parts': [feedback]}, answered])
    (part,) = messages[2]['parts']
    assert (part['part_kind'], part['tool_name'], part['content']) == ('retry-prompt', None, 'Again.')
    assert part['tool_call_id'].startswith('pyd_ai_')


def test_only_later_fields_that_say_something_are_told_of():
    _, assumed = read(json.loads(HISTORY.read_text()))
    assert assumed[0] == 'messages[0]: fields that 1.38 does not know were left out: conversation_id'
    assert not any('citations' in line or 'state' in line for line in assumed)


def test_the_core_plays_what_was_imported_to_the_same_bytes(tmp_path: Path):
    cassette = str(tmp_path / 'cassette.json')
    assert CliRunner().invoke(replay, ['import', str(HISTORY), '-o', cassette]).exit_code == 0
    checked = CliRunner().invoke(replay, ['check', cassette])
    assert (checked.exit_code, 'ok ' in checked.output) == (0, True), checked.output
