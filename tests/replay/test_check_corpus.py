"""Real runs, played through the core with a stand-in agent."""

import json
from typing import Any

import pytest

from replay.check import check_run
from tests.helpers import CORPUS_ABSENT, corpus
from tests.replay.mutations import MUTATIONS, History, imported, missed

pytestmark = pytest.mark.skipif(not corpus(), reason=CORPUS_ABSENT)


def history(line: dict[str, Any]) -> History:
    facts = {
        'output_mode': line['output_mode'],
        'output_tool': line['output_tool_name'],
        'end_strategy': line['end_strategy'],
        'entry': line['driver'],
        'error': line['error'],
    }
    return History(messages=json.loads(line['all_messages_json']), new_from=line['history_messages_in'], facts=facts)


def test_every_recorded_run_is_played_to_its_bytes_its_nodes_and_its_error():
    verdicts = {line['id']: check_run(imported(history(line))) for line in corpus()}
    assert [checked for checked in verdicts.values() if checked.verdict != 'exact'] == []
    assert len(verdicts) == 208


def test_the_nodes_are_those_that_ran():
    for line in corpus():
        assert [node.kind for node in imported(history(line)).nodes] == line['node_sequence']


def test_every_change_of_a_derived_item_is_found_at_its_node():
    found, counts = missed({line['id']: history(line) for line in corpus()})
    assert found == []
    assert counts.keys() == {mutation.__name__ for mutation in MUTATIONS}
    assert sum(counts.values()) > 1400
