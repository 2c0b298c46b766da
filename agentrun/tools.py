"""Tools: what a model may call, how it is told of them, and calls whose answer comes from outside of the run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, field
from typing import Annotated, Any, Concatenate, Generic, Literal, Self, TypeAlias, cast

import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, SchemaValidator, core_schema
from typing_extensions import ParamSpec, TypeVar

from ._callables import is_async_callable
from ._docstrings import DocstringFormat
from ._function_schema import FunctionSchema, callable_name
from ._function_schema import function_schema as make_function_schema
from ._json_schema import GenerateToolJsonSchema, ObjectJsonSchema
from ._records import full_repr, lean_dataclass, told_apart_by
from ._run_context import AgentDepsT, RunContext
from .builtin_tools import AbstractBuiltinTool
from .exceptions import ModelRetry
from .messages import RetryPromptPart, ToolCallPart, ToolReturn

__all__ = (
    'AgentDepsT',
    'BuiltinToolFunc',
    'DeferredToolApprovalResult',
    'DeferredToolCallResult',
    'DeferredToolRequests',
    'DeferredToolResult',
    'DeferredToolResults',
    'DocstringFormat',
    'GenerateToolJsonSchema',
    'ObjectJsonSchema',
    'RunContext',
    'SystemPromptFunc',
    'Tool',
    'ToolAgentDepsT',
    'ToolApproved',
    'ToolDefinition',
    'ToolDenied',
    'ToolFuncContext',
    'ToolFuncEither',
    'ToolFuncPlain',
    'ToolKind',
    'ToolParams',
    'ToolPrepareFunc',
    'ToolsPrepareFunc',
)

ToolParams = ParamSpec('ToolParams', default=...)
"""Parameters of a tool function."""

ToolAgentDepsT = TypeVar('ToolAgentDepsT', default=object, contravariant=True)  # noqa: PLC0105 - a public name
"""Type of the dependencies that a tool takes."""

SystemPromptFunc: TypeAlias = (
    Callable[[RunContext[AgentDepsT]], str]
    | Callable[[RunContext[AgentDepsT]], Awaitable[str]]
    | Callable[[], str]
    | Callable[[], Awaitable[str]]
)
"""A function that gives a system prompt: with or without the run context, sync or async."""

ToolFuncContext: TypeAlias = Callable[Concatenate[RunContext[AgentDepsT], ToolParams], Any]
"""A tool function that takes the run context as its first argument."""

ToolFuncPlain: TypeAlias = Callable[ToolParams, Any]
"""A tool function that does not take the run context."""

ToolFuncEither: TypeAlias = ToolFuncContext[AgentDepsT, ToolParams] | ToolFuncPlain[ToolParams]
"""A tool function of either kind."""

ToolPrepareFunc: TypeAlias = Callable[[RunContext[AgentDepsT], 'ToolDefinition'], Awaitable['ToolDefinition | None']]
"""Changes the definition of one tool at each step, or hides the tool for that step by returning None."""

ToolsPrepareFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT], list['ToolDefinition']], Awaitable['list[ToolDefinition] | None']
]
"""Changes the definitions of all tools at each step; a tool left out is hidden, None hides all."""

BuiltinToolFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]], Awaitable[AbstractBuiltinTool | None] | AbstractBuiltinTool | None
]
"""Makes a built-in tool at each step, or leaves it out by returning None."""

ToolKind: TypeAlias = Literal['function', 'output', 'external', 'unapproved']
"""Kind of a tool: see `ToolDefinition.kind`."""


@lean_dataclass(kw_only=True)
class ToolDefinition:
    """What a model is told of a tool, function tool or output tool."""

    name: str
    """Unique among the tools of a request."""
    parameters_json_schema: ObjectJsonSchema = field(default_factory=lambda: {'type': 'object', 'properties': {}})
    """JSON schema of the arguments."""
    description: str | None = None
    outer_typed_dict_key: str | None = None
    """Key under which the arguments of an output tool hold the output, if the output itself is no object."""
    strict: bool | None = None
    """Whether a provider that can is to hold the model to the schema; None leaves it to the provider."""
    sequential: bool = False
    """Whether no other call of the same response may run at the same time."""
    kind: ToolKind = 'function'
    """What a call leads to.

    - `'function'`: a function of ours runs, the model gets its result
    - `'output'`: the arguments are the output of the run
    - `'external'`: somebody else finds the result, after this run
    - `'unapproved'`: a function of ours runs, once a person has agreed
    """
    metadata: dict[str, Any] | None = None
    """For filters and toolsets; models are not sent it."""
    timeout: float | None = None
    """Seconds that a call may take before the model is asked to try again; None: no limit."""

    @property
    def defer(self) -> bool:
        """Whether a call is not answered in the run that makes it."""
        return self.kind in {'external', 'unapproved'}


@lean_dataclass(show=full_repr)
class Tool(Generic[ToolAgentDepsT]):
    """A function that models may call, and what they are told of it."""

    function: ToolFuncEither[ToolAgentDepsT]
    takes_ctx: bool
    max_retries: int | None
    name: str
    description: str | None
    prepare: ToolPrepareFunc[ToolAgentDepsT] | None
    docstring_format: DocstringFormat
    require_parameter_descriptions: bool
    strict: bool | None
    sequential: bool
    requires_approval: bool
    metadata: dict[str, Any] | None
    timeout: float | None
    function_schema: FunctionSchema
    """Schema, validator and call; `prepare` may change the schema that a model is sent."""

    def __init__(
        self,
        function: ToolFuncEither[ToolAgentDepsT],
        *,
        takes_ctx: bool | None = None,
        max_retries: int | None = None,
        name: str | None = None,
        description: str | None = None,
        prepare: ToolPrepareFunc[ToolAgentDepsT] | None = None,
        docstring_format: DocstringFormat = 'auto',
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] = GenerateToolJsonSchema,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        function_schema: FunctionSchema | None = None,
    ) -> None:
        """Make a tool of a function. One whose signature cannot be used raises a `UserError`.

        Args:
            function: The function, sync or async, with or without a `RunContext` as its first parameter.
            takes_ctx: Whether it takes a `RunContext`; None: told by the annotation of its first parameter.
            max_retries: How often the model may try again in a row; None: as the toolset or agent says.
            name: Name of the tool; None: the function's.
            description: What the model is told; None: what the docstring says.
            prepare: Changes or hides the tool at each step.
            docstring_format: The style of the docstring.
            require_parameter_descriptions: Whether a parameter that the docstring does not describe is an error.
            schema_generator: Writes the JSON schema of the parameters.
            strict: Whether a provider that can is to hold the model to the schema.
            sequential: Whether no other call may run at the same time.
            requires_approval: Whether a person has to agree to each call.
            metadata: For filters and toolsets; models are not sent it.
            timeout: Seconds that a call may take before the model is asked to try again; None: no limit.
            function_schema: A schema made before; None: read from the function.
        """
        self.function = function
        self.function_schema = function_schema or make_function_schema(
            function,
            schema_generator,
            takes_ctx=takes_ctx,
            docstring_format=docstring_format,
            require_parameter_descriptions=require_parameter_descriptions,
        )
        self.takes_ctx = self.function_schema.takes_ctx
        self.max_retries = max_retries
        self.name = name or callable_name(function)
        self.description = description or self.function_schema.description
        self.prepare = prepare
        self.docstring_format = docstring_format
        self.require_parameter_descriptions = require_parameter_descriptions
        self.strict = strict
        self.sequential = sequential
        self.requires_approval = requires_approval
        self.metadata = metadata
        self.timeout = timeout

    @classmethod
    def from_schema(
        cls,
        function: Callable[..., Any],
        name: str,
        description: str | None,
        json_schema: JsonSchemaValue,
        takes_ctx: bool = False,
        sequential: bool = False,
    ) -> Self:
        """Make a tool of a function and a schema that somebody else wrote.

        Args:
            function: Called with keyword arguments only, exactly as the model sent them: nothing is checked.
            name: Name of the tool.
            description: What the model is told.
            json_schema: Schema of the arguments.
            takes_ctx: Whether the function takes a `RunContext` first.
            sequential: Whether no other call may run at the same time.
        """
        schema = FunctionSchema(
            function=function,
            description=description,
            validator=SchemaValidator(core_schema.any_schema()),
            json_schema=json_schema,
            takes_ctx=takes_ctx,
            is_async=is_async_callable(function),
        )
        return cls(
            function,
            takes_ctx=takes_ctx,
            name=name,
            description=description,
            function_schema=schema,
            sequential=sequential,
        )

    @property
    def tool_def(self) -> ToolDefinition:
        """The definition before `prepare`: a new object each time, which may be changed."""
        return ToolDefinition(
            name=self.name,
            description=self.description,
            parameters_json_schema=self.function_schema.json_schema,
            strict=self.strict,
            sequential=self.sequential,
            metadata=self.metadata,
            timeout=self.timeout,
            kind='unapproved' if self.requires_approval else 'function',
        )

    async def prepare_tool_def(self, ctx: RunContext[ToolAgentDepsT]) -> ToolDefinition | None:
        """Define the tool for one step; None if it is hidden in it."""
        if self.prepare is None:
            return self.tool_def
        return await self.prepare(ctx, self.tool_def)


@lean_dataclass(kw_only=True, show=full_repr)
class DeferredToolRequests:
    """Calls that a run leaves to be answered: an output of the run, if it is among the agent's output types.

    The answers go to the next run as `DeferredToolResults`.
    """

    calls: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    """Calls that need a result."""
    approvals: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    """Calls that a person has to agree to."""
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What tools left for whoever answers, by tool call id."""


