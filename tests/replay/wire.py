"""Wire messages and scripted runs for the tests of the pure modules."""

from typing import Any

from replay import canon
from replay.canon import JsonObject
from replay.cassette import Definition, Run
from replay.effects import Answered, Calls, Do, Ended, Finish, Request
from replay.tape import Tape

RUN_ID = 'run-1'


def user(content: Any = 'Hi', *, time: str = 't') -> JsonObject:
    return {'content': content, 'timestamp': time, 'part_kind': 'user-prompt'}


def system(content: str = 'Be brief.') -> JsonObject:
    return {'content': content, 'timestamp': 't', 'dynamic_ref': None, 'part_kind': 'system-prompt'}


def call(name: str = 'look', id: str = 'c1', args: Any = None) -> JsonObject:
    return {'tool_name': name, 'args': args or {}, 'tool_call_id': id, 'part_kind': 'tool-call'}


def returned(content: Any = 1, name: str = 'look', id: str = 'c1', metadata: Any = None) -> JsonObject:
    part: JsonObject = {'tool_name': name, 'content': content, 'tool_call_id': id, 'metadata': metadata}
    return {**part, 'timestamp': 't', 'part_kind': 'tool-return'}


def retry(content: Any = 'Again.', name: str | None = 'look', id: str = 'c1') -> JsonObject:
    return {'content': content, 'tool_name': name, 'tool_call_id': id, 'timestamp': 't', 'part_kind': 'retry-prompt'}


def text(content: str = 'Hello') -> JsonObject:
    return {'content': content, 'id': None, 'part_kind': 'text'}


def asked(*parts: JsonObject, instructions: str | None = None, run_id: str | None = RUN_ID) -> JsonObject:
    return {
        'parts': list(parts),
        'timestamp': 't',
        'instructions': instructions,
        'kind': 'request',
        'run_id': run_id,
        'metadata': None,
    }


def answered(*parts: JsonObject, model: str | None = 'gpt', run_id: str | None = RUN_ID) -> JsonObject:
    return {
        'parts': list(parts),
        'usage': {'input_tokens': 1},
        'model_name': model,
        'timestamp': 't',
        'kind': 'response',
        'provider_name': None,
        'run_id': run_id,
    }


def request(
    message: JsonObject, *before: JsonObject, appended: bool = True, definition: Definition | None = None
) -> Request:
    sent = tuple(canon.dumps(one) for one in (*before, message))
    return Request(message=canon.dumps(message), sent=sent, appended=appended, definition=definition or Definition())


def calls(response: JsonObject, *indexes: int) -> Calls:
    made: list[JsonObject] = [part for part in response['parts'] if part['part_kind'] == 'tool-call']  # type: ignore[union-attr, index, misc]
    return Calls(response=response, calls=[made[index] for index in indexes] if indexes else made)


def finish(*messages: JsonObject, new_from: int = 0, **more: Any) -> Finish:
    return Finish(messages=canon.dumps(list(messages)), new_from=new_from, **more)


def do(tape: Tape, effect: Any, outcome: Any) -> None:
    """Begin an effect that has to be done, and end it."""
    answer = tape.begin(effect)
    assert isinstance(answer, Do)
    tape.end(answer.token, outcome)


def record(tape: Tape | None = None) -> Run:
    """A run that calls two tools and then answers with text."""
    tape = tape or Tape(name='agent', agent='agent')
    first, last = asked(user()), answered(text())
    response = answered(call(id='c1'), call('jump', id='c2'))
    second = asked(returned(1), returned(2, 'jump', 'c2'))
    tape.node('UserPromptNode')
    tape.node('ModelRequestNode')
    do(tape, request(first), Answered(message={**response, 'run_id': None}))
    tape.node('CallToolsNode')
    do(tape, calls(response), Ended(started=[0, 1], finished=[1, 0], results=results(second)))
    tape.node('ModelRequestNode')
    do(tape, request(second, response), Answered(message=last))
    tape.node('CallToolsNode')
    tape.node('End')
    tape.finish(finish(first, response, second, last))
    assert tape.run is not None
    return tape.run


def results(request: JsonObject) -> dict[int, Any]:
    from replay.cassette import ToolResult

    return {
        index: ToolResult(kind='return', content=part['content'], metadata=part['metadata'])  # type: ignore[index, call-overload]
        for index, part in enumerate(request['parts'])  # type: ignore[arg-type]
    }
