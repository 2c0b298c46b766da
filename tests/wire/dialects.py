"""What three interfaces of providers answer, in the shapes of their documentation, and the clients that read it."""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.wire.loopback import EVENTS, Answer, as_json

CREATED = 1_780_000_000
"""Seconds since 1970: the providers' own time."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool call of a scripted answer."""

    tool: str
    args: dict[str, Any]
    id: str = 'call_1'


@dataclass(frozen=True, kw_only=True)
class Said:
    """A scripted answer, whatever interface it is told in."""

    text: str = ''
    calls: Sequence[Call] = ()
    input_tokens: int = 11
    output_tokens: int = 7
    id: str = '1'

    @property
    def words(self) -> list[str]:
        """The text in the pieces that a stream tells it in."""
        return [word for word in self.text.split(' ') if word] and [
            word if place == 0 else f' {word}' for place, word in enumerate(self.text.split(' '))
        ]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One interface: how it tells an answer, and the model that speaks it."""

    whole: Callable[[Said], Any]
    """A response as one JSON document."""
    events: Callable[[Said], list[bytes]]
    """A response as server-sent events."""
    error: Callable[[str, str], Any]
    """Kind and message of an error as a JSON document."""
    model: Callable[[str], Any]
    """Given a URL, the block in which a model of pydantic_ai speaks to it."""
    path: str
    """Where requests go to."""

    def answer(self, said: Said, *, stream: bool) -> Answer:
        """What the server answers."""
        return Answer(content_type=EVENTS, pieces=self.events(said)) if stream else as_json(self.whole(said))


def halves(args: dict[str, Any]) -> list[str]:
    """Arguments as JSON text in two pieces."""
    text = json.dumps(args)
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def data(payload: Any, name: str | None = None) -> bytes:
    """A server-sent event."""
    head = f'event: {name}\n' if name else ''
    return f'{head}data: {json.dumps(payload)}\n\n'.encode()


# -- OpenAI chat completions


def _chat_usage(said: Said) -> dict[str, Any]:
    return {
        'prompt_tokens': said.input_tokens,
        'completion_tokens': said.output_tokens,
        'total_tokens': said.input_tokens + said.output_tokens,
        'prompt_tokens_details': {'cached_tokens': 0, 'audio_tokens': 0},
        'completion_tokens_details': {
            'reasoning_tokens': 0,
            'audio_tokens': 0,
            'accepted_prediction_tokens': 0,
            'rejected_prediction_tokens': 0,
        },
    }


def chat_whole(said: Said) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {'role': 'assistant', 'content': said.text or None, 'refusal': None, 'annotations': []}
    if said.calls:
        message['tool_calls'] = [
            {'id': call.id, 'type': 'function', 'function': {'name': call.tool, 'arguments': json.dumps(call.args)}}
            for call in said.calls
        ]
    return {
        'id': f'chatcmpl-{said.id}',
        'object': 'chat.completion',
        'created': CREATED,
        'model': 'gpt-5-2025-08-07',
        'choices': [
            {
                'index': 0,
                'message': message,
                'logprobs': None,
                'finish_reason': 'tool_calls' if said.calls else 'stop',
            }
        ],
        'usage': _chat_usage(said),
        'service_tier': 'default',
        'system_fingerprint': None,
    }


def chat_events(said: Said) -> list[bytes]:
    """The chunks of a chat completion, usage last."""

    def chunk(choices: list[Any], usage: Any = None) -> bytes:
        return data(
            {
                'id': f'chatcmpl-{said.id}',
                'object': 'chat.completion.chunk',
                'created': CREATED,
                'model': 'gpt-5-2025-08-07',
                'service_tier': 'default',
                'system_fingerprint': None,
                'choices': choices,
                'usage': usage,
            }
        )

    def choice(delta: Any, finish_reason: str | None = None) -> list[Any]:
        return [{'index': 0, 'delta': delta, 'logprobs': None, 'finish_reason': finish_reason}]

    def call_chunks(index: int, call: Call) -> Iterator[bytes]:
        function = {'name': call.tool, 'arguments': ''}
        begun = {'index': index, 'id': call.id, 'type': 'function', 'function': function}
        yield chunk(choice({'tool_calls': [begun]}))
        for piece in halves(call.args):
            yield chunk(choice({'tool_calls': [{'index': index, 'function': {'arguments': piece}}]}))

    chunks = [chunk(choice({'role': 'assistant', 'content': '', 'refusal': None}))]
    chunks += [chunk(choice({'content': word})) for word in said.words]
    for index, call in enumerate(said.calls):
        chunks += call_chunks(index, call)
    chunks.append(chunk(choice({}, 'tool_calls' if said.calls else 'stop')))
    return [*chunks, chunk([], _chat_usage(said)), b'data: [DONE]\n\n']


def openai_error(kind: str, message: str) -> dict[str, Any]:
    """An error of OpenAI's interfaces."""
    return {'error': {'message': message, 'type': kind, 'param': None, 'code': kind}}


