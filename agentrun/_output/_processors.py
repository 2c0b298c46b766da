"""From what a model sends, text or arguments of a tool call, to the output of a run.

A processor validates, calls the user's output function if there is one, and turns what is wrong into a retry for the
model. The two base classes are all that a run asks for; a processor of another making fits in by subclassing one of
them.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeAlias, cast

from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict, TypeVar, override

from agentrun._callables import call_function, is_async_callable
from agentrun._function_schema import FunctionSchema, function_schema, is_model_like
from agentrun._json_schema import (
    GenerateToolJsonSchema,
    ObjectJsonSchema,
    check_object_json_schema,
    merge_definitions,
)
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.exceptions import ModelRetry, ToolRetryError, UserError
from agentrun.messages import RetryPromptPart
from agentrun.output import OutputDataT, OutputObjectDefinition, OutputTypeOrFunction, TextOutputFunc

__all__ = (
    'ArgumentsProcessor',
    'BaseObjectOutputProcessor',
    'BaseOutputProcessor',
    'ObjectOutputProcessor',
    'OutputDataT_inv',
    'OutputValidator',
    'OutputValidatorFunc',
    'TextFunctionOutputProcessor',
    'TextOutputProcessor',
    'UnionOutputProcessor',
)

T = TypeVar('T')

OutputDataT_inv = TypeVar('OutputDataT_inv', default=str)
"""Type of an output that is both taken and given."""

OutputValidatorFunc: TypeAlias = (
    Callable[[RunContext[AgentDepsT], OutputDataT_inv], OutputDataT_inv]
    | Callable[[RunContext[AgentDepsT], OutputDataT_inv], Awaitable[OutputDataT_inv]]
    | Callable[[OutputDataT_inv], OutputDataT_inv]
    | Callable[[OutputDataT_inv], Awaitable[OutputDataT_inv]]
)
"""A function that checks an output and returns it, changed or not; with or without the run context, sync or async."""

WRAPPING_KEY = 'response'
"""Key under which an output that is no object is sent."""


class OutputValidator(Generic[AgentDepsT, OutputDataT_inv]):
    """A user's function that checks outputs. One parameter: the output; two: the run context before it."""

    def __init__(self, function: OutputValidatorFunc[AgentDepsT, OutputDataT_inv]) -> None:
        """Make a validator of a function."""
        self.function = function
        self._takes_ctx = len(inspect.signature(function).parameters) > 1
        self._is_async = is_async_callable(function)

    async def validate(self, result: T, run_context: RunContext[AgentDepsT], wrap_validation_errors: bool = True) -> T:
        """Check an output.

        Args:
            result: The output so far.
            run_context: Handed to a function that takes it.
            wrap_validation_errors: Whether a `ModelRetry` is made into the part that tells the model.

        Returns:
            The output that the function returned.

        Raises:
            ToolRetryError: If the function asks for a retry and `wrap_validation_errors` is set.
            ModelRetry: If it does and that is not set.
        """
        args = (run_context, result) if self._takes_ctx else (result,)
        try:
            return await call_function(self.function, *args, is_async=self._is_async)
        except ModelRetry as retry:
            if not wrap_validation_errors:
                raise
            raise _retry_error(retry.message, run_context) from retry


class BaseOutputProcessor(ABC, Generic[OutputDataT]):
    """Makes an output of the model's text."""

    @abstractmethod
    async def process(
        self,
        data: str,
        *,
        run_context: RunContext[Any],
        allow_partial: bool = False,
        wrap_validation_errors: bool = True,
    ) -> OutputDataT:
        """Make an output.

        Args:
            data: The model's text.
            run_context: Handed to an output function that takes it; holds the validation context.
            allow_partial: Whether the text is the beginning of a stream.
            wrap_validation_errors: Whether an error is made into the part that tells the model.

        Raises:
            ToolRetryError: If the model is to try again and `wrap_validation_errors` is set.
            ValidationError: If the text is wrong and that is not set.
            ModelRetry: If the output function asks for a retry and that is not set.
        """


