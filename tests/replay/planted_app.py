"""Agents with secrets in all that a person, a model, a tool or a provider may write. Part of a project of tests.

Both libraries have their public names at the same places, so one text serves both: `PLANTED_LIBRARY` says which. What
is planted comes from the environment, never from a file of the project, so that each file of it can be searched.
"""

import json
import os
import signal
from base64 import b64encode
from collections.abc import AsyncIterator
from importlib import import_module
from random import Random
from typing import Annotated, Any
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, Field

from tests.replay.secrets_planted import SECRETS

LIBRARY = os.environ.get('PLANTED_LIBRARY', 'agentrun')
KNOWN = os.environ.get('PLANTED_API_KEY', '')
"""The value of a variable that no format tells."""

ALL = os.environ.get('HYPOTHESIS_PROFILE') == 'nightly'
"""Whether each place holds one of each kind, which takes ten times as long to redact; else some, others at each."""


def planted(place: int) -> str:
    """What stands at a place: secrets, and the variable as it is written in different places."""
    kinds = [*SECRETS.values()]
    known = [f'is {KNOWN}', f'?a={quote(KNOWN)}', f'&b={quote_plus(KNOWN)}', f"""'{KNOWN}'"""]
    basic = b64encode(f'{"u" * (place % 3)}:{KNOWN}'.encode()).decode()
    return '\n'.join(
        [*(kinds if ALL else kinds[place % 8 :: 8]), *(known if ALL else known[place % 4 :: 4]), basic, '']
    )


ONE = SECRETS['github-token']
MORE = f' and {SECRETS["jwt"]}' if os.environ.get('PLANTED_MORE') else ''
"""What differs from the recording."""

library: Any = import_module(LIBRARY)
messages: Any = import_module(f'{LIBRARY}.messages')
exceptions: Any = import_module(f'{LIBRARY}.exceptions')
functions: Any = import_module(f'{LIBRARY}.models.function')
fallback: Any = import_module(f'{LIBRARY}.models.fallback')
tools: Any = import_module(f'{LIBRARY}.tools')

Agent = library.Agent
Call, Text, Response = messages.ToolCallPart, messages.TextPart, messages.ModelResponse


class Report(BaseModel):
    """An output, with what the schema of an output can hold."""

    text: Annotated[str, Field(description=f'Not {ONE}')]
    headers: dict[str, str] = {}


def turn_of(history: list[Any]) -> int:
    """How many answers came since the last prompt."""
    turn = 0
    for message in history:
        kinds = {part.part_kind for part in message.parts}
        turn = 0 if 'user-prompt' in kinds and 'tool-return' not in kinds else turn + isinstance(message, Response)
    return turn


def deep(text: str) -> dict[str, Any]:
    """The text at places of a value at which keys and headers stand."""
    return {
        'list': [text, [text]],
        text: 'as a key',
        'json': json.dumps({'inside': text, 'again': json.dumps({'password': text})}),
        'headers': {'Authorization': f'Bearer {ONE}', 'X-Api-Key': text},
    }


# -- whole answers


def answering(history: list[Any], info: Any) -> Any:
    """A model that repeats whatever it can hold."""
    if os.environ.get('PLANTED_KILL') == str(len(history)):
        os.kill(os.getpid(), signal.SIGKILL)
    turn = turn_of(history)
    if turn == 0:
        parts = [
            messages.ThinkingPart(f'I think of {planted(1)}', id=ONE, signature=ONE, provider_name='x'),
            Text(f'I call with {planted(2)}'),
            Call('look', {'q': planted(3), **deep(planted(4))}, 'c1'),
            Call('look', json.dumps({'q': planted(5)}), 'c2'),
            Call('refuse', {'q': planted(6)}, 'c3'),
            Call('ask_inside', {'q': planted(7)}, ONE),
        ]
        return Response(parts=parts, provider_details=deep(planted(8)), provider_response_id=ONE, model_name='m')
    if turn == 1:
        return Response(parts=[Call('look', {'q': 3, 'x': planted(9)}, 'c4')])
    return Response(parts=[Text(f'Done with {planted(10)}')])


def failing(history: list[Any], info: Any) -> Any:
    """A model that gives its key away in what it fails with."""
    raise exceptions.ModelHTTPError(
        401, f'gpt {ONE}', {'error': f'Incorrect key: {planted(11)}', 'headers': deep(planted(12))}
    )


# -- streams


