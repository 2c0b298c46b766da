"""What every agent can do: run, all ways of running going through `iter`."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Generic, Self, cast, overload

from typing_extensions import TypeVar, Unpack

from agentrun._blocking import run_blocking
from agentrun._run_context import AgentDepsT
from agentrun._tool_manager import ToolManager
from agentrun.agent._arguments import UNSET, Instructions, Unset, renamed_output_type
from agentrun.agent._node_kinds import NodeKinds
from agentrun.agent._streams import (
    EventStreamHandler,
    RunEvents,
    RunOptions,
    StreamScope,
    run_through,
    wait_for_stream,
)
from agentrun.messages import AgentStreamEvent, UserContent
from agentrun.models._base import Model
from agentrun.output import OutputDataT, OutputSpec
from agentrun.result import StreamedRunResult, StreamedRunResultSync
from agentrun.run import AgentRun, AgentRunResult, AgentRunResultEvent
from agentrun.tools import Tool, ToolFuncEither
from agentrun.toolsets import AbstractToolset

__all__ = (
    'UNSET',
    'AbstractAgent',
    'EventStreamHandler',
    'Instructions',
    'RunOutputDataT',
    'Unset',
    'renamed_output_type',
)

RunOutputDataT = TypeVar('RunOutputDataT')
"""Type of the output of a run that has its own `output_type`."""


class AbstractAgent(NodeKinds, ABC, Generic[AgentDepsT, OutputDataT]):
    """What `Agent` and agents around agents have in common."""

    @property
    @abstractmethod
    def model(self) -> Model | str | None:
        """The model of runs that name none."""

    @property
    @abstractmethod
    def name(self) -> str | None:
        """Name of the agent. If None, the first run takes the name of the variable that holds the agent."""

    @name.setter
    @abstractmethod
    def name(self, value: str | None) -> None: ...

    @property
    @abstractmethod
    def deps_type(self) -> type:
        """Type of the dependencies."""

    @property
    @abstractmethod
    def output_type(self) -> OutputSpec[OutputDataT]:
        """What a run's output may be."""

    @property
    @abstractmethod
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        """Gets the events of runs that name no other handler."""

    @property
    @abstractmethod
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        """All toolsets, the one of the agent's own functions first; output tools are not among them."""

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

    @abstractmethod
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        """Begin a run that the body of the block drives, node by node.

        Args:
            user_prompt: What the user says; None to go on with what the history ends in.
            output_type: What the output of this run may be, in place of the agent's.
            result_type: Deprecated name of `output_type`.
            message_history: The conversation so far, oldest first.
            deferred_tool_results: Answers to calls that the run before put off; the history holds the calls.
            model: The model of this run, in place of the agent's.
            instructions: Instructions added to the agent's.
            deps: Dependencies of the run, for `RunContext.deps`.
            model_settings: Settings above those of agent and model, key by key.
            usage_limits: Limits on requests, tokens and tool calls; 50 requests if not given.
            usage: Usage to go on counting in; the object itself is changed.
            infer_name: Whether an agent without a name takes that of the caller's variable that holds it.
            toolsets: Further toolsets.
            builtin_tools: Further built-in tools.

        Returns:
            A context manager that gives the `AgentRun`.

        Raises:
            UserError: On entering, if there is no model, or an `output_type` and the agent has output validators.
        """

    @abstractmethod
    def override(
        self,
        *,
        name: str | Unset = UNSET,
        deps: AgentDepsT | Unset = UNSET,
        model: Model | str | Unset = UNSET,
        toolsets: Sequence[AbstractToolset[AgentDepsT]] | Unset = UNSET,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] | Unset = UNSET,
        instructions: Instructions[AgentDepsT] | Unset = UNSET,
    ) -> AbstractContextManager[None]:
        """Let all runs that start inside the block, in this context, use something else.

        Args:
            name: In place of the agent's name.
            deps: In place of the dependencies handed to runs.
            model: In place of the model of the agent and of runs.
            toolsets: In place of the toolsets of the agent and of runs.
            tools: In place of the tools registered with the agent.
            instructions: In place of the instructions of the agent and of runs; None: no instructions.
        """

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *args: object) -> bool | None: ...

    @overload
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[OutputDataT]: ...

    @overload
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[RunOutputDataT]: ...

    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[Any]:
        """Run to the end. Arguments as for `iter`, and a handler of events, in place of the agent's.

        The handler is called for each request and for each turn of tool calls, with the run context and an iterator
        over the events, results of tools as soon as they are there. What it leaves is taken without it.

        Returns:
            The result.

        Raises:
            UserError: As `iter`, and if the arguments do not go together.
            UnexpectedModelBehavior: If the model has used up its retries.
            UsageLimitExceeded: If a limit is exceeded.
            Exception: What the model or a tool raises.
        """
        if infer_name and self.name is None:
            self._infer_name(inspect.currentframe())
        scope = self.iter(
            user_prompt,
            output_type=renamed_output_type(output_type, result_type),
            infer_name=False,
            **options,
        )
        async with scope as agent_run:
            await run_through(agent_run, event_stream_handler or self.event_stream_handler)
        return cast('AgentRunResult[Any]', agent_run.result)  # a run that is iterated to its end has one

    @overload
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[OutputDataT]: ...

    @overload
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[RunOutputDataT]: ...

    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[Any]:
        """Run to the end from code that is not async, on an asyncio loop of this thread. Arguments as for `run`.

        Returns:
            The result.

        Raises:
            RuntimeError: If this thread runs an event loop already.
            Exception: As `run`.
        """
        if infer_name and self.name is None:
            self._infer_name(inspect.currentframe())
        output_type = renamed_output_type(output_type, result_type)
        return run_blocking(
            lambda: self.run(
                user_prompt,
                output_type=output_type,
                infer_name=False,
                **options,
                event_stream_handler=event_stream_handler,
            )
        )

    @overload
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, OutputDataT]]: ...

    @overload
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, RunOutputDataT]]: ...

    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, Any]]:
        """Run until the model begins with what may be the output, and stream that. Arguments as for `run`.

        The first output seen is the final one, as in pydantic-ai 1.38: of other tool calls beside it, none is carried
        out unless the `end_strategy` says so, and then when the stream has been received to its end. A handler of
        events gets those up to the `FinalResultEvent`.

        Returns:
            A context manager that runs when entered and gives the result. Leaving it early waits for the rest of the
            response; leaving it by an error ends the run.

        Raises:
            Exception: On entering, as `run`.
        """
        if infer_name and self.name is None:
            self._infer_name(inspect.currentframe())
        scope = self.iter(user_prompt, output_type=cast('Any', output_type), infer_name=False, **options)
        return StreamScope(scope, event_stream_handler or self.event_stream_handler)

    @overload
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> StreamedRunResultSync[AgentDepsT, OutputDataT]: ...

    @overload
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> StreamedRunResultSync[AgentDepsT, RunOutputDataT]: ...

    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> StreamedRunResultSync[AgentDepsT, Any]:
        """Do the same from code that is not async, on an asyncio loop of this thread. Arguments as for `run`.

        Returns:
            The result; its streams are plain iterators. The run is left when one of them has ended or failed, or
            `get_output` has returned.

        Raises:
            RuntimeError: If this thread runs an event loop already.
            Exception: As `run`.
        """
        if infer_name and self.name is None:
            self._infer_name(inspect.currentframe())
        scope = self.run_stream(
            user_prompt,
            output_type=cast('Any', output_type),
            infer_name=False,
            event_stream_handler=event_stream_handler,
            **options,
        )
        return wait_for_stream(scope)

    @overload
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AsyncIterator[AgentStreamEvent | AgentRunResultEvent[OutputDataT]]: ...

    @overload
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AsyncIterator[AgentStreamEvent | AgentRunResultEvent[RunOutputDataT]]: ...

    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AsyncIterator[AgentStreamEvent | AgentRunResultEvent[Any]]:
        """Run to the end and tell of everything on the way. Arguments as for `iter`.

        The run goes on only while the next event is asked for. Tool calls that run side by side are all carried out
        while the first result is waited for.

        Returns:
            An iterator over the events of all responses and tool calls, at last the `AgentRunResultEvent`. If it is
            left early, `aclose` ends the run; merely dropped, it leaves toolsets entered.

        Raises:
            Exception: While iterating, as `run`.
        """
        if infer_name and self.name is None:
            self._infer_name(inspect.currentframe())
        scope = self.iter(user_prompt, output_type=cast('Any', output_type), infer_name=False, **options)
        return RunEvents(scope)

    @staticmethod
    @contextmanager
    def sequential_tool_calls() -> Generator[None]:
        """Let tool calls run one after the other in every run inside the block."""
        with ToolManager.sequential_tool_calls():
            yield

    def _infer_name(self, frame: FrameType | None) -> None:
        """Take the name of the variable that holds this agent in the code that called `frame`.

        Its local variables are looked through first, then the global ones.
        """
        caller = frame and frame.f_back
        if caller is None:
            return
        for variables in (caller.f_locals, caller.f_globals):
            for name, value in variables.items():
                if value is self:
                    self.name = name
                    return
