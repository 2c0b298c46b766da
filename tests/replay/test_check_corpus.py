"""Real runs, played through the core with a stand-in agent."""

from typing import Any

import pytest

from replay.cassette import Run
from replay.check import check_run
from replay.history import from_history
from tests.helpers import CORPUS_ABSENT, corpus

pytestmark = pytest.mark.skipif(not corpus(), reason=CORPUS_ABSENT)


def imported(line: dict[str, Any]) -> Run:
    facts = {
        'new_from': line['history_messages_in'],
        'output_mode': line['output_mode'],
        'output_tool': line['output_tool_name'],
        'end_strategy': line['end_strategy'],
        'entry': line['driver'],
        'error': line['error'],
    }
    known: dict[str, Any] = {name: value for name, value in facts.items() if value is not None}
    return from_history(line['all_messages_json'], **known).cassette.runs[0]


def test_every_recorded_run_is_played_to_its_bytes_its_nodes_and_its_error():
    verdicts = {line['id']: check_run(imported(line)) for line in corpus()}
    assert [checked for checked in verdicts.values() if checked.verdict != 'exact'] == []
    assert len(verdicts) == 208


@pytest.mark.parametrize('line', corpus(), ids=lambda line: line['id'])
def test_the_nodes_are_those_that_ran(line: dict[str, Any]):
    assert [node.kind for node in imported(line).nodes] == line['node_sequence']
