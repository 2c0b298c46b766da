"""The keep rule: what churns leaves a cassette alone, what changed is written new."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrun import Agent
from agentrun.messages import ModelMessage, ModelResponse, TextPart, ThinkingPart, ToolCallPart
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.usage import RequestUsage
from replay import use_cassette
from replay.canon import JsonObject
from replay.cassette import Attempt, Cassette, Raised, ToolResult
from replay.codec import dumps, loads
from replay.history import from_history, to_history
from replay.keep import kept
from replay.store import read_cassette
from tests.helpers import CORPUS_ABSENT, corpus, corpus_path
from tests.replay import messages as m

pytestmark = pytest.mark.anyio

_churn = count(1)


class Provider:
    """A model whose provider makes up new ids, times, signatures and sums each time, and gives the same answers.

    Args:
        answers: Texts, or names of tools to call.
    """

    def __init__(self, *answers: str) -> None:
        self._answers: Iterator[str] = iter(answers)

    def model(self) -> FunctionModel:
        """The model."""

        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            text, number = next(self._answers), next(_churn)
            tools = {tool.name for tool in info.function_tools}
            part = ToolCallPart(text, {}, tool_call_id=f'call_{number}') if text in tools else TextPart(text)
            return ModelResponse(
                parts=[ThinkingPart('hm', id=f'rs_{number}', signature=f'sig{number}', provider_name='openai'), part],
                usage=RequestUsage(input_tokens=number, output_tokens=len(messages)),
                model_name='gpt',
                provider_name='openai',
                provider_response_id=f'resp_{number}',
                provider_details={'fingerprint': f'fp_{number}'},
                timestamp=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
                finish_reason='tool_call' if text in tools else 'stop',
            )

        return FunctionModel(answer, model_name='gpt')


def clerk() -> Agent[None, str]:
    """An agent whose tool and instructions mint values."""
    agent = Agent(name='clerk')

    @agent.instructions
    def now() -> str:
        return f'It is {datetime.now(UTC).isoformat()}.'

    @agent.tool_plain
    def new_ticket() -> str:
        return str(uuid4())

    @agent.tool_plain
    def close_ticket() -> str:
        return 'closed'

    return agent


async def record(tmp_path: Path, *answers: str, prompt: str = 'go') -> Path:
    with use_cassette('run', dir=tmp_path, record='all') as session:
        await clerk().run(prompt, model=Provider(*answers).model())
    return session.cassette_path


def changed(before: str, after: str) -> tuple[int, int]:
    """Lines that are new and lines that are gone."""
    old, new = before.splitlines(), after.splitlines()
    added = sum(line not in old for line in new)
    return added, sum(line not in new for line in old)


async def test_what_only_churns_leaves_the_file_untouched(tmp_path: Path) -> None:
    path = await record(tmp_path, 'new_ticket', 'done')
    text = path.read_text()
    os.utime(path, (1, 1))

    await record(tmp_path, 'new_ticket', 'done')

    assert path.read_text() == text
    assert path.stat().st_mtime == 1


async def test_one_changed_answer_changes_little(tmp_path: Path) -> None:
    path = await record(tmp_path, 'new_ticket', 'close_ticket', 'done')
    text = path.read_text()

    await record(tmp_path, 'new_ticket', 'close_ticket', 'well done')

    added, gone = changed(text, path.read_text())
    assert added <= 4, path.read_text()  # the answer, its provider line, the date, the seal
    assert gone <= 4
    await replayed(tmp_path)


async def test_a_call_that_came_in_between_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    path = await record(tmp_path, 'new_ticket', 'done')
    old = read_cassette(path)

    await record(tmp_path, 'new_ticket', 'close_ticket', 'done')

    new = read_cassette(path)
    first, last = old.runs[0].nodes[2].message, old.runs[0].nodes[4].message
    assert new.runs[0].nodes[2].message == first
    there = cast('JsonObject', new.runs[0].nodes[6].message)
    assert {**there, 'timestamp': None} == {**cast('JsonObject', last), 'timestamp': None}
    assert new.runs[0].minted.items() > old.runs[0].minted.items()
    await replayed(tmp_path)


async def replayed(tmp_path: Path) -> None:
    """See that a cassette plays."""
    with use_cassette('run', dir=tmp_path):
        await clerk().run('go', model=Provider().model())


async def test_marks_are_cleared_by_the_next_recording(tmp_path: Path) -> None:
    path = await record(tmp_path, 'done')
    cassette = read_cassette(path)
    marked = replace(cassette, runs=(replace(cassette.runs[0], marks=('rebound', 'edited')),))
    path.write_text(dumps(marked))

    await record(tmp_path, 'done')

    assert read_cassette(path).runs[0].marks == ()


async def test_a_recording_kept_as_itself_is_itself(tmp_path: Path) -> None:
    cassette = read_cassette(await record(tmp_path, 'new_ticket', 'close_ticket', 'done'))

    assert kept(cassette, cassette) == cassette


def _with(cassette: Cassette, **fields: Any) -> Cassette:
    """Change fields of every response."""
    run = cassette.runs[0]
    nodes = tuple(
        replace(node, message={**node.message, **fields})
        if node.message is not None and node.message['kind'] == 'response'
        else node
        for node in run.nodes
    )
    return replace(cassette, runs=(replace(run, nodes=nodes),))


@pytest.mark.parametrize(
    'fields',
    [
        {'provider_response_id': 'other'},
        {'provider_details': {'system_fingerprint': 'other'}},
        {'timestamp': '2026-02-02T00:00:00Z'},
    ],
)
async def test_churn_is_kept(tmp_path: Path, fields: dict[str, Any]) -> None:
    cassette = read_cassette(await record(tmp_path, 'new_ticket', 'done'))

    assert kept(cassette, _with(cassette, **fields)) == cassette


@pytest.mark.parametrize('fields', [{'finish_reason': 'length'}, {'model_name': 'gpt-next'}])
async def test_content_is_not_kept(tmp_path: Path, fields: dict[str, Any]) -> None:
    cassette = read_cassette(await record(tmp_path, 'new_ticket', 'done'))
    new = _with(cassette, **fields)

    assert kept(cassette, new) == new


@pytest.mark.skipif(corpus_path() is None, reason=CORPUS_ABSENT)
def test_recorded_histories_kept_as_themselves_are_themselves() -> None:
    for line in corpus():
        cassette = from_history(str(line['all_messages_json'])).cassette
        assert kept(cassette, cassette) == cassette


words = st.sampled_from(['new_ticket', 'close_ticket', 'good', 'better'])


@given(old=st.lists(words, max_size=6), new=st.lists(words, max_size=6))
def test_content_is_never_changed_and_what_is_kept_restores(old: list[str], new: list[str]) -> None:
    before, after = (from_history(history(words)).cassette for words in (old, new))
    found = kept(before, after)

    assert content(found) == content(after)
    assert loads(dumps(found)).runs == found.runs


def history(answers: list[str]) -> str:
    """A history with new ids of everything."""
    messages: list[Any] = []
    parts: list[Any] = [{'content': 'go', 'timestamp': stamp(), 'part_kind': 'user-prompt'}]
    run_id = f'run-{next(_churn)}'
    for answer in [*answers, 'end']:
        messages.append(
            {
                'parts': parts,
                'timestamp': stamp(),
                'instructions': None,
                'kind': 'request',
                'run_id': run_id,
                'metadata': None,
            }
        )
        call = answer.endswith('ticket')
        number = next(_churn)
        made: dict[str, Any] = (
            {'tool_name': answer, 'args': {}, 'tool_call_id': f'call_{number}', 'id': None, 'provider_details': None,
             'part_kind': 'tool-call'}
            if call
            else {'content': answer, 'id': None, 'provider_details': None, 'part_kind': 'text'}
        )  # fmt: skip
        messages.append(
            {
                'parts': [made],
                'usage': {
                    'input_tokens': number, 'cache_write_tokens': 0, 'cache_read_tokens': 0, 'output_tokens': 1,
                    'input_audio_tokens': 0, 'cache_audio_read_tokens': 0, 'output_audio_tokens': 0, 'details': {},
                },
                'model_name': 'gpt', 'timestamp': stamp(), 'kind': 'response', 'provider_name': 'openai',
                'provider_url': None, 'provider_details': {'n': number}, 'provider_response_id': f'resp_{number}',
                'finish_reason': 'tool_call' if call else 'stop', 'run_id': run_id, 'metadata': None,
            }
        )  # fmt: skip
        parts = (
            [{'tool_name': answer, 'content': 'x', 'tool_call_id': f'call_{number}', 'metadata': None,
              'timestamp': stamp(), 'part_kind': 'tool-return'}]
            if call
            else [{'content': 'on', 'timestamp': stamp(), 'part_kind': 'user-prompt'}]
        )  # fmt: skip
    return json.dumps(messages)


def stamp() -> str:
    return (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=next(_churn))).isoformat().replace('+00:00', 'Z')


def content(cassette: Cassette) -> list[Any]:
    """What the messages of a cassette say, and which call each result answers."""
    said: list[Any] = []
    calls: list[Any] = []
    for message in json.loads(to_history(cassette)):
        for part in message['parts']:
            call = part.get('tool_call_id')
            if part['part_kind'] == 'tool-call':
                calls.append(call)
            place = None if call is None else len(calls) - 1 - calls[::-1].index(call)
            said.append((message['kind'], part['part_kind'], part.get('content'), part.get('tool_name'), place))
    return said


def told(number: int, *parts: JsonObject) -> JsonObject:
    """A response of a provider that makes up an id each time."""
    return m.response(*parts, provider_response_id=f'resp_{number}', provider_details={'n': number})


def asking(number: int, **node: Any) -> Cassette:
    """A run of one request, which `node` says more of, and its answer."""
    text = m.text('Done', id=f'msg_{number}')
    request = m.asked(m.request(m.user('Go')), **node)
    return m.cassette(m.PROMPT, request, m.answered(told(number, text)), m.END)


def test_answers_that_were_passed_over_keep_their_churn() -> None:
    def attempts(number: int, *more: str) -> tuple[Attempt, ...]:
        failed = Attempt(model='a', raised=Raised(type='Busy', message='later'))
        answers = [told(number, m.text(text)) for text in ('Hm', *more)]
        return (failed, *(Attempt(model='b', response=answer) for answer in answers))

    old, new = asking(1, attempts=attempts(1)), asking(2, attempts=attempts(2, 'So'))

    found = kept(old, new).runs[0].nodes[1].attempts

    assert found == (*attempts(1), attempts(2, 'So')[-1])


def test_messages_and_answers_that_a_run_keeps_as_facts_are_written_like_those_of_nodes() -> None:
    def taken(number: int) -> Cassette:
        call = m.called('look', {}, f'call_{number}')
        messages = [m.request(m.user('Go')), told(number, call)]
        facts: dict[str, Any] = {'messages': messages, 'response': told(number, m.text('No'))}
        return m.cassette(m.PROMPT, m.asked(messages[0], facts=facts), m.answered(messages[1]), m.END)

    assert kept(taken(1), taken(2)) == taken(1)


def test_calls_are_not_renamed_to_the_id_of_another_call() -> None:
    def calling(*ids: str) -> Cassette:
        nodes = [
            node
            for number, one in enumerate(ids)
            for node in (
                m.asked(m.request(m.user(f'{number}'))),
                m.answered(m.response(m.called(f'tool_{number}', {}, one))),
            )
        ]
        return m.cassette(m.PROMPT, *nodes, m.END)

    def ids(cassette: Cassette) -> list[Any]:
        return [cast('Any', node.message)['parts'][0]['tool_call_id'] for node in cassette.runs[0].nodes[2::2]]

    assert ids(kept(calling('a', 'b'), calling('b', 'a'))) == ['a', 'b']
    assert ids(kept(calling('a', 'b'), calling('c', 'a', 'b'))) == ['c', 'a', 'b']
    assert ids(kept(calling('a', 'a'), calling('c', 'd'))) == ['a', 'd']


def test_values_that_nobody_minted_are_content_where_others_are_minted() -> None:
    one, two, fixed, other = (f'e3e70682-c209-4cac-a29f-6fbed82c07c{digit}' for digit in 'abcd')

    def opening(ticket: str, account: str) -> Cassette:
        request = m.asked(m.request(m.user(f'Open {ticket} for {account}')))
        return m.cassette(m.PROMPT, request, m.END, minted={'uuid-1': {'value': ticket, 'by': 'prompt'}})

    assert kept(opening(one, fixed), opening(two, fixed)) == opening(one, fixed)
    changed = kept(opening(one, fixed), opening(two, other)).runs[0].nodes[1].message
    assert other in str(changed)


def test_a_weekday_that_was_noted_is_the_old_one_where_its_text_is_read_on_another_day() -> None:
    def opening(day: str, weekday: str) -> Cassette:
        values = {'weekday-1': weekday, 'date-1': day}
        noted: dict[str, JsonObject] = {name: {'value': one, 'by': 'prompt'} for name, one in values.items()}
        return m.cassette(m.PROMPT, m.asked(m.request(m.user(f'Today is {weekday}, {day}'))), m.END, minted=noted)

    friday = opening('2026-11-20', 'Friday')
    assert kept(friday, opening('2026-11-21', 'Saturday')) == friday


def test_a_value_that_no_request_has_taken_up_stays_noted() -> None:
    def failed(ticket: str) -> Cassette:
        results = {0: ToolResult(kind='return', content=ticket)}
        message = m.response(m.called('new_ticket', {}, 'c1'))
        calls = m.answered(message, results=results, raised=Raised(type='LookupError'))
        request = m.asked(m.request(m.user('Open one')))
        return m.cassette(m.PROMPT, request, calls, minted={'uuid-1': {'value': ticket, 'by': 'new_ticket'}})

    one, two = (f'e3e70682-c209-4cac-a29f-6fbed82c07c{digit}' for digit in 'ab')
    assert kept(failed(one), failed(two)) == failed(one)


def test_the_ids_of_calls_that_no_node_took_up_are_kept() -> None:
    def unheard(call_id: str) -> Cassette:
        response = m.response(m.called('new_ticket', {}, call_id))
        attempts = (Attempt(model='first', response=m.response(m.called('look', {}, f'{call_id}-before'))),)
        asked = m.asked(m.request(m.user('Open one')), attempts=attempts, facts={'response': response})
        return m.cassette(m.PROMPT, asked)

    assert kept(unheard('c1'), unheard('c2')) == unheard('c1')


def test_a_result_that_the_old_recording_has_not_stays_beside_one_that_is_kept() -> None:
    def failed(ticket: str, *more: ToolResult) -> Cassette:
        results = dict(enumerate((ToolResult(kind='return', content=ticket), *more)))
        message = m.response(m.called('new_ticket', {}, 'c1'), m.called('look', {}, 'c2'))
        calls = m.answered(message, results=results, raised=Raised(type='LookupError'))
        request = m.asked(m.request(m.user('Open one')))
        return m.cassette(m.PROMPT, request, calls, minted={'uuid-1': {'value': ticket, 'by': 'new_ticket'}})

    one, two = (f'e3e70682-c209-4cac-a29f-6fbed82c07c{digit}' for digit in 'ab')
    seen = ToolResult(kind='return', content='a tower')

    assert kept(failed(one), failed(two, seen)) == failed(one, seen)
