"""What is registered with an agent after it is made: prompts, instructions, tools, toolsets and validators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar, overload

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

from agentrun._core._prompts import SystemPromptRunner
from agentrun._output import OutputSchema, OutputValidator, OutputValidatorFunc
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.exceptions import UserError
from agentrun.output import OutputDataT
from agentrun.tools import (
    DocstringFormat,
    GenerateToolJsonSchema,
    SystemPromptFunc,
    Tool,
    ToolFuncContext,
    ToolFuncEither,
    ToolFuncPlain,
    ToolParams,
    ToolPrepareFunc,
)
from agentrun.toolsets import FunctionToolset, ToolsetFunc
from agentrun.toolsets._dynamic import DynamicToolset

__all__ = ('AgentFunctionToolset', 'Registry')

F = TypeVar('F', bound=Callable[..., Any])


class AgentFunctionToolset(FunctionToolset[AgentDepsT]):
    """The toolset of an agent's own functions. A tool that needs approval is refused if no output can ask for it."""

    def __init__(
        self,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]],
        *,
        max_retries: int,
        timeout: float | None,
        output_schema: OutputSchema[Any],
    ) -> None:
        """Make the toolset.

        Args:
            tools: Tools, or functions to make tools of.
            max_retries: How often the model may try again in a row.
            timeout: Seconds that a call may take; None: no limit.
            output_schema: The agent's.
        """
        self._output_schema = output_schema
        super().__init__(tools, max_retries=max_retries, timeout=timeout)

    @property
    @override
    def id(self) -> str:
        return '<agent>'

    @property
    @override
    def label(self) -> str:
        return 'the agent'

    @override
    def add_tool(self, tool: Tool[AgentDepsT]) -> None:
        if tool.requires_approval and not self._output_schema.allows_deferred_tools:
            raise UserError(
                'To use tools that require approval, add `DeferredToolRequests` to the list of output types for this '
                'agent.'
            )
        super().add_tool(tool)


