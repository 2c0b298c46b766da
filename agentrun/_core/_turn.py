"""The machine: what becomes of a response.

A turn is one response of the model and all that is done about it, up to the next request or the end of the run. The
machine decides, and two rules hold for it: it awaits nothing and carries nothing out, and it sees the world only
through the outcomes it is fed. `begin` gives the first move; each move that asks for something is answered by `feed`,
which gives the next; a turn is over with `AskAgain` or `Finish`, or with the error it raises.

    at            fed         goes to
    UNREAD        begin       TEXT, EARLIER_TEXT, OUTPUT_TOOL, BATCH or OVER
    TEXT          Accepted    OVER: Finish
    TEXT          Rejected    OVER: AskAgain
    EARLIER_TEXT  Accepted    OVER: Finish
    EARLIER_TEXT  Rejected    EARLIER_TEXT with the text before, or OVER: AskAgain
    OUTPUT_TOOL   Accepted    OUTPUT_TOOL with the next call, BATCH or OVER
    OUTPUT_TOOL   Rejected    the same
    OUTPUT_TOOL   Failed      the same if there is a result already, else the error is raised
    BATCH         BatchDone   OVER: AskAgain or Finish

Everything else is an error, which ends the turn. Order of parts, events and all texts as in pydantic-ai 1.38.

A stream that has found its result already begins its turn with that: only what is left of the tool calls is seen to,
and the turn comes to `Finish`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, MutableSequence, Sequence
from copy import copy
from enum import IntEnum, auto
from typing import Any, ClassVar, Literal

from agentrun._agent_stream import NOT_DEFERRABLE
from agentrun._core._moves import (
    Accepted,
    Answers,
    AskAgain,
    BatchDone,
    Failed,
    Finish,
    Move,
    Outcome,
    Rejected,
    Rules,
    RunBatch,
    UseOutputTool,
    UseText,
)
from agentrun._core._state import GraphAgentState, token_limit
from agentrun._outcomes import ToolDeferred
from agentrun.exceptions import ToolRetryError, UnexpectedModelBehavior, UserError
from agentrun.messages import (
    BinaryContent,
    BinaryImage,
    BuiltinToolCallEvent,  # pyright: ignore[reportDeprecated]
    BuiltinToolCallPart,
    BuiltinToolResultEvent,  # pyright: ignore[reportDeprecated]
    BuiltinToolReturnPart,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    HandleResponseEvent,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from agentrun.result import FinalResult
from agentrun.tools import DeferredToolRequests, DeferredToolResult, ToolDefinition

__all__ = ('At', 'Turn')

_PUT_OFF: tuple[Literal['external'], Literal['unapproved']] = ('external', 'unapproved')
"""Kinds of tools that somebody else answers for, in the order of their parts."""


class At(IntEnum):  # of int, for the table asks for its hash at each move
    """Where a turn is: what it waits for."""

    UNREAD = auto()
    TEXT = auto()
    EARLIER_TEXT = auto()
    OUTPUT_TOOL = auto()
    BATCH = auto()
    OVER = auto()


# To be had for a tenth of what it costs to look a member up in its class: each turn asks several times.
_UNREAD, _TEXT, _EARLIER_TEXT, _OUTPUT_TOOL, _BATCH, _OVER = At


class Turn:
    """One response and what is done about it.

    Args:
        response: The response.
        state: State of the run. The machine reads its history and usage, and counts retries in it.
        rules: What holds for the run.
        tool_of: Gives the definition of a tool by name; None if there is no such tool.
        answers: Results handed to the run for these calls; None if the run is not the continuation of one put off.
        user_prompt: A prompt to send along with the tool returns.
        final: The result, if it is known already.
        events: Where to tell of calls and of what answers them, in order, but for what comes of a batch; None: nowhere.
    """

    def __init__(
        self,
        response: ModelResponse,
        *,
        state: GraphAgentState,
        rules: Rules,
        tool_of: Callable[[str], ToolDefinition | None],
        answers: Answers | None = None,
        user_prompt: str | Sequence[UserContent] | None = None,
        final: FinalResult[Any] | None = None,
        events: MutableSequence[HandleResponseEvent] | None = None,
    ) -> None:
        self.at: At = _UNREAD
        self._response = response
        self._state = state
        self._rules = rules
        self._tool_of = tool_of
        self._answers = answers
        self._user_prompt = user_prompt
        self._calls: dict[str, list[ToolCallPart]] = {}
        self._earlier: Iterator[str]
        self._outputs: Iterator[ToolCallPart]
        self._call: ToolCallPart
        self._batch: Sequence[ToolCallPart]
        self._parts: list[ModelRequestPart] = []
        self._final = final
        self._events = events

    # The interface

    def begin(self) -> Move:
        """Read the response. Next: `feed`, unless the turn is over.

        Raises:
            UnexpectedModelBehavior: If nothing can be made of the response and no retry is left.
            UsageLimitExceeded: If its calls are too many.
            UserError: If its calls and the results handed in do not fit, or calls would be put off and must not.
        """
        if self.at is not _UNREAD:
            raise RuntimeError(f'A turn begins once; this one is at {self.at.name}.')
        self.at = _OVER
        return self._read() if self._final is None else self._read_calls(self._response.tool_calls)

    def feed(self, outcome: Outcome) -> Move:
        """Answer the last move. Next: `feed` again, unless the turn is over.

        Raises:
            RuntimeError: If the outcome is no answer to the last move.
            Exception: As `begin`.
        """
        take = self._TABLE.get((self.at, type(outcome)))
        at, self.at = self.at, _OVER
        if take is None:
            raise RuntimeError(f'A turn at {at.name} cannot take {type(outcome).__name__}.')
        return take(self, outcome)

    # Reading

    def _read(self) -> Move:
        if not self._response.parts:
            return self._read_nothing()
        text = ''
        calls: list[ToolCallPart] = []
        files: list[BinaryContent] = []
        for part in self._response.parts:
            if isinstance(part, TextPart):
                text += part.content
            elif isinstance(part, ToolCallPart):
                calls.append(part)
            elif isinstance(part, FilePart):
                files.append(part.content)
            elif isinstance(part, BuiltinToolCallPart):
                text = ''  # what was said before a built-in tool ran is thought, not output
        if self._events is not None:
            self._events.extend(_events_of_builtin_tools(self._response))
        if calls:
            return self._read_calls(calls)
        image = next((file for file in files if isinstance(file, BinaryImage)), None)
        if image is not None and self._rules.output_schema.allows_image:
            return Finish(FinalResult(image), [])
        if text and self._rules.output_schema.allows_text:
            self.at = _TEXT
            return UseText(text)
        part = RetryPromptPart(content=f'Please {" or ".join(self._alternatives())}.')
        return self._reject(Rejected(part, ToolRetryError(part)))

    def _alternatives(self) -> list[str]:
        """Say what the model could have done, in 1.38's order."""
        rules = self._rules.output_schema
        said = ['return text'] if rules.allows_text else []
        said.append('include your response in a tool call' if rules.toolset else 'call a tool')
        return [*said, 'return an image'] if rules.allows_image else said

    def _read_nothing(self) -> Move:
        """Some models say nothing once they have said it all beside a tool call: look for that text."""
        if self._response.finish_reason == 'length':
            raise UnexpectedModelBehavior(
                f'Model token limit ({token_limit(self._rules.model_settings)}) exceeded before any response was '
                f'generated. Increase the `max_tokens` model setting, or simplify the prompt to result in a shorter '
                f'response that will fit within the limit.'
            )
        self._earlier = _texts_backwards(self._state) if self._rules.output_schema.allows_text else iter(())
        return self._next_earlier_text()

    def _next_earlier_text(self) -> Move:
        text = next(self._earlier, None)
        if text is not None:
            self.at = _EARLIER_TEXT
            return UseText(text)
        self._count_retry()
        return AskAgain([])

    def _read_calls(self, calls: list[ToolCallPart]) -> Move:
        found = self._calls
        for call in calls:
            tool = self._tool_of(call.tool_name)
            found.setdefault('unknown' if tool is None else tool.kind, []).append(call)
        if 'output' in found:
            self._outputs = iter(found['output'])
            return self._next_output_tool()
        return self._run_tools()

    # Text

    def _accept(self, outcome: Accepted) -> Move:
        return Finish(FinalResult(outcome.output), [])

    def _reject(self, outcome: Rejected) -> Move:
        self._count_retry(outcome.error)
        return AskAgain([outcome.part])

    def _reject_earlier(self, _outcome: Rejected) -> Move:
        return self._next_earlier_text()

    # Output tools

    def _next_output_tool(self) -> Move:
        for call in self._outputs:
            if self._final is not None and self._final.tool_call_id == call.tool_call_id:
                self._return(call, 'Final result processed.')
                continue
            if self._final is None or self._rules.end_strategy == 'exhaustive':
                self._call = call
                self.at = _OUTPUT_TOOL
                return UseOutputTool(call)
            self._tell_of(call, self._return(call, 'Output tool not used - a final result was already processed.'))
        return self._run_tools()

    def _accept_tool(self, outcome: Accepted) -> Move:
        call = self._call
        self._return(call, 'Final result processed.')
        if self._final is None:
            self._final = FinalResult(outcome.output, call.tool_name, call.tool_call_id)
        return self._next_output_tool()

    def _reject_tool(self, outcome: Rejected) -> Move:
        if self._final is None:
            self._count_retry(outcome.error)
        self._parts.append(outcome.part)
        self._tell_of(self._call, outcome.part)
        return self._next_output_tool()

    def _fail_tool(self, outcome: Failed) -> Move:
        if self._final is None:
            self._count_retry(outcome.error)
            raise outcome.error
        self._tell_of(self._call, self._return(self._call, 'Output tool not used - output failed validation.'))
        return self._next_output_tool()

    # Function tools, and what is left

    def _run_tools(self) -> Move:
        batch = [*self._calls.get('function', ())]
        if self._final is not None and self._rules.end_strategy == 'early':
            for call in batch:
                self._return(call, 'Tool not executed - a final result was already processed.')
            batch = []
        if unknown := self._calls.get('unknown'):
            self._count_retry()
            batch += unknown
        answers: dict[str, DeferredToolResult] = {}
        if self._answers is not None:
            batch += [call for kind in _PUT_OFF for call in self._calls.get(kind, ())]
            answers = _matching_answers(batch, self._answers)
            batch = [call for call in batch if call.tool_call_id in answers]
        if not batch:
            return self._close([])
        self._check_limit(len(batch))
        if self._events is not None:
            self._tell_of_calls(batch)
        self._batch = batch
        self.at = _BATCH
        return RunBatch(batch, answers)

    def _check_limit(self, calls: int) -> None:
        if self._rules.usage_limits.tool_calls_limit is None:
            return
        projected = copy(self._state.usage)
        projected.tool_calls += calls
        self._rules.usage_limits.check_before_tool_call(projected)

    def _take_batch(self, outcome: BatchDone) -> Move:
        """Tool parts come first, in call order, then what the tools have to say as the user."""
        prompts: list[ModelRequestPart] = []
        deferred: list[tuple[ToolCallPart, ToolDeferred]] = []
        for call, settled in zip(self._batch, outcome.settled, strict=True):
            if isinstance(settled, ToolDeferred):
                deferred.append((call, settled))
                continue
            part, content = settled
            self._parts.append(part)
            if content:
                prompts.append(UserPromptPart(content=content))
        self._parts += prompts
        return self._close(deferred)

    def _close(self, deferred: list[tuple[ToolCallPart, ToolDeferred]]) -> Move:
        if self._answers is None:
            found = self._calls
            left: list[tuple[ToolCallPart, ToolDeferred]] = []
            if 'external' in found or 'unapproved' in found:
                left = [(call, ToolDeferred(kind)) for kind in _PUT_OFF for call in found.get(kind, ())]
            if not left:
                pass
            elif self._final is None:
                deferred = deferred + left
                self._tell_of_calls(call for call, _ in left)
            elif not isinstance(self._final.output, DeferredToolRequests):
                for call, _ in left:
                    self._return(call, 'Tool not executed - a final result was already processed.')
        if self._final is None and deferred:
            self._final = FinalResult(self._put_off(deferred))
        if self._final is not None:
            return Finish(self._final, self._parts)
        if self._user_prompt is not None:
            self._parts.append(UserPromptPart(self._user_prompt))
        return AskAgain(self._parts)

    def _put_off(self, deferred: list[tuple[ToolCallPart, ToolDeferred]]) -> DeferredToolRequests:
        if not self._rules.output_schema.allows_deferred_tools:
            raise UserError(NOT_DEFERRABLE)
        return DeferredToolRequests(
            calls=[call for call, put_off in deferred if put_off.kind == 'external'],
            approvals=[call for call, put_off in deferred if put_off.kind == 'unapproved'],
            metadata={
                call.tool_call_id: put_off.metadata for call, put_off in deferred if put_off.metadata is not None
            },
        )

    # Helpers

    def _return(self, call: ToolCallPart, text: str) -> ToolReturnPart:
        part = ToolReturnPart(tool_name=call.tool_name, content=text, tool_call_id=call.tool_call_id)
        self._parts.append(part)
        return part

    def _tell_of(self, call: ToolCallPart, part: ToolReturnPart | RetryPromptPart) -> None:
        if self._events is not None:
            self._events.extend((FunctionToolCallEvent(call), FunctionToolResultEvent(part)))

    def _tell_of_calls(self, calls: Iterable[ToolCallPart]) -> None:
        if self._events is not None:
            self._events.extend(map(FunctionToolCallEvent, calls))

    def _count_retry(self, error: Exception | None = None) -> None:
        rules = self._rules
        self._state.increment_retries(rules.max_result_retries, error=error, model_settings=rules.model_settings)

    _TABLE: ClassVar[dict[tuple[At, type[Any]], Callable[[Turn, Any], Move]]] = {
        (At.TEXT, Accepted): _accept,
        (At.TEXT, Rejected): _reject,
        (At.EARLIER_TEXT, Accepted): _accept,
        (At.EARLIER_TEXT, Rejected): _reject_earlier,
        (At.OUTPUT_TOOL, Accepted): _accept_tool,
        (At.OUTPUT_TOOL, Rejected): _reject_tool,
        (At.OUTPUT_TOOL, Failed): _fail_tool,
        (At.BATCH, BatchDone): _take_batch,
    }


