"""What a change looks like in a pull request: lines and hunks of real `git diff`, beside those that were aimed at.

A streamed run with 3 requests, 4 tool calls and the definitions of its tools is recorded into a repository, committed,
and recorded again with one thing changed. The provider is scripted, and makes up new response ids, item ids, call ids,
times, signatures, usage and chunks each time, as real ones do, unless told to repeat them; one tool returns a fresh
uuid. `aimed at` is what the format was measured at before it was built, on another run of the same size: its two rows
of a whole new recording had no keep rule. `as if new` is the same recording without that rule: over no old cassette.

Run: python benchmarks/cassette_diff.py
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

from agentrun import Agent
from agentrun.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from agentrun.models import Model, ModelRequestParameters, StreamedResponse
from agentrun.settings import ModelSettings
from agentrun.usage import RequestUsage
from replay import use_cassette

CALL, THOUGHT = 'call', 'thought'
ANSWER = (
    '**Paris**: sunny, 21 degrees, hardly any wind, no rain before Sunday.\n\n'
    'Rome: thunderstorms until the evening, then clear and a good deal cooler.\n\n'
    'The ticket for the trip is open; the booking of the train is on its way.'
)
OTHER = ANSWER.replace('hardly any wind', 'a fresh breeze from the west')


class Piece(NamedTuple):
    """A part of a scripted answer."""

    kind: str
    name: str
    text: str


def script(*, answer: str = ANSWER, inserted: bool = False) -> list[list[Piece]]:
    """What the model answers to each request."""
    more = [Piece(CALL, 'get_weather', '{"city":"Lyon"}')] if inserted else []
    thought = Piece(THOUGHT, '', 'Two cities, and a ticket is wanted as well.')
    return [
        [thought, Piece(CALL, 'get_weather', '{"city":"Paris"}'), Piece(CALL, 'get_weather', '{"city":"Rome"}')],
        [*more, Piece(CALL, 'new_ticket', '{}'), Piece(CALL, 'book_train', '{"to":"Rome","seats":2}')],
        [Piece('text', '', answer)],
    ]


@dataclass
class Streamed(StreamedResponse):
    """One answer, in chunks of random lengths."""

    pieces: list[Piece]
    random: Random

    def __post_init__(self) -> None:
        self.provider_response_id = f'chatcmpl-{self.random.getrandbits(64):x}'
        self.provider_details = {'system_fingerprint': f'fp_{self.random.getrandbits(40):x}'}
        self.finish_reason = 'tool_call' if any(piece.kind == CALL for piece in self.pieces) else 'stop'
        self._usage = RequestUsage(input_tokens=self.random.randrange(90, 900), output_tokens=self.random.randrange(99))
        self._time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.random.randrange(10**6))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        manager = self._parts_manager
        for number, piece in enumerate(self.pieces):
            if piece.kind == CALL:
                call = f'call_{self.random.getrandbits(60):x}'
                started = manager.handle_tool_call_delta(
                    vendor_part_id=number, tool_name=piece.name, args='', tool_call_id=call
                )
                if started is not None:
                    yield started
            for chunk in self.chunks(piece.text):
                if piece.kind == CALL:
                    event = manager.handle_tool_call_delta(vendor_part_id=number, args=chunk)
                    if event is not None:
                        yield event
                elif piece.kind == THOUGHT:
                    for event in manager.handle_thinking_delta(vendor_part_id=number, content=chunk):
                        yield event
                else:
                    for event in manager.handle_text_delta(vendor_part_id=number, content=chunk):
                        yield event
            if piece.kind == THOUGHT:
                signature = f'{self.random.getrandbits(256):x}'
                for event in manager.handle_thinking_delta(
                    vendor_part_id=number, signature=signature, provider_name='openai'
                ):
                    yield event

    def chunks(self, text: str) -> list[str]:
        """Cut a text at random."""
        found: list[str] = []
        while text:
            size = self.random.randrange(1, 12)
            found.append(text[:size])
            text = text[size:]
        return found

    @property
    def model_name(self) -> str:
        return 'gpt-4o-2024-08-06'

    @property
    def provider_name(self) -> str:
        return 'openai'

    @property
    def provider_url(self) -> str:
        return 'https://api.openai.com/v1/'

    @property
    def timestamp(self) -> datetime:
        return self._time


class Provider(Model):
    """A model that streams a script.

    Args:
        answers: The script.
        seed: What its ids, times, sums and chunks are made of.
    """

    def __init__(self, answers: list[list[Piece]], seed: int) -> None:
        super().__init__()
        self._answers = iter(enumerate(answers))
        self._seed = seed

    @property
    def model_name(self) -> str:
        return 'gpt-4o'

    @property
    def system(self) -> str:
        return 'openai'

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async with self.request_stream(messages, model_settings, model_request_parameters) as stream:
            async for _ in stream:
                pass
            return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],  # noqa: ARG002  # a script has no use for it
        model_settings: ModelSettings | None,  # noqa: ARG002  # as above
        model_request_parameters: ModelRequestParameters,
        run_context: object = None,  # noqa: ARG002  # as above
    ) -> AsyncGenerator[StreamedResponse]:
        number, pieces = next(self._answers)
        # One generator for each request: what is inserted into one answer leaves the ids of the others alone.
        yield Streamed(model_request_parameters, pieces, Random(f'{self._seed} {number}'))


def clerk(*, seed: int, more: bool = False) -> Agent[None, str]:
    """The agent.

    Args:
        seed: What the ids of its tickets are made of.
        more: Whether one of its tools has one more parameter.
    """
    agent = Agent(name='trip_agent', instructions='Answer briefly. Use the tools.', model_settings={'temperature': 0.0})
    minted = Random(f'tickets {seed}')

    @agent.tool_plain
    async def get_weather(city: str) -> dict[str, Any]:
        """Weather of a city."""
        return {'city': city, 'sky': 'sunny' if city == 'Paris' else 'stormy', 'celsius': 21.0}

    @agent.tool_plain
    async def new_ticket() -> str:
        """Open a ticket."""
        return str(UUID(int=minted.getrandbits(128), version=4))

    if more:

        @agent.tool_plain(name='book_train')
        async def book_first_class(to: str, seats: int = 1, first_class: bool = False) -> str:
            """Book a train."""
            return f'{seats} seats to {to}{" (first)" if first_class else ""}'
    else:

        @agent.tool_plain
        async def book_train(to: str, seats: int = 1) -> str:
            """Book a train."""
            return f'{seats} seats to {to}'

    return agent


@dataclass(frozen=True)
class Change:
    """A row of the table."""

    name: str
    plain: str
    aim: str
    same_ids: bool = False
    more: bool = False
    script: dict[str, Any] = field(default_factory=dict[str, Any])


CHANGES = (
    Change('one answer changed, ids kept', '+6 -6, 6 hunks', '+6 -3, 3 hunks', True, script={'answer': OTHER}),
    Change('same, recorded anew', '+92 -92, 88 hunks', '+9 -6, 4 hunks', script={'answer': OTHER}),
    Change('one tool call inserted', '+174 -10, 14 hunks', '+15 -1, 4 hunks', script={'inserted': True}),
    Change('one parameter more of a tool', '+12 -4, 5 hunks', '+5 -2, 2 hunks', more=True),
    Change('recorded anew, no change', '+88 -88, 88 hunks', '0 by the rule'),
)


async def record(folder: Path, *, seed: int, minted: int, more: bool = False, answers: list[list[Piece]]) -> None:
    """Record the run over what is there."""

    async def watch(_: object, events: AsyncIterable[object]) -> None:
        async for _event in events:
            pass

    async with use_cassette('trip', dir=folder, record='all'):
        agent = clerk(seed=minted, more=more)
        model = Provider(answers, seed)
        await agent.run('Weather in Paris and Rome? Open a ticket.', model=model, event_stream_handler=watch)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, whatever the user has configured."""
    who = ('-c', 'user.name=benchmark', '-c', 'user.email=benchmark@localhost', '-c', 'core.autocrlf=false')
    command = ['git', *who, '-c', 'diff.algorithm=myers', '-c', 'diff.context=3', *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def difference(folder: Path) -> str:
    """Added and removed lines and hunks since the last commit."""
    stat = git(folder, 'diff', '--numstat').split()
    if not stat:
        return '0'
    hunks = sum(line.startswith('@@') for line in git(folder, 'diff').splitlines())
    return f'+{stat[0]} -{stat[1]}, {hunks} hunks'


def measure(folder: Path, change: Change, seed: int) -> tuple[str, str]:
    """Record a change over the committed cassette and see the difference; and the same over none."""
    path = folder / 'trip.json'
    found: list[str] = []
    for as_if_new in (False, True):
        if as_if_new:
            path.unlink()
        seeds = {'seed': 0, 'minted': 0} if change.same_ids else {'seed': seed, 'minted': seed}
        asyncio.run(record(folder, **seeds, more=change.more, answers=script(**change.script)))
        found.append(difference(folder))
    git(folder, 'checkout', '-q', '--', '.')
    return found[0], found[1]


def main() -> int:
    """Print the table; fail if a recording of the same run changes the file."""
    kept = ''
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, 'init', '-q')
        asyncio.run(record(folder, seed=0, minted=0, answers=script()))
        git(folder, 'add', '.')
        git(folder, 'commit', '-qm', 'The first recording')
        print(f'{"change":30}{"plain format":22}{"aimed at":18}{"this package":18}as if new')
        seeds = count(1)
        for change in CHANGES:
            kept, new = measure(folder, change, next(seeds))
            print(f'{change.name:30}{change.plain:22}{change.aim:18}{kept:18}{new}')
    return int(kept != '0')


if __name__ == '__main__':
    sys.exit(main())
