"""A model that calls every tool once and then answers: agents run in tests without a model."""

from __future__ import annotations

import re
import string
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeAlias

import pydantic_core

from agentrun import _ambient
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import RunContext
from agentrun.builtin_tools import SUPPORTED_BUILTIN_TOOLS, AbstractBuiltinTool
from agentrun.exceptions import UserError
from agentrun.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._estimate import UsageEstimate, count_words, estimate_usage
from agentrun.models._streamed import Opening, Ready
from agentrun.profiles import ModelProfileSpec
from agentrun.settings import ModelSettings
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

__all__ = ('TestModel', 'TestStreamedResponse')


@dataclass(frozen=True)
class _AsText:
    """The run is to end in this text; None: in a summary of what the tools returned."""

    text: str | None


@dataclass(frozen=True)
class _AsToolCall:
    """The run is to end in a call of an output tool with these arguments; None: with generated ones."""

    args: Any


_Answer: TypeAlias = list[TextPart | ToolCallPart]
"""Parts of a response."""


@dataclass(init=False)
class TestModel(Model):
    """Calls the tools on offer with generated arguments, and answers with what they returned or a generated output.

    Args:
        call_tools: Names of the function tools to call, or `'all'`.
        custom_output_text: Text to end the run with.
        custom_output_args: Arguments to call the first output tool with.
        seed: Moves generated data to other values: the choice from enumerations and unions, numbers, letters.
        model_name: Name of the model, and of every response.
        profile: What the model can do.
        settings: Settings for every request.
    """

    __test__ = False  # its name looks like a test to pytest

    call_tools: list[str] | Literal['all'] = 'all'
    custom_output_text: str | None = None
    custom_output_args: Any | None = None
    seed: int = 0
    last_model_request_parameters: ModelRequestParameters | None = field(default=None, init=False)
    """What the last request of the last run offered."""
    _model_name: str = field(default='test', repr=False)
    _system: str = field(default='test', repr=False)

    def __init__(
        self,
        *,
        call_tools: list[str] | Literal['all'] = 'all',
        custom_output_text: str | None = None,
        custom_output_args: Any | None = None,
        seed: int = 0,
        model_name: str = 'test',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        self.call_tools = call_tools
        self.custom_output_text = custom_output_text
        self.custom_output_args = custom_output_args
        self.seed = seed
        self.last_model_request_parameters = None
        self._model_name = model_name
        self._system = 'test'
        self._estimate = UsageEstimate()
        super().__init__(settings=settings, profile=profile)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model_name

    @property
    def system(self) -> str:
        """Always `'test'`."""
        return self._system

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """Return all of them, so that parameters with built-in tools reach `request`, which refuses them by name."""
        return SUPPORTED_BUILTIN_TOOLS

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer without a model, with estimated usage.

        Args:
            messages: The conversation, oldest first.
            model_settings: Settings of agent and run.
            model_request_parameters: Tools and output on offer; kept in `last_model_request_parameters`.

        Returns:
            Calls of all function tools if the conversation has no response yet; calls again of those tools that asked
            for a retry; else the output.

        Raises:
            UserError: If built-in tools are on offer.
        """
        params = self._prepare(model_settings, model_request_parameters)
        response = ModelResponse(parts=self._answer(messages, params), model_name=self._model_name)
        response.usage = self._estimate.of(messages, response)
        return response

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002, not every model has a use for it
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Stream what `request` would answer: text word by word, each tool call at once.

        Args:
            messages: The conversation, oldest first. All of it is counted for the usage of each streamed request.
            model_settings: Settings of agent and run.
            model_request_parameters: Tools and output on offer; kept in `last_model_request_parameters`.
            run_context: Not used.

        Returns:
            A context manager. Entering it raises UserError if built-in tools are on offer.
        """

        async def open_() -> StreamedResponse:
            params = self._prepare(model_settings, model_request_parameters)
            return TestStreamedResponse(
                model_request_parameters=params,
                _model_name=self._model_name,
                _parts=self._answer(messages, params),
                _messages=messages,
                _provider_name=self._system,
            )

        return Opening(open_)

    def gen_tool_args(self, tool_def: ToolDefinition) -> Any:
        """Generate arguments for a tool from its schema and the seed."""
        return _Sample(tool_def.parameters_json_schema, self.seed).generate()

    def _prepare(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> ModelRequestParameters:
        _, params = self.prepare_request(model_settings, model_request_parameters)
        self.last_model_request_parameters = params
        if params.builtin_tools:
            raise UserError('TestModel does not support built-in tools')
        return params

    def _answer(self, messages: Sequence[ModelMessage], params: ModelRequestParameters) -> _Answer:
        tools = self._tools_to_call(params)
        output = self._output(params)
        if tools and not any(isinstance(message, ModelResponse) for message in messages):
            return [_call(tool, self.gen_tool_args(tool)) for tool in tools]
        if messages and (retried := _retried_names(messages[-1])):
            return self._retries(retried, tools, params.output_tools, output)
        if isinstance(output, _AsText):
            return [TextPart(_summary(messages) if output.text is None else output.text)]
        tool = params.output_tools[self.seed % len(params.output_tools)]
        return [_call(tool, self.gen_tool_args(tool) if output.args is None else output.args)]

    def _tools_to_call(self, params: ModelRequestParameters) -> list[ToolDefinition]:
        if self.call_tools == 'all':
            return params.function_tools
        offered = {tool.name: tool for tool in params.function_tools}
        return [offered[name] for name in self.call_tools]

    def _output(self, params: ModelRequestParameters) -> _AsText | _AsToolCall:
        if self.custom_output_text is not None:
            if params.output_mode == 'tool':
                raise AssertionError('Plain response not allowed, but `custom_output_text` is set.')
            if self.custom_output_args is not None:
                raise AssertionError('Cannot set both `custom_output_text` and `custom_output_args`.')
            return _AsText(self.custom_output_text)
        if self.custom_output_args is not None:
            args = self.custom_output_args
            key = params.output_tools[0].outer_typed_dict_key
            return _AsToolCall(pydantic_core.to_jsonable_python({key: args} if key else args))
        if params.output_tools and not params.allow_text_output:
            return _AsToolCall(None)
        return _AsText(None)

    def _retries(
        self,
        names: set[str | None],
        tools: list[ToolDefinition],
        output_tools: list[ToolDefinition],
        output: _AsText | _AsToolCall,
    ) -> _Answer:
        """Call again what asked for it. Function tools get a generated id, output tools keep theirs, as in 1.38."""
        parts: _Answer = [ToolCallPart(tool.name, self.gen_tool_args(tool)) for tool in tools if tool.name in names]
        args = output.args if isinstance(output, _AsToolCall) else None
        parts.extend(
            _call(tool, self.gen_tool_args(tool) if args is None else args)
            for tool in output_tools
            if tool.name in names
        )
        return parts


@lean_dataclass(show=full_repr)
class TestStreamedResponse(StreamedResponse):
    """What a `TestModel` streams.

    Its usage begins with an estimate of all messages; streamed text is added to it, tool calls are not, as in
    pydantic-ai 1.38.
    """

    __test__ = False  # its name looks like a test to pytest

    _model_name: str
    _parts: _Answer
    _messages: list[ModelMessage] = field(repr=False)
    _provider_name: str
    _timestamp: datetime = field(default_factory=_ambient.now, init=False)

    def __post_init__(self) -> None:
        self._usage = estimate_usage(self._messages)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model_name

    @property
    def provider_name(self) -> str:
        """Always `'test'`; responses that are not streamed name no provider, as in pydantic-ai 1.38."""
        return self._provider_name

    @property
    def provider_url(self) -> None:
        """Always None."""

    @property
    def timestamp(self) -> datetime:
        """When the request was made."""
        return self._timestamp

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return Ready(self._events())

    def _events(self) -> Iterator[ModelResponseStreamEvent]:
        """Take in a piece for each event that is asked for, so that `get` shows no more than was told."""
        for place, part in enumerate(self._parts):
            if isinstance(part, ToolCallPart):
                yield self._parts_manager.handle_tool_call_part(
                    vendor_part_id=place, tool_name=part.tool_name, args=part.args, tool_call_id=part.tool_call_id
                )
                continue
            for piece in ('', *_pieces(part.content)):
                self._usage = self._usage + RequestUsage(output_tokens=count_words(piece))
                yield from self._parts_manager.handle_text_delta(vendor_part_id=place, content=piece)


def _pieces(text: str) -> list[str]:
    """Cut a text after each blank, or in the middle if it has none and is longer than two characters."""
    *words, last = text.split(' ')
    if not words and len(text) > 2:
        middle = len(text) // 2
        return [text[:middle], text[middle:]]
    return [*(f'{word} ' for word in words), last]


def _call(tool: ToolDefinition, args: Any) -> ToolCallPart:
    return ToolCallPart(tool.name, args, tool_call_id=f'pyd_ai_tool_call_id__{tool.name}')


def _retried_names(message: ModelMessage) -> set[str | None]:
    """Return the tools whose retries a request carries; None among them stands for a retry of the output text."""
    if not isinstance(message, ModelRequest):
        raise AssertionError(  # noqa: TRY004, as in pydantic-ai 1.38
            'Expected last message to be a `ModelRequest`.'
        )
    return {part.tool_name for part in message.parts if isinstance(part, RetryPromptPart)}


def _summary(messages: Sequence[ModelMessage]) -> str:
    """Tell what the tools returned, the last return of each, as a JSON object by tool name."""
    returned = {
        part.tool_name: part.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    return pydantic_core.to_json(returned).decode() if returned else 'success (no tool calls)'


_LETTERS = string.ascii_letters + string.digits + string.punctuation


class _Sample:
    """Makes the smallest value that a JSON schema asks for; the same schema and seed give the same value."""

    def __init__(self, schema: dict[str, Any], seed: int) -> None:
        self._schema = schema
        self._defs: dict[str, Any] = schema.get('$defs', {})
        self._seed = seed

    def generate(self) -> Any:
        """Make a value for the whole schema."""
        return self._any(self._schema)

    def _any(self, schema: dict[str, Any]) -> Any:
        if const := schema.get('const'):
            return const
        if choices := schema.get('enum') or schema.get('examples'):
            return choices[self._seed % len(choices)]
        if ref := schema.get('$ref'):
            return self._any(self._defs[re.sub(r'^#/\$defs/', '', ref)])
        if any_of := schema.get('anyOf'):
            return self._any(any_of[self._seed % len(any_of)])
        kind = schema.get('type')
        if kind is None:
            return self._letter()
        make = _MAKERS.get(kind)
        if make is None:
            raise NotImplementedError(f'Unknown type: {kind}, please submit a PR to extend JsonSchemaTestData!')
        return make(self, schema)

    def null(self, _schema: dict[str, Any]) -> None:
        return None

    def boolean(self, _schema: dict[str, Any]) -> bool:
        return bool(self._seed % 2)

    def number(self, schema: dict[str, Any]) -> float:
        return float(self.integer(schema))

    def integer(self, schema: dict[str, Any]) -> int:
        """Stay within the bounds, as far from one of them as the seed says."""
        low, high = _bound(schema, 'minimum', 'exclusiveMinimum', 1), _bound(schema, 'maximum', 'exclusiveMaximum', -1)
        if low is not None and high is not None:
            return low + self._seed % (high - low)
        if low is not None:
            return low + self._seed
        return self._seed if high is None else high - self._seed

    def string(self, schema: dict[str, Any]) -> str:
        least = schema.get('minLength')
        if least is not None:
            return self._letter() * least
        if schema.get('maxLength') == 0:
            return ''
        if schema.get('format') == 'date':
            return (date(2024, 1, 1) + timedelta(days=self._seed)).isoformat()
        return self._letter()

    def object(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Fill in what is required, and one more property where any are allowed."""
        required = set(schema.get('required', ()))
        properties: dict[str, Any] = schema.get('properties', {})
        made = {name: self._any(inner) for name, inner in properties.items() if name in required}
        if further := schema.get('additionalProperties'):
            name = 'additionalProperty'
            while name in made:
                name += '_'
            made[name] = self._letter() if further is True else self._any(further)
        return made

    def array(self, schema: dict[str, Any]) -> list[Any]:
        """Make as many items as are asked for, or one. Items that have to differ get a seed each."""
        wanted: list[dict[str, Any]] = list(schema.get('prefixItems', ()))
        item = schema.get('items', {})
        least, most = schema.get('minItems', 0), schema.get('maxItems')
        if least > len(wanted):
            wanted += [item] * (least - len(wanted))
        elif item and (most is None or most > len(wanted)):
            wanted.append(item)
        made: list[Any] = []
        for inner in wanted:
            made.append(self._any(inner))
            self._seed += bool(schema.get('uniqueItems'))
        return made

    def _letter(self) -> str:
        """Number the letters as a spreadsheet does its columns: a, b, ..., then two of them."""
        base = len(_LETTERS)
        text, rest = '', self._seed // base
        while rest > 0:
            text += _LETTERS[(rest - 1) % base]
            rest //= base
        return text + _LETTERS[self._seed % base]


_MAKERS: dict[str, Callable[[_Sample, dict[str, Any]], Any]] = {
    'array': _Sample.array,
    'boolean': _Sample.boolean,
    'integer': _Sample.integer,
    'null': _Sample.null,
    'number': _Sample.number,
    'object': _Sample.object,
    'string': _Sample.string,
}


def _bound(schema: dict[str, Any], inclusive: str, exclusive: str, step: int) -> Any:
    bound = schema.get(inclusive)
    if bound is None and (beyond := schema.get(exclusive)) is not None:
        return beyond + step
    return bound