def pieces(text: str, random: Random) -> list[str]:
    cuts = sorted(random.randrange(len(text)) for _ in range(len(text) // 20))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


async def streaming(history: list[Any], info: Any) -> AsyncIterator[Any]:
    """A model that says everything in pieces."""
    random = Random(len(history))
    if turn_of(history):
        for piece in pieces(f'Done with {planted(13)}', random):
            yield piece
        return
    for piece in pieces(f'I think of {planted(14)}', random):
        yield {0: functions.DeltaThinkingPart(content=piece)}
    yield {0: functions.DeltaThinkingPart(signature=ONE)}
    yield {1: functions.DeltaToolCall(name='look', json_args='', tool_call_id='c1')}
    for piece in pieces(json.dumps({'q': planted(15), **deep(planted(16))}), random):
        yield {1: functions.DeltaToolCall(json_args=piece)}


# -- agents


def inner() -> Any:
    return Agent(functions.FunctionModel(answering_inside), name='inner', instructions=f'Inside: {planted(17)}')


def answering_inside(history: list[Any], info: Any) -> Any:
    return Response(parts=[Text(f'From inside: {planted(18)}')])


def equipped(model: Any, **more: Any) -> Any:
    """An agent with secrets in all that its definition can hold."""
    agent = Agent(
        model,
        name='planted',
        instructions=f'Use {planted(19)}.',
        system_prompt=f'Never tell {planted(20)}.',
        model_settings={
            'extra_headers': {'X-Note': planted(21), 'api-key': planted(22)},
            'extra_body': deep(planted(23)),
        },
        retries=3,
        **more,
    )
    agent.instructions(lambda: f'Found: {planted(24)}')

    @agent.tool_plain(description=f'Look with {planted(25)}', retries=3)
    def look(
        q: Annotated[str, Field(description=f'As in {planted(26)}')],
        list: Any = None,  # a name in the made-up arguments
        json: Any = None,
        headers: Any = None,
    ) -> Any:
        return messages.ToolReturn(deep(planted(27)), content=[f'extra {planted(28)}'], metadata=deep(planted(29)))

    @agent.tool_plain
    def refuse(q: str) -> str:
        raise exceptions.ModelRetry(f'not with {planted(30)}')

    @agent.tool_plain
    async def ask_inside(q: str) -> str:
        return (await inner().run(f'{q} asked')).output

    return agent


def history() -> list[Any]:
    request, retry = messages.ModelRequest, messages.RetryPromptPart
    return [
        request(parts=[messages.UserPromptPart(f'earlier {planted(31)}')]),
        Response(parts=[Text(f'answer {planted(32)}'), Call('look', deep(planted(33)), 'h1')]),
        request(parts=[messages.ToolReturnPart('look', deep(planted(34)), 'h1', metadata=deep(planted(35)))]),
        Response(parts=[Text('so')]),
        request(parts=[retry(f'again without {planted(36)}', tool_call_id='h2')]),
        Response(parts=[Text('fine')]),
    ]


async def whole() -> Any:
    """A run with all of it."""
    prompt = [
        f'Go{MORE} with {planted(37)}',
        messages.ImageUrl(f'https://x.example/{SECRETS["signed-url"].partition("?")[2]}'),
    ]
    return await equipped(functions.FunctionModel(answering)).run([*prompt, 'now'], message_history=history())


async def streamed() -> Any:
    """A run whose answers come in pieces."""
    async with equipped(functions.FunctionModel(stream_function=streaming)).run_stream(
        f'Go{MORE} with {planted(38)}'
    ) as result:
        async for _ in result.stream_text(debounce_by=None):
            pass
    return result


async def fallen_back() -> Any:
    """A run whose first model fails with its key in the error."""
    model = fallback.FallbackModel(functions.FunctionModel(failing), functions.FunctionModel(answering))
    return await equipped(model).run(f'Go{MORE} with {planted(39)}')


async def deferred() -> Any:
    """Two runs: one that puts calls off, and one that is handed what came of them."""

    def calling(history: list[Any], info: Any) -> Any:
        if turn_of(history):
            return Response(parts=[Text(f'Done with {planted(40)}')])
        return Response(
            parts=[Call('approve', {'q': planted(41)}, f'a{at}') for at in range(2)] + [Call('wait', {}, 'w1')]
        )

    agent = Agent(functions.FunctionModel(calling), name='deferring', output_type=[str, tools.DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def approve(q: str) -> str:
        return f'approved {planted(42)}'

    @agent.tool_plain
    def wait() -> str:
        raise exceptions.CallDeferred

    first = await agent.run(f'Go{MORE} with {planted(43)}')
    results = tools.DeferredToolResults(
        approvals={
            'a0': tools.ToolApproved(override_args={'q': planted(44)}),
            'a1': tools.ToolDenied(f'No: {planted(45)}'),
        },
        calls={'w1': messages.ToolReturn(deep(planted(46)), content=planted(47), metadata=deep(planted(48)))},
    )
    return await agent.run(message_history=first.all_messages(), deferred_tool_results=results)


async def rejected() -> Any:
    """A run whose output is refused by a validator, then taken."""

    def reporting(history: list[Any], info: Any) -> Any:
        args = {'text': planted(49), 'headers': {'Authorization': planted(50)}}
        return Response(parts=[Call(info.output_tools[0].name, args, f'o{turn_of(history)}')])

    agent = Agent(functions.FunctionModel(reporting), name='rejecting', output_type=Report, retries=3)
    seen: list[int] = []

    @agent.output_validator
    def check(output: Report) -> Report:
        seen.append(1)
        if len(seen) == 1:
            raise exceptions.ModelRetry(f'Without {planted(51)}')
        return output

    return await agent.run(f'Go{MORE} with {planted(52)}')


async def failed() -> None:
    """Runs that end in errors of the model and of a tool."""
    for run in (equipped(functions.FunctionModel(failing)).run, broken().run):
        try:
            await run(f'Go{MORE} with {planted(53)}')
        except (exceptions.ModelHTTPError, RuntimeError):
            continue
        raise AssertionError('it did not fail')


def broken() -> Any:
    def calling(history: list[Any], info: Any) -> Any:
        return Response(parts=[Call('fail', {}, 'f1')])

    agent = Agent(functions.FunctionModel(calling), name='broken')

    @agent.tool_plain
    def fail() -> str:
        raise RuntimeError(f'no entry with {planted(54)}')

    return agent
