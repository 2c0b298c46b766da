"""Attempts, counts and types of outcomes as text, and recordings read by the table of another library version."""

from dataclasses import replace
from typing import Any, cast

import pytest

from replay.cassette import Attempt, Cassette, Node, Raised, ToolResult
from replay.codec import as_version, dumps, loads, seal_of
from replay.errors import CassetteDamaged, ReplayError
from replay.shapes import FULL, TABLES
from tests.replay import messages as m

BUSY = Attempt(model='first', raised=Raised(type='agentrun.exceptions.ModelHTTPError', message='later'))
PASSED = Attempt(model='second', response=m.response(m.text('Hm')))
GIVEN_UP = Attempt(model='third', cut=True)
ASKED = m.cassette(
    m.PROMPT,
    m.asked(m.request(m.user('Go')), attempts=(BUSY, PASSED, GIVEN_UP)),
    m.answered(m.response(m.called('look', {}, 'c1')), results={
        0: ToolResult(
            kind='raised',
            raised=Raised(type='builtins.KeyError', message='x'),
            types={'content': 'set'},
            usage={'requests': 1, 'details': {'cached': 2}},
        ),
    }),
)  # fmt: skip

ANSWER = """"kind": "response",
                "parts": [
                  {"part": "text","""


def edited(text: str, old: str, new: str) -> str:
    """A text with something else in it, and the seal that goes with that."""
    assert old in text
    body = text[: text.rindex('  "seal"')].replace(old, new)
    return f'{body}  "seal": "{seal_of(body)}"\n}}\n'


def test_attempts_and_what_tools_counted_come_back():
    assert loads(dumps(ASKED)) == ASKED


CUT = m.cassette(
    m.PROMPT,
    m.asked(m.request(m.user('Go'))),
    m.answered(m.response(m.called('look', {}, 'c1')), finished=(), cut=True),
    m.asked(m.request(m.returned('look', 1, 'c1'), at=2), cut=True),
)


def test_nodes_that_were_cancelled_say_so_in_a_word():
    assert dumps(CUT).count('"cut": "cancelled"') == 2
    assert loads(dumps(CUT)) == CUT


@pytest.mark.parametrize(
    ('old', 'new', 'headline'),
    [
        ('"cut": "cancelled"', '"cut": "timeout"', 'unknown way to be cut'),
        ('"cut": "cancelled"', '"cut": true', 'unknown way to be cut'),
        ('{"node": "UserPromptNode"}', '{"node": "UserPromptNode", "cut": "cancelled"}', "unknown key 'cut'"),
    ],
)
def test_nodes_cannot_be_cut_in_another_way(old: str, new: str, headline: str):
    with pytest.raises(CassetteDamaged, match=headline):
        loads(edited(dumps(CUT), old, new))


def test_attempts_of_another_shape_stand_in_the_file_whole():
    odd = replace(PASSED, response={**(PASSED.response or {}), 'more': 1})
    cassette = replace(m.cassette(m.PROMPT, m.asked(m.request(m.user('Go')), attempts=(odd,))), wire=FULL)
    assert loads(dumps(cassette)) == cassette


@pytest.mark.parametrize(
    ('old', 'new', 'headline'),
    [
        ('"model": "first",', '"model": "first", "other": 1,', 'other'),
        ('"model": "first",', '"model": "first", "response": {},', 'an attempt failed, or was answered or cut'),
        ('"kind": "response"', '"kind": "request"', 'unknown kind of part'),
        ('"cut": "cancelled"', '"cut": "paused"', "'paused'"),
        ('"cut": "cancelled"', '"cut": true', 'unknown way to be cut'),
        ('"model": "third", "cut": "cancelled"', '"model": "third"', 'an attempt failed, or was answered or cut'),
        (ANSWER, ANSWER.replace('response', 'request').replace('"text"', '"user-prompt"'), 'answered by no response'),
        ('"requests": 1', '"requests": 1.5', 'a count is no number'),
    ],
)
def test_attempts_and_counts_that_are_none_are_refused(old: str, new: str, headline: str):
    with pytest.raises(CassetteDamaged) as caught:
        loads(edited(dumps(ASKED), old, new))
    assert headline in caught.value.render()


def test_a_recording_is_read_as_another_version_would_have_written_it():
    run = m.cassette(m.PROMPT, m.asked(m.request(m.user('Go'))), m.answered(m.response(m.text('Done'))), m.END).runs[0]
    newer = as_version(run, wire='pydantic-ai 1.38', to='pydantic-ai 2.68')
    message: Any = newer.nodes[2].message
    assert message['parts'][0]['content'] == 'Done'
    assert 'state' in message
    assert as_version(newer, wire='pydantic-ai 2.68', to='pydantic-ai 1.38') == run
    assert as_version(run, wire='pydantic-ai 1.38', to='unknown') is run


def test_what_another_version_cannot_say_is_refused_by_name():
    run = m.cassette(m.PROMPT, m.asked(m.request(m.user('Go')))).runs[0]
    newer = as_version(run, wire='pydantic-ai 1.38', to='pydantic-ai 2.68')
    message: Any = {**cast('dict[str, Any]', newer.nodes[1].message), 'state': 'interrupted'}
    newer = replace(newer, nodes=(newer.nodes[0], replace(newer.nodes[1], message=message)))
    with pytest.raises(ReplayError, match=r'does not mean the same under pydantic-ai 1\.15') as caught:
        as_version(newer, wire='pydantic-ai 2.68', to='pydantic-ai 1.15')
    assert "a request in the state 'interrupted'" in caught.value.render()


def test_a_key_that_the_other_version_does_not_know_is_left_out():
    run = m.cassette(m.PROMPT, m.asked(m.request(m.user('Go'), metadata={'team': 'a'}))).runs[0]
    older = as_version(run, wire='pydantic-ai 1.38', to='pydantic-ai 1.15')
    message: Any = older.nodes[1].message
    assert 'metadata' not in message


@pytest.mark.parametrize('wire', [name for name in TABLES if name != 'pydantic-ai 1.38'])
def test_a_recording_of_every_version_comes_back_with_its_conversation(wire: str):
    run = m.cassette(m.PROMPT, m.asked(m.request(m.user('Go'))), m.answered(m.response(m.text('Done')))).runs[0]
    cassette = Cassette(wire=wire, runs=(as_version(run, wire='pydantic-ai 1.38', to=wire),))
    assert loads(dumps(cassette)) == cassette
    if 'conversation_id' in TABLES[wire].messages['request'].keys:
        talked = replace(cassette, runs=(replace(cassette.runs[0], nodes=tuple(map(of_talk, cassette.runs[0].nodes))),))
        assert '"conversation_id": "talk-7"' in dumps(talked)
        assert loads(dumps(talked)) == talked


def of_talk(node: Node) -> Node:
    """A node whose message belongs to a conversation."""
    return node if node.message is None else replace(node, message={**node.message, 'conversation_id': 'talk-7'})


def test_a_key_of_other_versions_is_refused_by_name():
    asked = '"node": "ModelRequestNode",'
    with pytest.raises(CassetteDamaged, match='conversation_id'):
        loads(edited(dumps(ASKED), asked, f'{asked} "conversation_id": "talk-7",'))
