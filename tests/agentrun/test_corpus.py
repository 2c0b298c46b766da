"""Every recorded history and event list, loaded and dumped."""

import warnings
from typing import Any

import pytest

from agentrun.messages import AgentStreamEventsTypeAdapter, ModelMessagesTypeAdapter
from agentrun.messages._wire import dump_messages
from tests.helpers import CORPUS_ABSENT, corpus, corpus_path

pytestmark = pytest.mark.skipif(corpus_path() is None, reason=CORPUS_ABSENT)

HISTORIES = [pytest.param(record, id=record['id']) for record in corpus()]
SEGMENTS = [
    pytest.param(segment['events_json'], id=f'{record["id"]}-{index}')
    for record in corpus()
    for index, segment in enumerate(record['events'])
]


@pytest.mark.parametrize('record', HISTORIES)
@pytest.mark.parametrize('field', ['all_messages_json', 'new_messages_json'])
@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings')  # URLs without a guessable media type
def test_a_recorded_history_comes_back_to_the_byte(record: dict[str, Any], field: str):
    text = record[field].encode()
    messages = ModelMessagesTypeAdapter.validate_json(text)
    assert ModelMessagesTypeAdapter.dump_json(messages) == text
    assert dump_messages(messages) == text


@pytest.mark.parametrize('events', SEGMENTS)
def test_a_recorded_event_list_comes_back_to_the_byte(events: str):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # events of built-in tools
        loaded = AgentStreamEventsTypeAdapter.validate_json(events)
    assert AgentStreamEventsTypeAdapter.dump_json(loaded) == events.encode()


def test_the_corpus_is_whole():
    assert len(corpus()) == 208