# -- OpenAI responses


def responses_whole(said: Said, *, done: bool = True) -> dict[str, Any]:
    """A response; one that has only begun has neither output nor usage."""
    return {
        'id': f'resp_{said.id}',
        'object': 'response',
        'created_at': CREATED,
        'status': 'completed' if done else 'in_progress',
        'background': False,
        'error': None,
        'incomplete_details': None,
        'instructions': None,
        'max_output_tokens': None,
        'metadata': {},
        'model': 'gpt-5-2025-08-07',
        'output': _output_items(said) if done else [],
        'parallel_tool_calls': True,
        'previous_response_id': None,
        'reasoning': {'effort': None, 'summary': None},
        'service_tier': 'default',
        'store': True,
        'temperature': 1.0,
        'text': {'format': {'type': 'text'}},
        'tool_choice': 'auto',
        'tools': [],
        'top_p': 1.0,
        'truncation': 'disabled',
        'usage': _responses_usage(said) if done else None,
        'user': None,
    }


def _responses_usage(said: Said) -> dict[str, Any]:
    return {
        'input_tokens': said.input_tokens,
        'input_tokens_details': {'cached_tokens': 0, 'cache_write_tokens': 0},
        'output_tokens': said.output_tokens,
        'output_tokens_details': {'reasoning_tokens': 0},
        'total_tokens': said.input_tokens + said.output_tokens,
    }


def _message_item(said: Said, text: str, status: str) -> dict[str, Any]:
    content = [_text_content(text)] if status == 'completed' else []
    return {'id': f'msg_{said.id}', 'type': 'message', 'status': status, 'role': 'assistant', 'content': content}


def _text_content(text: str) -> dict[str, Any]:
    return {'type': 'output_text', 'text': text, 'annotations': [], 'logprobs': []}


def _call_item(call: Call, arguments: str, status: str) -> dict[str, Any]:
    ids = {'id': f'fc_{call.id}', 'type': 'function_call', 'status': status, 'call_id': call.id}
    return {**ids, 'name': call.tool, 'arguments': arguments}


def _output_items(said: Said) -> list[Any]:
    items = [_message_item(said, said.text, 'completed')] if said.text else []
    return items + [_call_item(call, json.dumps(call.args), 'completed') for call in said.calls]


def responses_events(said: Said) -> list[bytes]:
    """The events of a response."""
    events: list[dict[str, Any]] = [
        {'type': 'response.created', 'response': responses_whole(said, done=False)},
        {'type': 'response.in_progress', 'response': responses_whole(said, done=False)},
    ]
    index = 0
    if said.text:
        events += _message_events(said)
        index = 1
    for place, call in enumerate(said.calls, index):
        events += _call_events(call, place)
    events.append({'type': 'response.completed', 'response': responses_whole(said)})
    return [data({**event, 'sequence_number': number}, event['type']) for number, event in enumerate(events)]


def _message_events(said: Said) -> list[dict[str, Any]]:
    place = {'output_index': 0}
    within = {'item_id': f'msg_{said.id}', 'output_index': 0, 'content_index': 0}
    return [
        {'type': 'response.output_item.added', **place, 'item': _message_item(said, '', 'in_progress')},
        {'type': 'response.content_part.added', **within, 'part': _text_content('')},
        *({'type': 'response.output_text.delta', **within, 'delta': word, 'logprobs': []} for word in said.words),
        {'type': 'response.output_text.done', **within, 'text': said.text, 'logprobs': []},
        {'type': 'response.content_part.done', **within, 'part': _text_content(said.text)},
        {'type': 'response.output_item.done', **place, 'item': _message_item(said, said.text, 'completed')},
    ]


