"""Agents: what is fixed about a series of runs, and the ways to run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any, Self, cast, overload

from typing_extensions import Unpack

from agentrun import _ambient, _effects
from agentrun._core._nodes import CallToolsNode, ModelRequestNode, UserPromptNode
from agentrun._core._prompts import InstructionTexts
from agentrun._core._state import (
    EndStrategy,
    GraphAgentDeps,
    GraphAgentState,
    HistoryProcessor,
    capture_run_messages,
)
from agentrun._output import OutputSchema
from agentrun._run_context import AgentDepsT, RunContext
from agentrun._tool_manager import ToolManager
from agentrun.agent._arguments import UNSET, Instructions, Overrides, Unset, as_list, renamed_output_type, texts_of
from agentrun.agent._registry import AgentFunctionToolset, Registry
from agentrun.agent._streams import RunOptions
from agentrun.agent.abstract import AbstractAgent, EventStreamHandler, RunOutputDataT
from agentrun.agent.wrapper import WrapperAgent
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.exceptions import UserError
from agentrun.graph import GraphRunContext
from agentrun.messages import ModelMessage, UserContent
from agentrun.models._base import Model
from agentrun.models._infer import infer_model
from agentrun.output import OutputDataT, OutputSpec
from agentrun.run import AgentRun, AgentRunResult, RunScope
from agentrun.settings import ModelSettings, merge_model_settings
from agentrun.tools import (
    BuiltinToolFunc,
    DeferredToolResults,
    Tool,
    ToolFuncEither,
    ToolsPrepareFunc,
)
from agentrun.toolsets import AbstractToolset, CombinedToolset, PreparedToolset, ToolsetFunc
from agentrun.toolsets._dynamic import DynamicToolset
from agentrun.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    import anyio

__all__ = (
    'AbstractAgent',
    'Agent',
    'AgentRun',
    'AgentRunResult',
    'CallToolsNode',
    'EndStrategy',
    'EventStreamHandler',
    'HistoryProcessor',
    'ModelRequestNode',
    'UserPromptNode',
    'WrapperAgent',
    'capture_run_messages',
)


class Agent(Registry[AgentDepsT, OutputDataT], AbstractAgent[AgentDepsT, OutputDataT]):
    """A model with instructions, tools and an output: what a series of runs has in common.

    Args:
        model: The model of runs that name none: a `Model`, or a name such as `'test'`.
        output_type: What a run's output may be: types, output functions, markers, several of these.
        instructions: Texts and functions; they go with each request and are not kept in the history for later runs.
        system_prompt: System prompts at the beginning of each conversation.
        deps_type: Type of the dependencies; for type checkers only.
        name: Name of the agent; if None, the first run takes that of the variable that holds the agent.
        model_settings: Settings of all runs, above those of the model.
        retries: How often the model may try again after a failed tool call, and for another output.
        validation_context: Pydantic's validation context for tool arguments and outputs, or a function that makes it
            of the `RunContext`.
        output_retries: How often the model may be asked for another output; as `retries` says if None.
        tools: Tools, or functions to make tools of.
        builtin_tools: Tools that the provider runs.
        prepare_tools: Changes or hides function tools at each step.
        prepare_output_tools: Changes or hides output tools at each step.
        toolsets: Toolsets, or functions that make one of the `RunContext`.
        defer_model_check: Whether a model given by name is looked up by the first run only.
        end_strategy: What becomes of other tool calls of a response with a final result: `'early'` skips them,
            `'exhaustive'` runs them.
        history_processors: Functions that replace the history before each request, in order.
        event_stream_handler: Gets the events of runs that name no other handler.
        tool_timeout: Seconds that a tool call may take before the model is asked to try again; None: no limit.
        **unknown: Nothing but `result_type`, the deprecated name of `output_type`.

    Raises:
        UserError: If the model is unknown, the outputs or tools do not go together, or an argument is unknown.
    """

    end_strategy: EndStrategy
    model_settings: ModelSettings | None
    history_processors: Sequence[HistoryProcessor[AgentDepsT]]

    _lock: anyio.Lock | None = None
    _entered = 0
    """How many `async with` blocks of the agent are open."""
    _exit_stack: AsyncExitStack | None = None

    def __init__(
        self,
        model: Model | str | None = None,
        *,
        output_type: OutputSpec[OutputDataT] = str,
        instructions: Instructions[AgentDepsT] = None,
        system_prompt: str | Sequence[str] = (),
        deps_type: type[AgentDepsT] = NoneType,
        name: str | None = None,
        model_settings: ModelSettings | None = None,
        retries: int = 1,
        validation_context: Any | Callable[[RunContext[AgentDepsT]], Any] = None,
        output_retries: int | None = None,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] = (),
        builtin_tools: Sequence[AbstractBuiltinTool | BuiltinToolFunc[AgentDepsT]] = (),
        prepare_tools: ToolsPrepareFunc[AgentDepsT] | None = None,
        prepare_output_tools: ToolsPrepareFunc[AgentDepsT] | None = None,
        toolsets: Sequence[AbstractToolset[AgentDepsT] | ToolsetFunc[AgentDepsT]] | None = None,
        defer_model_check: bool = False,
        end_strategy: EndStrategy = 'early',
        history_processors: Sequence[HistoryProcessor[AgentDepsT]] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        tool_timeout: float | None = None,
        **unknown: Any,
    ) -> None:
        self._model = model if model is None or defer_model_check else infer_model(model)
        self._output_type = renamed_output_type(None, unknown.pop('result_type', None)) or output_type
        if unknown:
            raise UserError(f'Unknown keyword arguments: {", ".join(f"`{name}`" for name in unknown)}')
        self._name = name
        self._deps_type = deps_type
        self._event_stream_handler = event_stream_handler
        self.end_strategy = end_strategy
        self.model_settings = model_settings
        self.history_processors = history_processors or []

        self._instructions = as_list(instructions)
        self._system_prompts = (system_prompt,) if isinstance(system_prompt, str) else tuple(system_prompt)
        self._system_prompt_functions = []
        self._system_prompt_dynamic_functions = {}

        self._max_result_retries = retries if output_retries is None else output_retries
        self._max_tool_retries = retries
        self._tool_timeout = tool_timeout
        self._validation_context = validation_context
        self._builtin_tools = builtin_tools
        self._prepare_tools = prepare_tools
        self._prepare_output_tools = prepare_output_tools

        self._output_schema: OutputSchema[OutputDataT] = OutputSchema[OutputDataT].build(self._output_type)
        if self._output_schema.toolset:
            self._output_schema.toolset.max_retries = self._max_result_retries
        self._output_validators = []
        self._function_toolset = self._make_function_toolset(tools)
        self._user_toolsets: list[AbstractToolset[AgentDepsT]] = []
        self._dynamic_toolsets = []
        self._take_toolsets(toolsets or ())
        nothing = Overrides()
        self._overrides: ContextVar[Overrides] = ContextVar('agentrun.overrides', default=nothing)

    @property
    def model(self) -> Model | str | None:
        """The model of runs that name none: a model, or the name of one that no run has looked up yet."""
        return self._model

    @model.setter
    def model(self, value: Model | str | None) -> None:
        self._model = value

    @property
    def name(self) -> str | None:
        """Name of the agent. If None, the first run takes the name of the variable that holds the agent."""
        override = self._overrides.get().name
        return self._name if isinstance(override, Unset) else override

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    @property
    def deps_type(self) -> type:
        """Type of the dependencies."""
        return self._deps_type

    @property
    def output_type(self) -> OutputSpec[OutputDataT]:
        """What a run's output may be."""
        return self._output_type

    @property
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        """Gets the events of runs that name no other handler."""
        return self._event_stream_handler

    @property
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        """All toolsets, the one of the agent's own functions first; output tools are not among them."""
        overrides = self._overrides.get()
        functions = self._function_toolset
        if not isinstance(overrides.tools, Unset):
            functions = self._make_function_toolset(overrides.tools)
        if not isinstance(overrides.toolsets, Unset):
            return [functions, *overrides.toolsets]
        return [functions, *self._user_toolsets, *self._dynamic_toolsets]

    def __repr__(self) -> str:
        # `instrument` is no option of this library; it stands here because the text is compared as a whole
        return (
            f'{type(self).__name__}(model={self.model!r}, name={self.name!r}, end_strategy={self.end_strategy!r}, '
            f'model_settings={self.model_settings!r}, output_type={self.output_type!r}, instrument=None)'
        )

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, OutputDataT]]: ...

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, RunOutputDataT]]: ...

    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        """Begin a run that the body of the block drives, node by node: see `AbstractAgent.iter`."""
        if infer_name and self.name is None:
            self._infer_name(inspect.currentframe())
        return self._iter(user_prompt, renamed_output_type(output_type, result_type), **options)

    def _iter(
        self,
        user_prompt: str | Sequence[UserContent] | None,
        output_type: OutputSpec[Any] | None,
        *,
        message_history: Sequence[ModelMessage] | None = None,
        deferred_tool_results: DeferredToolResults | None = None,
        model: Model | str | None = None,
        instructions: Instructions[AgentDepsT] = None,
        deps: Any = None,
        model_settings: ModelSettings | None = None,
        usage_limits: UsageLimits | None = None,
        usage: RunUsage | None = None,
        toolsets: Sequence[AbstractToolset[AgentDepsT]] | None = None,
        builtin_tools: Sequence[AbstractBuiltinTool | BuiltinToolFunc[AgentDepsT]] | None = None,
    ) -> RunScope[AgentDepsT, Any]:
        """Name each of `RunOptions`, so that one that does not exist is refused; what they say is read on entering."""

        def begin() -> AgentRun[AgentDepsT, Any]:
            model_used = self._model_of_run(model)
            output_schema = self._output_schema_of_run(output_type)
            texts = self._instructions_of_run(instructions)
            history = list(message_history or ())
            counted = RunUsage() if usage is None else usage
            source, handler = self._seam(user_prompt, history, deferred_tool_results, counted, texts.literal)
            with _ambient.use(source):
                state = GraphAgentState(message_history=history, usage=counted)
            run_deps = GraphAgentDeps(
                user_deps=self._deps_of_run(deps),
                prompt=user_prompt,
                new_message_index=len(history),
                model=model_used,
                model_settings=merge_model_settings(
                    merge_model_settings(model_used.settings, self.model_settings), model_settings
                ),
                usage_limits=usage_limits or UsageLimits(),
                max_result_retries=self._max_result_retries,
                end_strategy=self.end_strategy,
                get_instructions=texts,
                output_schema=output_schema,
                output_validators=self._output_validators,
                validation_context=self._validation_context,
                history_processors=self.history_processors,
                builtin_tools=[*self._builtin_tools, *(builtin_tools or ())],
                tool_manager=ToolManager(self._toolset_of_run(output_schema, toolsets)),
                source=source,
                handler=handler,
            )
            node = self._first_node(user_prompt, deferred_tool_results, texts)
            return AgentRun(node, GraphRunContext(state=state, deps=run_deps))

        return RunScope(begin)

    def _take_toolsets(self, toolsets: Sequence[AbstractToolset[AgentDepsT] | ToolsetFunc[AgentDepsT]]) -> None:
        for toolset in toolsets:
            if isinstance(toolset, AbstractToolset):
                self._user_toolsets.append(cast('AbstractToolset[AgentDepsT]', toolset))
            else:
                self._dynamic_toolsets.append(DynamicToolset(toolset))

    def _first_node(
        self,
        prompt: str | Sequence[UserContent] | None,
        deferred_tool_results: DeferredToolResults | None,
        texts: InstructionTexts[AgentDepsT],
    ) -> UserPromptNode[AgentDepsT, Any]:
        return UserPromptNode(
            user_prompt=prompt,
            deferred_tool_results=deferred_tool_results,
            instructions=texts.literal,
            instructions_functions=list(texts.functions),
            system_prompts=self._system_prompts,
            system_prompt_functions=self._system_prompt_functions,
            system_prompt_dynamic_functions=self._system_prompt_dynamic_functions,
        )

    def _seam(
        self,
        prompt: str | Sequence[UserContent] | None,
        history: list[ModelMessage],
        deferred_tool_results: DeferredToolResults | None,
        usage: RunUsage,
        instructions: str | None,
    ) -> tuple[_ambient.Source, _effects.RunHandler | None]:
        """Find out who carries out the effects of a run that starts now, and where its readings come from."""
        handler = _effects.start_run(
            _effects.RunStart(
                agent_name=self.name,
                prompt=prompt,
                history=history,
                deferred_tool_results=deferred_tool_results,
                end_strategy=self.end_strategy,
                usage=usage,
                instructions=instructions,
            )
        )
        return (_ambient.source_for_run(self.name or 'agent') if handler is None else handler.source), handler

    @contextmanager
    def override(
        self,
        *,
        name: str | Unset = UNSET,
        deps: AgentDepsT | Unset = UNSET,
        model: Model | str | Unset = UNSET,
        toolsets: Sequence[AbstractToolset[AgentDepsT]] | Unset = UNSET,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] | Unset = UNSET,
        instructions: Instructions[AgentDepsT] | Unset = UNSET,
    ) -> Generator[None]:
        """Let all runs that start inside the block, in this context, use something else.

        Args:
            name: In place of the agent's name.
            deps: In place of the dependencies handed to runs.
            model: In place of the model of the agent and of runs; an agent without a model stays without one.
            toolsets: In place of the toolsets of the agent and of runs.
            tools: In place of the tools registered with the agent.
            instructions: In place of the instructions of the agent and of runs; None: no instructions.
        """
        given = {
            'name': name,
            'deps': deps,
            'model': model if isinstance(model, Unset) else infer_model(model),
            'toolsets': toolsets,
            'tools': tools,
            'instructions': instructions if isinstance(instructions, Unset) else as_list(instructions),
        }
        changes = {key: value for key, value in given.items() if value is not UNSET}
        token = self._overrides.set(replace(self._overrides.get(), **cast('dict[str, Any]', changes)))
        try:
            yield
        finally:
            self._overrides.reset(token)

    async def __aenter__(self) -> Self:
        """Enter the toolsets and keep them entered until the block is left; blocks may overlap."""
        async with self._locked():
            if self._entered == 0:
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(self._toolset_of_run(self._output_schema, None))
                    self._exit_stack = stack.pop_all()
            self._entered += 1
        return self

    async def __aexit__(self, *args: object) -> bool | None:
        """Leave the toolsets if this block is the last one."""
        async with self._locked():
            self._entered -= 1
            if self._entered == 0 and self._exit_stack is not None:
                await self._exit_stack.aclose()
                self._exit_stack = None

    def _locked(self) -> anyio.Lock:
        if self._lock is None:
            import anyio

            self._lock = anyio.Lock()
        return self._lock

    # What a run uses

    def _model_of_run(self, model: Model | str | None) -> Model:
        override = self._overrides.get().model
        if model is None and self.model is None:
            missing = '`model` must either be set on the agent or included when calling it.'
            if isinstance(override, Unset):
                raise UserError(missing)
            raise UserError(
                f'{missing} (Even when `override(model=...)` is customizing the model that will actually be called)'
            )
        if not isinstance(override, Unset):
            return override
        if model is not None:
            return infer_model(model)
        self._model = infer_model(cast('Model | str', self.model))
        return self._model

    def _deps_of_run(self, deps: Any) -> Any:
        override = self._overrides.get().deps
        return deps if override is UNSET else override

    def _instructions_of_run(self, further: Instructions[AgentDepsT]) -> InstructionTexts[AgentDepsT]:
        override = self._overrides.get().instructions
        given = [*self._instructions, *as_list(further)] if isinstance(override, Unset) else override
        return texts_of(given)

    def _output_schema_of_run(self, output_type: OutputSpec[Any] | None) -> OutputSchema[Any]:
        if output_type is None:
            return self._output_schema
        if self._output_validators:
            raise UserError('Cannot set a custom run `output_type` when the agent has output validators')
        return OutputSchema[Any].build(output_type)

    def _toolset_of_run(
        self, output_schema: OutputSchema[Any], further: Sequence[AbstractToolset[AgentDepsT]] | None
    ) -> AbstractToolset[AgentDepsT]:
        """Join all toolsets of a run: the output tools first."""
        toolsets = self.toolsets
        if further and isinstance(self._overrides.get().toolsets, Unset):
            toolsets = [*toolsets, *further]
        toolset = CombinedToolset(toolsets).visit_and_replace(_own_copy)
        if self._prepare_tools:
            toolset = PreparedToolset(toolset, self._prepare_tools)
        output_toolset: AbstractToolset[AgentDepsT] | None = output_schema.toolset
        if output_schema.toolset is not None:
            output_schema.toolset.max_retries = self._max_result_retries
            output_schema.toolset.output_validators = self._output_validators
        if output_toolset is None:
            return toolset
        if self._prepare_output_tools:
            output_toolset = PreparedToolset(output_toolset, self._prepare_output_tools)
        return CombinedToolset([output_toolset, toolset])

    def _make_function_toolset(
        self, tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]]
    ) -> AgentFunctionToolset[AgentDepsT]:
        return AgentFunctionToolset(
            tools,
            max_retries=self._max_tool_retries,
            timeout=self._tool_timeout,
            output_schema=self._output_schema,
        )


def _own_copy(toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
    """Give each run its own copy of a toolset that holds what one run made."""
    return toolset.copy() if isinstance(toolset, DynamicToolset) else toolset