class Registry(Generic[AgentDepsT, OutputDataT]):
    """The decorators of an agent, and what they have registered. Made by the agent's constructor."""

    _instructions: list[str | SystemPromptFunc[AgentDepsT]]
    _system_prompt_functions: list[SystemPromptRunner[AgentDepsT]]
    _system_prompt_dynamic_functions: dict[str, SystemPromptRunner[AgentDepsT]]
    _output_validators: list[OutputValidator[AgentDepsT, OutputDataT]]
    _function_toolset: AgentFunctionToolset[AgentDepsT]
    _dynamic_toolsets: list[DynamicToolset[AgentDepsT]]

    @overload
    def instructions(
        self, func: Callable[[RunContext[AgentDepsT]], str], /
    ) -> Callable[[RunContext[AgentDepsT]], str]: ...

    @overload
    def instructions(
        self, func: Callable[[RunContext[AgentDepsT]], Awaitable[str]], /
    ) -> Callable[[RunContext[AgentDepsT]], Awaitable[str]]: ...

    @overload
    def instructions(self, func: Callable[[], str], /) -> Callable[[], str]: ...

    @overload
    def instructions(self, func: Callable[[], Awaitable[str]], /) -> Callable[[], Awaitable[str]]: ...

    @overload
    def instructions(self, /) -> Callable[[SystemPromptFunc[AgentDepsT]], SystemPromptFunc[AgentDepsT]]: ...

    def instructions(self, func: SystemPromptFunc[AgentDepsT] | None = None, /) -> Any:
        """Register a function that makes instructions for each request; bare or called.

        The function is sync or async, and may take the `RunContext`.
        """

        def register(function: F) -> F:
            self._instructions.append(function)
            return function

        return register if func is None else register(func)

    @overload
    def system_prompt(
        self, func: Callable[[RunContext[AgentDepsT]], str], /
    ) -> Callable[[RunContext[AgentDepsT]], str]: ...

    @overload
    def system_prompt(
        self, func: Callable[[RunContext[AgentDepsT]], Awaitable[str]], /
    ) -> Callable[[RunContext[AgentDepsT]], Awaitable[str]]: ...

    @overload
    def system_prompt(self, func: Callable[[], str], /) -> Callable[[], str]: ...

    @overload
    def system_prompt(self, func: Callable[[], Awaitable[str]], /) -> Callable[[], Awaitable[str]]: ...

    @overload
    def system_prompt(
        self, /, *, dynamic: bool = False
    ) -> Callable[[SystemPromptFunc[AgentDepsT]], SystemPromptFunc[AgentDepsT]]: ...

    def system_prompt(self, func: SystemPromptFunc[AgentDepsT] | None = None, /, *, dynamic: bool = False) -> Any:
        """Register a function that makes a system prompt for each new conversation; bare or called.

        Args:
            func: The function, sync or async, with or without the `RunContext`.
            dynamic: Whether a run that goes on with a conversation makes its prompt anew.
        """

        def register(function: F) -> F:
            runner = SystemPromptRunner[AgentDepsT](function, dynamic=dynamic)
            self._system_prompt_functions.append(runner)
            if dynamic:
                self._system_prompt_dynamic_functions[function.__qualname__] = runner
            return function

        return register if func is None else register(func)

    @overload
    def output_validator(
        self, func: Callable[[RunContext[AgentDepsT], OutputDataT], OutputDataT], /
    ) -> Callable[[RunContext[AgentDepsT], OutputDataT], OutputDataT]: ...

    @overload
    def output_validator(
        self, func: Callable[[RunContext[AgentDepsT], OutputDataT], Awaitable[OutputDataT]], /
    ) -> Callable[[RunContext[AgentDepsT], OutputDataT], Awaitable[OutputDataT]]: ...

    @overload
    def output_validator(
        self, func: Callable[[OutputDataT], OutputDataT], /
    ) -> Callable[[OutputDataT], OutputDataT]: ...

    @overload
    def output_validator(
        self, func: Callable[[OutputDataT], Awaitable[OutputDataT]], /
    ) -> Callable[[OutputDataT], Awaitable[OutputDataT]]: ...

    def output_validator(self, func: OutputValidatorFunc[AgentDepsT, OutputDataT], /) -> Any:
        """Register a function that checks each output: it returns the output, changed or not, or raises `ModelRetry`.

        The function is sync or async, and may take the `RunContext` before the output.
        """
        self._output_validators.append(OutputValidator[AgentDepsT, Any](func))
        return func

    @overload
    def tool(self, func: ToolFuncContext[AgentDepsT, ToolParams], /) -> ToolFuncContext[AgentDepsT, ToolParams]: ...

    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        retries: int | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat = 'auto',
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] = GenerateToolJsonSchema,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Callable[[ToolFuncContext[AgentDepsT, ToolParams]], ToolFuncContext[AgentDepsT, ToolParams]]: ...

    def tool(self, func: Any = None, /, **options: Any) -> Any:
        """Make a tool of a function that takes the `RunContext` first; bare, or with options.

        Args:
            func: The function, sync or async. Its docstring describes the tool and its parameters.
            **options: As for `FunctionToolset.add_function`, `takes_ctx` apart.
        """
        return self._register_tool(func, options, takes_ctx=True)

    @overload
    def tool_plain(self, func: ToolFuncPlain[ToolParams], /) -> ToolFuncPlain[ToolParams]: ...

    @overload
    def tool_plain(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        retries: int | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat = 'auto',
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] = GenerateToolJsonSchema,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Callable[[ToolFuncPlain[ToolParams]], ToolFuncPlain[ToolParams]]: ...

    def tool_plain(self, func: Any = None, /, **options: Any) -> Any:
        """Make a tool of a function that does not take the `RunContext`; bare, or with options.

        Args:
            func: The function, sync or async. Its docstring describes the tool and its parameters.
            **options: As for `FunctionToolset.add_function`, `takes_ctx` apart.
        """
        return self._register_tool(func, options, takes_ctx=False)

    def _register_tool(self, func: Any, options: dict[str, Any], *, takes_ctx: bool) -> Any:
        def register(function: F) -> F:
            self._function_toolset.add_function(function, takes_ctx=takes_ctx, **options)
            return function

        return register if func is None else register(func)

    @overload
    def toolset(self, func: ToolsetFunc[AgentDepsT], /) -> ToolsetFunc[AgentDepsT]: ...

    @overload
    def toolset(
        self, /, *, per_run_step: bool = True, id: str | None = None
    ) -> Callable[[ToolsetFunc[AgentDepsT]], ToolsetFunc[AgentDepsT]]: ...

    def toolset(
        self, func: ToolsetFunc[AgentDepsT] | None = None, /, *, per_run_step: bool = True, id: str | None = None
    ) -> Any:
        """Register a function that makes a toolset of the `RunContext`; bare, or with options.

        Args:
            func: The function, sync or async; None from it: no tools.
            per_run_step: Whether it is asked at each step, or once for each run.
            id: Name of the toolset that is unique among those of the agent.
        """

        def register(function: ToolsetFunc[AgentDepsT]) -> ToolsetFunc[AgentDepsT]:
            self._dynamic_toolsets.append(DynamicToolset(function, per_run_step=per_run_step, id=id))
            return function

        return register if func is None else register(func)
