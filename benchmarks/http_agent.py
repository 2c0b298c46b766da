"""What the benchmarks of HTTP cassettes share: a provider on this machine, and a pydantic_ai agent that asks it.

The provider speaks chat completions, whole, and calls one tool so many times, one after the other; then it ends.
"""

import json
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

from pydantic_ai import Agent, UsageLimits
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from benchmarks.replay_speed import TEXT

LIMITS = UsageLimits(request_limit=None)


def completion(turns: int, asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, which its own history decides."""
    made = sum(message['role'] == 'tool' for message in asked['messages'])
    message: dict[str, Any] = {'role': 'assistant', 'content': 'done'}
    if made < turns:
        called = {'name': 'look', 'arguments': json.dumps({'place': made})}
        call = {'id': f'call-{made}', 'type': 'function', 'function': called}
        message = {'role': 'assistant', 'content': None, 'tool_calls': [call]}
    reason = 'tool_calls' if made < turns else 'stop'
    return {
        'id': f'chatcmpl-{made}',
        'object': 'chat.completion',
        'created': 1_700_000_000,
        'model': 'gpt-5',
        'choices': [{'index': 0, 'finish_reason': reason, 'message': message}],
        'usage': {'prompt_tokens': 10, 'completion_tokens': 2, 'total_tokens': 12},
    }


@contextmanager
def provider(turns: int, *, keep_alive: bool = True) -> Generator[str]:
    """A provider on a free port of 127.0.0.1, for the block.

    Args:
        turns: Tool calls that it asks for.
        keep_alive: Whether one connection serves many requests; not where each test has an event loop of its own.

    Yields:
        Its base URL.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        # The headers of an answer and its body are two writes: the second would wait for the first to be acknowledged.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers['content-length'])))
            body = json.dumps(completion(turns, asked)).encode()
            self.send_response(200)
            self.send_header('content-type', 'application/json')
            self.send_header('content-length', str(len(body)))
            if not keep_alive:
                self.send_header('connection', 'close')  # which ends the connection here, too
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_address[1]}/v1'
        server.shutdown()


def looking(model: Model) -> Agent[None, str]:
    """An agent of pydantic_ai with the tool that the provider calls."""
    agent = Agent(model, name='walker', instructions='Look at every place.')

    @agent.tool_plain
    async def look(place: int) -> str:
        """Look at a place."""
        return f'{place}: {TEXT}'

    return agent


def scripted(turns: int) -> FunctionModel:
    """A model that calls a tool so many times and counts its own tokens."""

    def respond(history: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        made = len(history) // 2
        usage = RequestUsage(input_tokens=10, output_tokens=2)
        if made < turns:
            return ModelResponse(parts=[ToolCallPart('look', {'place': made}, f'call-{made}')], usage=usage)
        return ModelResponse(parts=[TextPart('done')], usage=usage)

    return FunctionModel(respond)


def agent_asking(url: str) -> Agent[None, str]:
    """Such an agent whose model is asked by the official SDK at `url`."""
    return looking(OpenAIChatModel('gpt-5', provider=OpenAIProvider(base_url=url, api_key='none')))
