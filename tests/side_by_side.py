"""Runs of agentrun and pydantic-ai 1.38 side by side: what a test sees of both has to be the same.

Every scenario is written once, as a function of a library; both run it, and what a test sees of the run is compared:
all and new messages as JSON (ids and times made alike), nodes, usage, output, and the class and text of an error.
"""

import asyncio
import dataclasses
import itertools
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import anyio
from pydantic import BaseModel


class Library:
    """One of the two libraries by the short names of its modules: `lib.messages.TextPart`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, path: str) -> Any:
        places = {'function': 'models.function', 'test': 'models.test'}
        return import_module(f'{self.name}.{places.get(path, path)}')

    @property
    def root(self) -> Any:
        return import_module(self.name)


OURS, THEIRS = Library('agentrun'), Library('pydantic_ai')


class Place(BaseModel):
    """Where it is."""

    city: str
    people: int = 1


# What a test sees of a run

_TIME = re.compile(rb'\d{4}-\d\d-\d\dT[\d:.]+Z')
_MADE_ID = re.compile(rb'pyd_ai_[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')


def made_alike(dumped: bytes) -> bytes:
    """Replace times by a word, and made-up ids by numbers in order of appearance."""
    seen: dict[bytes, bytes] = {}
    dumped = _TIME.sub(b'TIME', dumped)
    return _MADE_ID.sub(lambda found: seen.setdefault(found.group(), b'ID%d' % len(seen)), dumped)


def shown(value: object) -> str:
    """The repr of a node or output, without times, made-up ids, addresses and the name of the library."""
    text = re.sub(r'datetime\.datetime\([^)]*\)(?:\))?', 'TIME', repr(value))
    text = re.sub(r' at 0x[0-9a-f]+', '', text)
    return made_alike(text.encode()).decode().replace('pydantic_ai.', 'agentrun.')


@dataclass
class Seen:
    """What a test sees of a run."""

    all_messages: bytes = b''
    new_messages: bytes = b''
    nodes: list[str] = field(default_factory=list[str])
    usage: str = ''
    output: str = ''
    error: str = ''


def told(error: BaseException | None) -> str:
    """Class and text of an error and of what caused it."""
    if error is None:
        return ''
    text = re.sub(r"\{('[^']*'(?:, )?)+\}", lambda found: str(sorted(found.group())), str(error))
    return made_alike(f'{type(error).__name__}: {text} <- {told(error.__cause__)}'.encode()).decode()


Run = Callable[[Library], tuple[Any, dict[str, Any]]]
"""Makes an agent and the arguments of its run."""


def let_errors_go(lib: Library) -> None:
    """Keep asyncio from logging errors of calls that nobody reads; of agentrun there must be none, so they are shown.

    pydantic-ai 1.38 leaves those of parallel calls that fail together. To log them is to parse sources while garbage
    is collected, which CPython 3.11 fails at when it was parsing already (gh-106905).
    """
    if lib is THEIRS:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)


async def drive(lib: Library, make: Run, style: str) -> Seen:
    """Run an agent by `run`, `iter` or `next`, and note what is seen."""
    let_errors_go(lib)
    seen = Seen()
    agent, arguments = make(lib)
    with lib.root.capture_run_messages() as captured:
        try:
            result = await STYLES[style](agent, arguments, seen)
        except Exception as error:  # noqa: BLE001, whatever it is, it is compared
            seen.error = told(error)
            seen.all_messages = made_alike(lib.messages.ModelMessagesTypeAdapter.dump_json(captured))
            return seen
    seen.all_messages = made_alike(result.all_messages_json())
    seen.new_messages = made_alike(result.new_messages_json())
    seen.usage, seen.output = repr(result.usage()), shown(result.output)
    return seen


async def _by_run(agent: Any, arguments: dict[str, Any], seen: Seen) -> Any:
    return await agent.run(**arguments)


async def _by_iter(agent: Any, arguments: dict[str, Any], seen: Seen) -> Any:
    async with agent.iter(**arguments) as run:
        async for node in run:
            seen.nodes.append(shown(node))
    return run.result


async def _by_next(agent: Any, arguments: dict[str, Any], seen: Seen) -> Any:
    async with agent.iter(**arguments) as run:
        node = run.next_node
        while type(node).__name__ != 'End':
            node = await run.next(node)
            seen.nodes.append(shown(node))
    return run.result


STYLES: dict[str, Callable[[Any, dict[str, Any], Seen], Any]] = {'run': _by_run, 'iter': _by_iter, 'next': _by_next}


def any_tool(error: str) -> str:
    """Leave out which tool used up its retries, and why: if several do at once, 1.38 picks one out of a set."""
    return re.sub(r"(?s)Tool '\w+' exceeded max retries count of .*", 'A tool exceeded its retries', error)


def calls_at_last(dumped: bytes) -> int:
    """Count the tool calls of the last message."""
    parts = [part for message in json.loads(dumped)[-1:] for part in message['parts']]
    return sum(part['part_kind'] == 'tool-call' for part in parts)


def both(make: Run, style: str = 'iter', *, which_tool: bool = True) -> Seen:
    """Run a scenario in both libraries, compare, and return what was seen."""

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        ours, theirs = anyio.run(drive, OURS, make, style), anyio.run(drive, THEIRS, make, style)
    if not which_tool and calls_at_last(ours.all_messages) > 1:
        ours.error, theirs.error = any_tool(ours.error), any_tool(theirs.error)
    seen, wanted = dataclasses.asdict(ours), dataclasses.asdict(theirs)
    differing = {name: (seen[name], wanted[name]) for name in seen if seen[name] != wanted[name]}
    assert not differing, differing  # pytest explains assertions of test modules only
    return ours


# A script is a list of responses, each a list of (kind, ...) parts

Script = list[list[tuple[Any, ...]]]


def response_of(lib: Library, parts: list[tuple[Any, ...]], number: int, **rest: Any) -> Any:
    m = lib.messages
    made: list[Any] = []
    for place, (kind, *rest_of_part) in enumerate(parts):
        if kind == 'text':
            made.append(m.TextPart(rest_of_part[0]))
        elif kind == 'think':
            made.append(m.ThinkingPart(rest_of_part[0]))
        elif kind == 'call':
            made.append(m.ToolCallPart(rest_of_part[0], rest_of_part[1], tool_call_id=f'call-{number}-{place}'))
        elif kind == 'builtin':
            made.append(m.BuiltinToolCallPart('search', {'q': 1}, tool_call_id=f'b-{number}-{place}'))
        elif kind == 'file':
            made.append(m.FilePart(m.BinaryImage(b'png', media_type='image/png')))
    return m.ModelResponse(parts=made, **rest)


def scripted(lib: Library, script: Script, **rest: Any) -> Any:
    """A model that says what the script says, then 'done'."""

    numbers = itertools.count()

    async def say(messages: list[Any], info: Any) -> Any:
        number = next(numbers)
        parts: list[tuple[Any, ...]] = script[number] if number < len(script) else [('text', 'done')]
        return response_of(lib, parts, number, **rest)

    return lib.function.FunctionModel(say)


def add_tools(lib: Library, agent: Any) -> None:
    """Tools of all kinds of outcome."""

    @agent.tool_plain
    async def add(x: int, y: int = 1) -> int:
        return x + y

    async def step(ctx: Any) -> str:
        return f'{ctx.run_step} {ctx.retry} {ctx.max_retries} {ctx.last_attempt} {ctx.tool_name} {sorted(ctx.retries)}'

    step.__annotations__['ctx'] = lib.root.RunContext[None]
    agent.tool(step)

    @agent.tool_plain(retries=2)
    async def fussy(word: str) -> str:
        if word != 'please':
            raise lib.root.ModelRetry(f'say please, not {word}')
        return 'thanks'

    @agent.tool_plain
    def picture() -> Any:
        return lib.messages.ToolReturn(return_value='here', content=['look:', lib.messages.ImageUrl('https://x/y.png')])

    @agent.tool_plain
    def files() -> Any:
        return [lib.messages.BinaryContent(b'abc', media_type='image/png'), 7]

    @agent.tool_plain
    async def broken() -> str:
        raise ValueError('tool broke')


OUTPUTS: dict[str, Callable[[Library], Any]] = {
    'str': lambda lib: str,
    'model': lambda lib: Place,
    'model or str': lambda lib: [Place, str],
    'tools': lambda lib: [lib.output.ToolOutput(Place, name='place'), lib.output.ToolOutput(int, name='number')],
    'native': lambda lib: lib.output.NativeOutput(Place),
    'prompted': lambda lib: lib.output.PromptedOutput(Place),
    'deferred': lambda lib: [str, lib.tools.DeferredToolRequests],
    'text function': lambda lib: lib.output.TextOutput(shout(lib)),
}


def shout(lib: Library) -> Callable[[str], str]:
    def shouted(text: str) -> str:
        if not text.isalpha():
            raise lib.root.ModelRetry('letters only')
        return text.upper()

    return shouted


def agent_for(lib: Library, script: Script, output: str, **options: Any) -> Any:
    agent = lib.root.Agent(scripted(lib, script), output_type=OUTPUTS[output](lib), **options)
    add_tools(lib, agent)
    return agent
