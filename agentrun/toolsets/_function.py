"""A toolset of Python functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast, overload

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

from agentrun._records import changed, full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.exceptions import ModelRetry, UserError
from agentrun.tools import (
    DocstringFormat,
    GenerateToolJsonSchema,
    Tool,
    ToolDefinition,
    ToolFuncEither,
    ToolParams,
    ToolPrepareFunc,
)

from ._abstract import AbstractToolset, ToolsetTool

__all__ = ('FunctionToolset', 'FunctionToolsetTool')


@lean_dataclass(kw_only=True, show=full_repr)
class FunctionToolsetTool(ToolsetTool[AgentDepsT]):
    """A tool with the function behind it."""

    call_func: Callable[[dict[str, Any], RunContext[AgentDepsT]], Awaitable[Any]]
    """Calls the function with validated arguments."""
    is_async: bool
    timeout: float | None = None
    """Seconds that a call may take; None: as the toolset says."""

    @property
    @override
    def returns(self) -> Any:
        return getattr(getattr(self.call_func, '__self__', None), 'returns', Any)


class FunctionToolset(AbstractToolset[AgentDepsT]):
    """A toolset of Python functions.

    What is set on the toolset holds for each tool that does not say otherwise when it is added.
    """

    def __init__(
        self,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] = (),
        *,
        max_retries: int = 1,
        timeout: float | None = None,
        docstring_format: DocstringFormat = 'auto',
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] = GenerateToolJsonSchema,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> None:
        """Make a toolset.

        Args:
            tools: Tools, or functions to make tools of.
            max_retries: How often the model may try again in a row.
            timeout: Seconds that a call may take before the model is asked to try again; None: no limit.
            docstring_format: The style of docstrings.
            require_parameter_descriptions: Whether a parameter that the docstring does not describe is an error.
            schema_generator: Writes the JSON schemas.
            strict: Whether a provider that can is to hold the model to the schema.
            sequential: Whether no other call may run at the same time.
            requires_approval: Whether a person has to agree to each call.
            metadata: For filters; merged with the tool's own.
            id: Name of the toolset that is unique among those of an agent.

        Raises:
            UserError: If two tools have the same name, or a signature cannot be used.
        """
        self.max_retries = max_retries
        self.timeout = timeout
        self.docstring_format: DocstringFormat = docstring_format
        self.require_parameter_descriptions = require_parameter_descriptions
        self.schema_generator = schema_generator
        self.strict = strict
        self.sequential = sequential
        self.requires_approval = requires_approval
        self.metadata = metadata
        self.tools: dict[str, Tool[Any]] = {}
        """The tools by name, in the order in which they were added."""
        self._id = id
        for tool in tools:
            if isinstance(tool, Tool):
                self.add_tool(cast('Tool[AgentDepsT]', tool))
            else:
                self.add_function(tool)

    @property
    @override
    def id(self) -> str | None:
        return self._id

    @overload
    def tool(self, func: ToolFuncEither[AgentDepsT, ToolParams], /) -> ToolFuncEither[AgentDepsT, ToolParams]: ...

    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        retries: int | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat | None = None,
        require_parameter_descriptions: bool | None = None,
        schema_generator: type[GenerateJsonSchema] | None = None,
        strict: bool | None = None,
        sequential: bool | None = None,
        requires_approval: bool | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Callable[[ToolFuncEither[AgentDepsT, ToolParams]], ToolFuncEither[AgentDepsT, ToolParams]]: ...

    def tool(self, func: Any = None, /, **options: Any) -> Any:
        """Decorate a function to make it a tool, bare or with the options of `add_function`.

        Whether the function takes the run context is told by the annotation of its first parameter.
        """

        def register(function: ToolFuncEither[AgentDepsT, ToolParams]) -> ToolFuncEither[AgentDepsT, ToolParams]:
            self.add_function(function, **options)
            return function

        return register if func is None else register(func)

    def add_function(
        self,
        func: ToolFuncEither[AgentDepsT, ToolParams],
        takes_ctx: bool | None = None,
        name: str | None = None,
        description: str | None = None,
        retries: int | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat | None = None,
        require_parameter_descriptions: bool | None = None,
        schema_generator: type[GenerateJsonSchema] | None = None,
        strict: bool | None = None,
        sequential: bool | None = None,
        requires_approval: bool | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Add a function as a tool. What is None is as the toolset says, or told by the function.

        Args:
            func: The function, sync or async.
            takes_ctx: Whether it takes a `RunContext` first.
            name: Name of the tool.
            description: What the model is told.
            retries: How often the model may try again in a row.
            prepare: Changes or hides the tool at each step.
            docstring_format: The style of the docstring.
            require_parameter_descriptions: Whether a parameter that the docstring does not describe is an error.
            schema_generator: Writes the JSON schema.
            strict: Whether a provider that can is to hold the model to the schema.
            sequential: Whether no other call may run at the same time.
            requires_approval: Whether a person has to agree to each call.
            metadata: For filters; merged with the toolset's.
            timeout: Seconds that a call may take before the model is asked to try again.

        Raises:
            UserError: If the name is taken, or the signature cannot be used.
        """
        tool = Tool[AgentDepsT](
            func,
            takes_ctx=takes_ctx,
            name=name,
            description=description,
            max_retries=retries,
            prepare=prepare,
            docstring_format=_or(docstring_format, self.docstring_format),
            require_parameter_descriptions=_or(require_parameter_descriptions, self.require_parameter_descriptions),
            schema_generator=_or(schema_generator, self.schema_generator),
            strict=_or(strict, self.strict),
            sequential=_or(sequential, self.sequential),
            requires_approval=_or(requires_approval, self.requires_approval),
            metadata=metadata,
            timeout=timeout,
        )
        self.add_tool(tool)

    def add_tool(self, tool: Tool[AgentDepsT]) -> None:
        """Add a tool. It takes over the toolset's retries if it has none, and its metadata.

        Raises:
            UserError: If the name is taken.
        """
        if tool.name in self.tools:
            raise UserError(f'Tool name conflicts with existing tool: {tool.name!r}')
        if tool.max_retries is None:
            tool.max_retries = self.max_retries
        if self.metadata is not None:
            tool.metadata = self.metadata | (tool.metadata or {})
        self.tools[tool.name] = tool

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools: dict[str, ToolsetTool[AgentDepsT]] = {}
        for name, tool in self.tools.items():
            max_retries = self.max_retries if tool.max_retries is None else tool.max_retries
            tool_def = tool.tool_def if tool.prepare is None else await _prepared(name, tool, ctx, max_retries)
            if not tool_def:
                continue
            if tool_def.name in tools:
                raise UserError(_conflict(name, tool_def.name))
            schema = tool.function_schema
            tools[tool_def.name] = FunctionToolsetTool(
                toolset=self,
                tool_def=tool_def,
                max_retries=max_retries,
                args_validator=schema.validator,
                call_func=schema.call,
                is_async=schema.is_async,
                timeout=tool_def.timeout,
            )
        return tools

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        if not isinstance(tool, FunctionToolsetTool):
            raise TypeError(f'{self.label} was given a {type(tool).__name__} for {name!r}: pass on what it listed')
        timeout = self.timeout if tool.timeout is None else tool.timeout
        if timeout is None:
            return await tool.call_func(tool_args, ctx)
        import anyio

        try:
            with anyio.fail_after(timeout):
                return await tool.call_func(tool_args, ctx)
        except TimeoutError:
            raise ModelRetry(f'Timed out after {timeout} seconds.') from None


async def _prepared(
    name: str, tool: Tool[AgentDepsT], ctx: RunContext[AgentDepsT], max_retries: int
) -> ToolDefinition | None:
    """Define a tool for one step by its function, which is given a context of its own."""
    return await tool.prepare_tool_def(
        changed(ctx, tool_name=name, retry=ctx.retries.get(name, 0), max_retries=max_retries)
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _conflict(name: str, new_name: str) -> str:
    if new_name == name:
        return f'Tool name conflicts with previously renamed tool: {new_name!r}.'
    return f'Renaming tool {name!r} to {new_name!r} conflicts with existing tool.'
