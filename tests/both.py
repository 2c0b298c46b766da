"""The same script driven through `agentrun` and through the library that it follows, and what each shows."""

import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import takewhile
from typing import Any, cast

import anyio
import pytest

Script = Callable[[Any], Awaitable[object]]
"""Gets a library, uses it as a user would, and returns what it saw."""

_MODULES = """
    {0} {0}.agent {0}.messages {0}.exceptions {0}.models {0}.models.function {0}.models.test {0}.output {0}.result
    {0}.settings {0}.tools {0}.toolsets {0}.usage {0}.run {1}
"""

_UNSTABLE = (
    (re.compile(r'\d{4}-\d\d-\d\dT[\d:.]+Z'), 'TIME'),
    (re.compile(r'datetime\.datetime\([^)]*\)'), 'datetime(...)'),
    (re.compile(r'TzInfo\(\w+\)'), 'TzInfo'),
    (re.compile(r'pydantic_ai\.|agentrun\.'), 'library.'),
    (re.compile(r'pydantic_graph(\.\w+)*'), 'library.graph'),
    (re.compile(r' at 0x[0-9a-f]+'), ' at 0x'),
)
_SETS = re.compile(r"\{'\w+'(?:, '\w+')*\}")
_IDS = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|pyd_ai_[0-9a-f]{32}')


class Library:
    """The public names of one library, wherever they live in it."""

    def __init__(self, name: str, graph: str) -> None:
        self.name = name
        self.asked: list[str] = []
        """What models that `says` made were asked, request by request."""
        self._modules = [import_module(module) for module in _MODULES.format(name, graph).split()]

    def __getattr__(self, name: str) -> Any:
        for module in self._modules:
            value = getattr(module, name, None)
            if value is not None:
                return value
        raise AttributeError(f'{self.name} has no {name}')

    def with_context(self, function: Callable[..., Any]) -> Any:
        """Annotate the first parameter of a function as the run's context."""
        first = next(iter(function.__code__.co_varnames))
        function.__annotations__ = {**function.__annotations__, first: self.RunContext[Any]}
        return function

    def says(self, *responses: Any, **settings: Any) -> Any:
        """A model that gives these responses in order, the last one again and again.

        Args:
            responses: Texts, tool calls `(tool, args)` or `(tool, args, id)`, lists of these, responses, exceptions
                to raise.
            settings: More arguments of `FunctionModel`.
        """
        left = list(responses)

        async def answer(messages: Any, info: Any) -> Any:
            self.asked.append(f'{self.dump(messages)} {info.function_tools} {info.output_tools}')
            self.asked.append(f'{info.allow_text_output} {info.model_settings} {info.instructions}')
            response = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(response, Exception):
                raise response
            if isinstance(response, self.ModelResponse):
                return response
            parts = cast('list[object]', response) if isinstance(response, list) else [response]
            return self.ModelResponse(parts=[self.part(part) for part in parts])

        return self.FunctionModel(answer, **settings)

    def part(self, part: Any) -> Any:
        """A part of a response, as `says` takes them."""
        if isinstance(part, str):
            return self.TextPart(part)
        return self.ToolCallPart(*part) if isinstance(part, tuple) else part

    def dump(self, messages: Any) -> str:
        """The JSON of messages."""
        return self.ModelMessagesTypeAdapter.dump_json(messages).decode()

    def error(self, error: BaseException) -> list[object]:
        """What users can match on: class, public bases, text, cause."""
        bases = [base.__name__ for base in type(error).__mro__]
        cause = error.__cause__
        return [bases, str(error), None if cause is None else (type(cause).__name__, str(cause))]

    async def seen(self, agent: Any, *prompt: Any, **options: Any) -> dict[str, object]:
        """Run an agent, and say all that the caller, and the model, came to see."""
        before = len(self.asked)
        shown: dict[str, object] = {}
        with self.capture_run_messages() as messages:
            try:
                result = await agent.run(*prompt, **options)
            except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
                shown['error'] = self.error(error)
            else:
                shown['output'] = (type(result.output).__name__, repr(result.output))
                shown['all'] = result.all_messages_json().decode()
                shown['new'] = result.new_messages_json().decode()
                shown['usage'] = repr(result.usage())
                shown['repr'] = repr(result)
        shown['captured'] = self.dump(messages)
        shown['asked'] = self.asked[before:]
        return shown

    def raised(self, call: Callable[[], object]) -> object:
        """The error that a call ends in, or what it gives."""
        try:
            return repr(call())
        except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
            return self.error(error)


def stable(value: object) -> object:
    """What was seen, without clock readings, with ids by order of appearance, sets of names sorted."""
    names: dict[str, str] = {}

    def clean(item: object) -> object:
        if isinstance(item, dict):
            return {str(key): clean(value) for key, value in cast('dict[object, object]', item).items()}
        if isinstance(item, list | tuple):
            return [clean(value) for value in cast('list[object]', item)]
        text = item if isinstance(item, str) else repr(item)
        for pattern, stand_in in _UNSTABLE:
            text = pattern.sub(stand_in, text)
        text = _SETS.sub(lambda match: ' '.join(sorted(match[0][1:-1].split(', '))), text)
        return _IDS.sub(lambda match: names.setdefault(match[0], f'id-{len(names)}'), text)

    return clean(value)


@cache
def _expected(script: Script) -> object:
    async def run() -> object:
        return await script(Library('pydantic_ai', 'pydantic_graph'))

    return stable(anyio.run(run))


def _children(value: object) -> dict[str, object]:
    """What a value seen is made of, by its place; texts are made of nothing."""
    if isinstance(value, dict):
        return {f'.{key}': child for key, child in cast('dict[str, object]', value).items()}
    if isinstance(value, list):
        return {f'[{index}]': child for index, child in enumerate(cast('list[object]', value))}
    return {}


def _differences(ours: object, theirs: object, where: str) -> Iterator[str]:
    children, others = _children(ours), _children(theirs)
    if children and children.keys() == others.keys():
        for place, child in children.items():
            yield from _differences(child, others[place], where + place)
    elif ours != theirs:
        texts = str(ours), str(theirs)
        agreed = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False)))
        mine, other = (f'{text[max(0, agreed - 60) :]:.400}' for text in texts)
        yield f'at {where}, character {agreed}\n  agentrun     {mine}\n  pydantic_ai  {other}'


def agree(script: Script, backend: str) -> None:
    """Fail unless both libraries show the same for a script.

    Args:
        script: What to do.
        backend: Event loop for our own library; the other one knows asyncio only.
    """

    async def run() -> object:
        return await script(Library('agentrun', 'agentrun.graph'))

    found = [*_differences(stable(anyio.run(run, backend=backend)), _expected(script), '')]
    if found:
        pytest.fail('\n'.join(found), pytrace=False)


class Table:
    """Scripts of one test module, in order."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []

    def __call__(self, script: Script) -> Script:
        """Add a script."""
        self.scripts.append(script)
        return script

    def parametrize(self) -> pytest.MarkDecorator:
        """One test for each script, named like it."""
        return pytest.mark.parametrize('script', self.scripts)