def _call_events(call: Call, index: int) -> list[dict[str, Any]]:
    place = {'output_index': index}
    within = {'item_id': f'fc_{call.id}', 'output_index': index}
    whole = json.dumps(call.args)
    return [
        {'type': 'response.output_item.added', **place, 'item': _call_item(call, '', 'in_progress')},
        *({'type': 'response.function_call_arguments.delta', **within, 'delta': piece} for piece in halves(call.args)),
        {'type': 'response.function_call_arguments.done', **within, 'name': call.tool, 'arguments': whole},
        {'type': 'response.output_item.done', **place, 'item': _call_item(call, whole, 'completed')},
    ]


# -- Anthropic messages


def _anthropic_usage(said: Said, output_tokens: int) -> dict[str, Any]:
    return {
        'input_tokens': said.input_tokens,
        'cache_creation_input_tokens': 0,
        'cache_read_input_tokens': 0,
        'output_tokens': output_tokens,
        'service_tier': 'standard',
    }


def messages_whole(said: Said) -> dict[str, Any]:
    """A message."""
    blocks: list[Any] = [{'type': 'text', 'text': said.text, 'citations': None}] if said.text else []
    blocks += [{'type': 'tool_use', 'id': call.id, 'name': call.tool, 'input': call.args} for call in said.calls]
    return {
        'id': f'msg_{said.id}',
        'type': 'message',
        'role': 'assistant',
        'model': 'claude-test',
        'content': blocks,
        'stop_reason': 'tool_use' if said.calls else 'end_turn',
        'stop_sequence': None,
        'usage': _anthropic_usage(said, said.output_tokens),
    }


def messages_events(said: Said) -> list[bytes]:
    """The events of a message."""
    begun: dict[str, Any] = {
        **messages_whole(said),
        'content': [],
        'stop_reason': None,
        'usage': _anthropic_usage(said, 1),
    }
    events: list[dict[str, Any]] = [{'type': 'message_start', 'message': begun}, {'type': 'ping'}]
    index = 0
    if said.text:
        deltas = [{'type': 'text_delta', 'text': word} for word in said.words]
        events += _block_events(0, {'type': 'text', 'text': ''}, deltas)
        index = 1
    for place, call in enumerate(said.calls, index):
        block: dict[str, Any] = {'type': 'tool_use', 'id': call.id, 'name': call.tool, 'input': {}}
        deltas = [{'type': 'input_json_delta', 'partial_json': piece} for piece in ['', *halves(call.args)]]
        events += _block_events(place, block, deltas)
    stop = {'stop_reason': 'tool_use' if said.calls else 'end_turn', 'stop_sequence': None}
    events.append({'type': 'message_delta', 'delta': stop, 'usage': {'output_tokens': said.output_tokens}})
    events.append({'type': 'message_stop'})
    return [data(event, event['type']) for event in events]


def _block_events(index: int, block: Any, deltas: list[Any]) -> list[dict[str, Any]]:
    return [
        {'type': 'content_block_start', 'index': index, 'content_block': block},
        *({'type': 'content_block_delta', 'index': index, 'delta': delta} for delta in deltas),
        {'type': 'content_block_stop', 'index': index},
    ]


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    """An error of Anthropic's interface."""
    return {'type': 'error', 'error': {'type': kind, 'message': message}, 'request_id': 'req_1'}


# -- the official clients, by way of pydantic_ai; each makes one attempt


@asynccontextmanager
async def chat_model(url: str) -> AsyncGenerator[Any]:
    """Speaks chat completions."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with AsyncOpenAI(base_url=f'{url}/v1', api_key='none', max_retries=0, timeout=10) as client:
        yield OpenAIChatModel('gpt-5', provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def responses_model(url: str) -> AsyncGenerator[Any]:
    """Speaks responses."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with AsyncOpenAI(base_url=f'{url}/v1', api_key='none', max_retries=0, timeout=10) as client:
        yield OpenAIResponsesModel('gpt-5', provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def anthropic_model(url: str) -> AsyncGenerator[Any]:
    """Speaks messages."""
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    async with AsyncAnthropic(base_url=url, api_key='none', max_retries=0, timeout=10) as client:
        yield AnthropicModel('claude-test', provider=AnthropicProvider(anthropic_client=client))


DIALECTS = {
    'chat': Dialect(
        whole=chat_whole, events=chat_events, error=openai_error, model=chat_model, path='/v1/chat/completions'
    ),
    'responses': Dialect(
        whole=responses_whole, events=responses_events, error=openai_error, model=responses_model, path='/v1/responses'
    ),
    'anthropic': Dialect(
        whole=messages_whole, events=messages_events, error=anthropic_error, model=anthropic_model, path='/v1/messages'
    ),
}