@lean_dataclass(kw_only=True, show=full_repr)
class ToolApproved:
    """The call may run."""

    override_args: dict[str, Any] | None = None
    """Arguments to run it with in place of the model's; None: the model's."""
    kind: Literal['tool-approved'] = 'tool-approved'


@lean_dataclass(show=full_repr)
class ToolDenied:
    """The call may not run."""

    message: str = 'The tool call was denied.'
    """What the model is told."""
    _: KW_ONLY
    kind: Literal['tool-denied'] = 'tool-denied'


DeferredToolApprovalResult: TypeAlias = Annotated[ToolApproved | ToolDenied, told_apart_by('kind')]
"""Answer to a call that a person had to agree to."""


class _ByKindOfResult:
    """Marks the union of results: by their kind, whatever the field is called. Late, as `told_apart_by` is."""

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> CoreSchema:
        results = (
            Annotated[ToolReturn, pydantic.Tag('tool-return')]
            | Annotated[ModelRetry, pydantic.Tag('model-retry')]
            | Annotated[RetryPromptPart, pydantic.Tag('retry-prompt')]
        )
        return handler.generate_schema(Annotated[results, pydantic.Discriminator(_result_kind)])


def _result_kind(value: Any) -> str | None:
    """Tell which kind of result a value is, loaded or still JSON."""
    if isinstance(value, dict):
        entries = cast('dict[str, Any]', value)
        return entries.get('kind', entries.get('part_kind'))
    return getattr(value, 'kind', getattr(value, 'part_kind', None))


DeferredToolCallResult: TypeAlias = Annotated[ToolReturn | ModelRetry | RetryPromptPart, _ByKindOfResult()]
"""Answer to a call that needed a result; any other value counts as a `ToolReturn` of it."""

DeferredToolResult: TypeAlias = DeferredToolApprovalResult | DeferredToolCallResult
"""Answer to a deferred call of either kind."""


@lean_dataclass(kw_only=True, show=full_repr)
class DeferredToolResults:
    """Answers to the `DeferredToolRequests` of an earlier run, by tool call id."""

    calls: dict[str, DeferredToolCallResult | Any] = field(default_factory=dict[str, DeferredToolCallResult | Any])
    """Results of calls that needed one."""
    approvals: dict[str, bool | DeferredToolApprovalResult] = field(
        default_factory=dict[str, bool | DeferredToolApprovalResult]
    )
    """Decisions on calls that a person had to agree to; True and False say no more than yes and no."""