class BaseObjectOutputProcessor(BaseOutputProcessor[OutputDataT]):
    """Makes an output of text that is JSON of an object."""

    def __init__(self, object_def: OutputObjectDefinition) -> None:
        """Make a processor of objects that the model is told of by `object_def`."""
        self.object_def = object_def


class ArgumentsProcessor(Protocol):
    """Makes an output of the arguments of a tool call: what an output tool needs of a processor."""

    @property
    def validator(self) -> Any:
        """Validates the arguments: a `pydantic_core.SchemaValidator` or what passes for one."""
        ...

    async def call(self, output: Any, run_context: RunContext[Any], wrap_validation_errors: bool = True) -> Any:
        """Make an output of validated arguments."""
        ...


class ObjectOutputProcessor(BaseObjectOutputProcessor[OutputDataT]):
    """Makes an output of a type, or by an output function, of JSON or of the arguments of a tool call.

    A type that is no object is sent inside of one, under the key `response`, where it may also stand as JSON text: some
    models send it so.
    """

    def __init__(
        self,
        output: OutputTypeOrFunction[OutputDataT],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> None:
        """Make a processor.

        Args:
            output: A type, or a function that takes what the model sends as its parameters.
            name: Name of the output; None: the title of its schema, else its own.
            description: What the model is told before what the docstring says.
            strict: Whether a provider that can is to hold the model to the schema.

        Raises:
            UserError: If the signature of a function cannot be used.
        """
        self.outer_typed_dict_key: str | None = None
        """Key under which an output that is no object is sent; None for an object."""
        self._function_schema: FunctionSchema | None = None
        self.validator: Any
        if inspect.isfunction(output) or inspect.ismethod(output):
            self._function_schema = function_schema(output, GenerateToolJsonSchema)
            self.validator = self._function_schema.validator
            json_schema = {**self._function_schema.json_schema, 'description': self._function_schema.description}
        elif is_model_like(output):
            self.validator, json_schema = _adapt(output, output)
        else:
            self.outer_typed_dict_key = WRAPPING_KEY
            self.validator, json_schema = _adapt_wrapped(output)
        own_description = json_schema.pop('description', None)
        super().__init__(
            OutputObjectDefinition(
                name=name or json_schema.get('title') or getattr(output, '__name__', None),
                description='. '.join(filter(None, (description, own_description))) or None,
                json_schema=json_schema,
                strict=strict,
            )
        )

    @override
    async def process(
        self,
        data: str | dict[str, Any] | None,
        *,
        run_context: RunContext[Any],
        allow_partial: bool = False,
        wrap_validation_errors: bool = True,
    ) -> OutputDataT:
        """Make an output of JSON text, fenced as Markdown or not, or of loaded JSON."""
        if isinstance(data, str):
            data = _strip_markdown_fences(data)
        context = run_context.validation_context
        try:
            output = self.validate(data, allow_partial=allow_partial, validation_context=context)
        except ValidationError as error:
            if not wrap_validation_errors:
                raise
            # Without the name of a tool: the text was no tool call.
            raise ToolRetryError(RetryPromptPart(content=error.errors(include_url=False))) from error
        return await self.call(output, run_context, wrap_validation_errors)

    def validate(
        self, data: str | dict[str, Any] | None, *, allow_partial: bool = False, validation_context: Any = None
    ) -> Any:
        """Validate JSON text or loaded JSON; nothing counts as an empty object.

        Raises:
            ValidationError: If it is wrong.
        """
        mode = 'trailing-strings' if allow_partial else 'off'
        if isinstance(data, str):
            return self.validator.validate_json(data or '{}', allow_partial=mode, context=validation_context)
        return self.validator.validate_python(data or {}, allow_partial=mode, context=validation_context)

    async def call(self, output: Any, run_context: RunContext[Any], wrap_validation_errors: bool = True) -> Any:
        """Make an output of what `validate` returned: unwrap it, call the output function.

        Raises:
            ToolRetryError: If the function asks for a retry and `wrap_validation_errors` is set.
            ModelRetry: If it does and that is not set.
        """
        if self.outer_typed_dict_key:
            output = output[self.outer_typed_dict_key]
        if self._function_schema is None:
            return output
        return await _call_output_function(self._function_schema, output, run_context, wrap_validation_errors)


@lean_dataclass(show=full_repr)
class UnionOutputResult:
    """What a model sends where it has to choose. Named in errors, as its wrapper is: the names are 1.38's."""

    kind: str
    data: ObjectJsonSchema


@lean_dataclass(show=full_repr)
class UnionOutputModel:
    """The wrapper around what a model sends where it has to choose."""

    result: UnionOutputResult


class UnionOutputProcessor(BaseObjectOutputProcessor[OutputDataT]):
    """Makes one of several outputs of JSON text; the model says which by name."""

    def __init__(
        self,
        outputs: Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        strict: bool | None = None,
    ) -> None:
        """Make a processor; `name` and `strict` are those of the whole.

        The whole is described as the last of the outputs is: pydantic-ai 1.38 does so whatever description is given.

        Raises:
            UserError: If the signature of a function cannot be used.
        """
        self._wrapper: ObjectOutputProcessor[Any] = ObjectOutputProcessor(UnionOutputModel)
        self._processors: dict[str, ObjectOutputProcessor[OutputDataT]] = {}
        for output in outputs:
            processor = ObjectOutputProcessor(output, strict=strict)
            name_of_output = processor.object_def.name or repr(output)
            self._processors[free_name(name_of_output, self._processors)] = processor
        json_schema = _union_schema({key: processor.object_def for key, processor in self._processors.items()})
        description = [processor.object_def.description for processor in self._processors.values()][-1]
        super().__init__(
            OutputObjectDefinition(json_schema=json_schema, strict=strict, name=name, description=description)
        )

    @override
    async def process(
        self,
        data: str,
        *,
        run_context: RunContext[Any],
        allow_partial: bool = False,
        wrap_validation_errors: bool = True,
    ) -> OutputDataT:
        """Make the output that the model chose."""
        wrapper: UnionOutputModel = await self._wrapper.process(
            data,
            run_context=run_context,
            allow_partial=allow_partial,
            wrap_validation_errors=wrap_validation_errors,
        )
        result = wrapper.result
        processor = self._processors.get(result.kind)
        if processor is None:
            if not wrap_validation_errors:
                raise KeyError(result.kind)
            raise ToolRetryError(RetryPromptPart(content=f'Invalid kind: {result.kind}'))
        return await processor.process(
            result.data,
            run_context=run_context,
            allow_partial=allow_partial,
            wrap_validation_errors=wrap_validation_errors,
        )


class TextOutputProcessor(BaseOutputProcessor[OutputDataT]):
    """Takes the model's text as the output."""

    @override
    async def process(
        self,
        data: str,
        *,
        run_context: RunContext[Any],
        allow_partial: bool = False,
        wrap_validation_errors: bool = True,
    ) -> OutputDataT:
        """Return the text."""
        return cast('OutputDataT', data)


class TextFunctionOutputProcessor(TextOutputProcessor[OutputDataT]):
    """Makes an output of the model's text by a function."""

    def __init__(self, output_function: TextOutputFunc[OutputDataT]) -> None:
        """Make a processor.

        Raises:
            UserError: If the function does not take exactly one `str` beside the run context.
        """
        self._function_schema = function_schema(output_function, GenerateToolJsonSchema)
        parameters: dict[str, JsonSchemaValue] = self._function_schema.json_schema.get('properties', {})
        if [schema.get('type') for schema in parameters.values()] != ['string']:
            raise UserError('TextOutput must take a function taking a single `str` argument')
        (self._parameter,) = parameters

    @override
    async def process(
        self,
        data: str,
        *,
        run_context: RunContext[Any],
        allow_partial: bool = False,
        wrap_validation_errors: bool = True,
    ) -> OutputDataT:
        """Return what the function makes of the text."""
        arguments = {self._parameter: data}
        return await _call_output_function(self._function_schema, arguments, run_context, wrap_validation_errors)


def free_name(name: str, taken: Any) -> str:
    """Return a name that is not taken: itself, or with the first of `_2`, `_3` ... that makes it one."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f'{name}_{number}'
    return free


async def _call_output_function(
    schema: FunctionSchema, arguments: Any, run_context: RunContext[Any], wrap_validation_errors: bool
) -> Any:
    try:
        return await schema.call(arguments, run_context)
    except ModelRetry as retry:
        if not wrap_validation_errors:
            raise
        raise _retry_error(retry.message, run_context) from retry


def _retry_error(content: str | list[ErrorDetails], run_context: RunContext[Any]) -> ToolRetryError:
    """Tell the model what was wrong, as the answer to the tool call if it was one."""
    if run_context.tool_call_id:
        part = RetryPromptPart(content=content, tool_name=run_context.tool_name, tool_call_id=run_context.tool_call_id)
    else:
        part = RetryPromptPart(content=content, tool_name=run_context.tool_name)
    return ToolRetryError(part)


def _adapt(schema_type: Any, validated_type: Any) -> tuple[Any, ObjectJsonSchema]:
    """Return the validator of one type and the schema of another, which may be the same."""
    from pydantic import TypeAdapter

    schema_adapter: Any = TypeAdapter(schema_type)
    validating = schema_adapter if validated_type is schema_type else cast('Any', TypeAdapter(validated_type))
    json_schema = schema_adapter.json_schema(schema_generator=GenerateToolJsonSchema)
    return validating.validator, check_object_json_schema(json_schema)


def _adapt_wrapped(output: Any) -> tuple[Any, ObjectJsonSchema]:
    """Do the same for a type that is no object, inside of one."""
    import pydantic

    # Built at run time from a run-time type, which the type checker cannot follow. The names show in errors: 1.38's.
    typed_dict: Any = TypedDict
    described = typed_dict('response_data_typed_dict', {WRAPPING_KEY: output})
    lenient = output | pydantic.Json[output]
    validated = typed_dict('response_validation_typed_dict', {WRAPPING_KEY: lenient})
    validator, json_schema = _adapt(described, validated)
    del json_schema['title']
    return validator, json_schema


def _union_schema(definitions: dict[str, OutputObjectDefinition]) -> ObjectJsonSchema:
    """Describe the choice between outputs: an object that names one and holds its data."""
    titled = [definition.json_schema | {'title': definition.name} for definition in definitions.values()]
    schemas, shared = merge_definitions(titled)
    choices = [
        _choice(key, definition, schema) for (key, definition), schema in zip(definitions.items(), schemas, strict=True)
    ]
    json_schema: ObjectJsonSchema = {
        'type': 'object',
        'properties': {'result': {'anyOf': choices}},
        'required': ['result'],
        'additionalProperties': False,
    }
    return json_schema | ({'$defs': shared} if shared else {})


def _choice(key: str, definition: OutputObjectDefinition, schema: JsonSchemaValue) -> JsonSchemaValue:
    data = {name: value for name, value in schema.items() if name != 'title'}
    choice: JsonSchemaValue = {
        'type': 'object',
        'properties': {'kind': {'type': 'string', 'const': key}, 'data': data},
        'required': ['kind', 'data'],
        'additionalProperties': False,
        'title': definition.name,
    }
    if definition.description:
        choice['description'] = definition.description
    return choice


_FENCED = r'```(?:\w+)?\n(\{.*\})'


def _strip_markdown_fences(text: str) -> str:
    """Find the JSON object in a Markdown code block; text that begins with one, or has none, stays."""
    if text.startswith('{'):
        return text
    fenced = re.search(_FENCED, text, re.DOTALL)  # compiled when it is needed: not at import
    return fenced[1] if fenced else text