def _events_of_builtin_tools(response: ModelResponse) -> list[HandleResponseEvent]:
    """List what pydantic-ai 1.38 still tells of them, without the warning that these events are deprecated."""
    parts = [part for part in response.parts if isinstance(part, BuiltinToolCallPart | BuiltinToolReturnPart)]
    if not parts:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        return [
            BuiltinToolCallEvent(part)  # pyright: ignore[reportDeprecated]
            if isinstance(part, BuiltinToolCallPart)
            else BuiltinToolResultEvent(part)  # pyright: ignore[reportDeprecated]
            for part in parts
        ]


def _texts_backwards(state: GraphAgentState) -> Iterator[str]:
    """Yield what earlier responses say after their last built-in tool call, latest first, silent ones left out."""
    for message in reversed(state.message_history):
        if not isinstance(message, ModelResponse):
            continue
        text = ''
        for part in message.parts:
            if isinstance(part, TextPart):
                text += part.content
            elif isinstance(part, BuiltinToolCallPart):
                text = ''
        if text:
            yield text


def _matching_answers(calls: Sequence[ToolCallPart], answers: Answers) -> dict[str, DeferredToolResult]:
    """Return the answers that are not 'skip', after a look at whether there is one for each call and no more.

    Raises:
        UserError: If calls and answers differ.
    """
    expected = {call.tool_call_id for call in calls}
    if expected != set(answers):
        raise UserError(
            'Tool call results need to be provided for all deferred tool calls. '
            f'Expected: {_listed(expected)}, got: {_listed(answers)}'
        )
    return {call_id: answer for call_id, answer in answers.items() if answer != 'skip'}


def _listed(ids: Collection[str]) -> str:
    """Write a set as Python does, but sorted: the same text in every process."""
    return f'{{{", ".join(map(repr, sorted(ids)))}}}' if ids else 'set()'
