"""Plays a recording through the core with a stand-in agent.

Nothing is compared here. The run is given outcomes until it ends, fails, or asks for something that the recording does
not have; how far it came and what messages it made is the answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, NoReturn, cast

from pydantic import TypeAdapter

from agentrun import End, UsageLimits
from agentrun._ambient import Source
from agentrun._core._nodes import CallToolsNode
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart, ToolBatch, ToolWork, install
from agentrun._outcomes import ToolDeferred, ToolOutcome, ToolRetried
from agentrun.agent._streams import StreamScope
from agentrun.direct import model_request
from agentrun.exceptions import ModelRetry
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.models._base import StreamedResponse
from agentrun.run import AgentRun
from agentrun.tools import DeferredToolResults, ToolApproved, ToolDenied
from agentrun.usage import RequestUsage
from replay.adapters._protocol import Played
from replay.adapters.agentrun._calls import calls_of_response
from replay.adapters.agentrun._errors import rebuilt
from replay.adapters.agentrun._readings import source_of
from replay.adapters.agentrun._standin import Verdict, agent_of
from replay.adapters.agentrun._streaming import ReplayedStreaming
from replay.adapters.agentrun._wire import (
    message_json,
    messages_bytes,
    restored_messages,
    restored_outcome,
    restored_prompt,
    restored_response,
)
from replay.calls import arrivals, caller, calls_of, following, places, results_of
from replay.canon import JsonObject
from replay.cassette import CUT, Node, Raised, Run, ToolResult
from replay.effects import Answered, Cut
from replay.script import (
    Limits,
    Script,
    instructions_of,
    is_edited,
    limits_of,
    script_of,
    verdict_on_call,
    verdict_on_text,
)
from replay.streams import response_to


async def play(run: Run) -> Played:
    """Play a recording.

    Raises:
        NotSupported: If the run is of a kind that cannot be played.
    """
    script = script_of(run)
    player = _Player(run, script)
    go = _direct(script) if _is_direct(run) else _agent_run(run, script, player)
    error: Exception | None = None
    with install(player):
        try:
            await go()
        except _OutOfScript as stop:
            player.missing = stop.what
        except Exception as raised:  # noqa: BLE001, how the run failed is the answer
            error = raised
    return Played(
        messages=player.messages,
        new_from=player.new_from,
        nodes=tuple(player.kinds),
        error=None if error is None else (type(error).__name__, str(error)),
        missing=player.missing,
    )


def _agent_run(run: Run, script: Script, player: '_Player') -> Callable[[], Awaitable[object]]:
    """Make ready a run of a stand-in agent. What cannot be restored is raised here: it is no error of the run."""
    edits = [player.edited] if is_edited(run) else []
    agent = agent_of(script, instructions=player.instructions, judge=player.judge, name=run.agent, processors=edits)
    scope = agent.iter(
        None if script.prompt is None else restored_prompt(script.prompt),
        message_history=restored_messages(script.history) or None,
        deferred_tool_results=_deferred(script.deferred),
        usage_limits=_usage_limits(script),
    )

    async def go() -> None:
        if script.streamed_end:
            async with StreamScope(scope, None) as result:
                await result.get_output()
        else:
            async with scope as started:
                await _drive(started)

    return go


def _direct(script: Script) -> Callable[[], Awaitable[object]]:
    """Make ready a request without an agent; the player answers, so that any model will do."""
    return partial(model_request, 'test', restored_messages(script.history))


def _is_direct(run: Run) -> bool:
    """Whether a run is a request without an agent: one node, whose request was handed in as it stands."""
    return [(node.kind, node.from_history) for node in run.nodes] == [('ModelRequestNode', True)]


async def _drive(run: AgentRun[None, Any]) -> None:
    """Run node after node."""
    node: Any = run.next_node
    while not isinstance(node, End):
        node = await run.next(node)


class _OutOfScript(Exception):  # noqa: N818, it ends the play, and is no fault
    """The run went on where the recording has nothing for it."""

    def __init__(self, what: str | None) -> None:
        super().__init__(what)
        self.what = what


class _Player:
    """Handler of the run that is played: gives it what the recording has."""

    def __init__(self, run: Run, script: Script) -> None:
        self.source: Source = source_of(run, run.name)
        self.kinds: list[str] = []
        self.messages = b'[]'
        self.new_from = 0
        self.missing: str | None = None
        self._run = run
        self._script = script
        self._asked = 0
        self._used: list[RequestUsage] = []
        self._node = Node(kind='')
        self._response: ModelResponse | None = None

    # -- what the stand-in agent asks

    def instructions(self) -> str | None:
        """Instructions of the next request."""
        failure = self._node.raised
        if failure is not None and not _is_of_the_core(failure):
            raise rebuilt(_named(failure))
        if self._node.kind == 'UserPromptNode' and self._cancelled:  # before there was a request
            raise _OutOfScript(None)
        self._asked += 1
        return instructions_of(self._run, self._asked - 1)

    def judge(self, call_id: str | None) -> Verdict:
        """Verdict on an output of the node that runs."""
        failure = self._node.raised
        if failure is not None and not _is_of_the_core(failure):
            raise rebuilt(_named(failure))
        if failure is not None:
            return 'no try was left for another output'
        if call_id is not None:
            return verdict_on_call(self._later, call_id)
        return verdict_on_text(self._later)

    async def edited(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        """The messages of the next request, changed as code of the run changed them."""
        edit = cast('Any', self._node.facts.get('history_edit'))
        if edit is None:
            return messages
        at, drop = edit['at'], edit['drop']
        return [*messages[:at], *restored_messages(edit['insert']), *messages[at + drop :]]

    # -- what the run asks

    def start(self, run: RunStart) -> RunHandler | None:  # noqa: ARG002, there is only one
        return self

    def node(self, node: object) -> None:
        recorded = self._run.nodes
        at = len(self.kinds)
        left = not recorded or (recorded[-1].kind != 'End' and recorded[-1].raised is None)
        if at == len(recorded) and left:
            raise _OutOfScript(None)  # the recorded run was left here, too
        self.kinds.append(type(node).__name__)
        if at >= len(recorded) or recorded[at].kind != self.kinds[-1]:
            raise _OutOfScript(None)
        self._node = recorded[at]
        if isinstance(node, CallToolsNode):
            self._response = node.model_response

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:  # noqa: ARG002
        return self._answer()

    def _answer(self) -> ModelResponse:
        response = response_to(self._node, self._later)
        failure = self._node.raised
        if 'response' in self._node.facts and failure is not None and not _is_of_the_core(failure):
            raise rebuilt(_named(failure))  # code of the user's did not take the answer
        if response is not None:
            answer = restored_response(response)
        elif self._node.raised is None and self._cancelled:
            raise _OutOfScript(None)
        elif self._node.raised is None:
            raise _OutOfScript('an answer of the model')
        elif _is_of_the_core(self._node.raised) and limits_of(self._node.raised) != _NO_LIMITS:
            answer = self._exceeding()
        else:
            raise rebuilt(_named(self._node.raised))
        self._used.append(answer.usage)
        return answer

    def stream(self, call: ModelCall, do: object) -> AbstractAsyncContextManager[StreamedResponse]:  # noqa: ARG002
        self._response = self._answer()
        answered = Answered(message=message_json(self._response), stream=self._node.stream)
        return ReplayedStreaming(answered, call.parameters, _left)

    async def count_tokens(self, call: ModelCall, do: Callable[[], Awaitable[RequestUsage]]) -> RequestUsage:  # noqa: ARG002
        if self._node.counted is None and self._node.definition is None and self._node.cut:
            raise _OutOfScript(None)
        if self._node.counted is not None:
            return TypeAdapter(RequestUsage).validate_python(self._node.counted)
        return self._rest_of_limit() if self._node.raised is not None else RequestUsage()

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        response = calls_of_response(self._response)
        node, later = caller(self._node, self._later)
        message = following(later)
        imported = bool(self._run.facts.get('imported'))
        results = results_of(response, node, message, imported=imported)
        where = _places(response, batch)
        if self._node.cut:
            self._feed_cut(batch, work, where, results)
        finished = node.finished or (arrivals(response, message) if imported else sorted(where))
        order = {place: rank for rank, place in enumerate(finished)}
        failure: Raised | None = None
        for index in sorted(range(len(where)), key=lambda index: order.get(where[index], len(order))):
            result = results.get(where[index])
            failure = result.raised if result is not None and result.raised is not None else failure
            if result is None or result.raised is None:
                work.arrived(index, work.check(index) or self._outcome(result, batch.calls[index].tool_name))
        if failure is not None:
            raise rebuilt(failure)

    def _feed_cut(
        self, batch: ToolBatch, work: ToolWork, where: Sequence[int], results: Mapping[int, ToolResult]
    ) -> NoReturn:
        """Let those calls arrive that ended before the batch was cancelled."""
        for place in sorted(results) if self._node.finished is None else self._node.finished:
            index = where.index(place)
            work.arrived(index, work.check(index) or self._outcome(results[place], batch.calls[index].tool_name))
        raise _OutOfScript(None) if self._node.raised is None else rebuilt(_named(self._node.raised))

    def finished(self, end: RunEnd) -> None:
        self.messages = messages_bytes(end.messages)
        self.new_from = end.new_from

    # -- private

    @property
    def _cancelled(self) -> bool:
        """Whether the recorded run was cancelled at the node that runs."""
        return self._node.cut or (not self._later and self._run.facts.get('interrupted') == CUT)

    @property
    def _later(self) -> tuple[Node, ...]:
        return self._run.nodes[len(self.kinds) :]

    def _outcome(self, result: ToolResult | None, name: str) -> ToolOutcome:
        if result is not None:
            return restored_outcome(result)
        failure = self._node.raised
        if failure is not None and not _is_of_the_core(failure):
            raise rebuilt(_named(failure))
        if failure is not None and failure.message.startswith(f'Tool {name!r} exceeded'):
            return ToolRetried('the last try failed, too')
        if self._script.allows_deferred and self._later and self._later[0].kind == 'End':
            return ToolDeferred('external')
        raise _OutOfScript(f'what came of the call of {name!r}')

    def _exceeding(self) -> ModelResponse:
        """A response that used so much that the run ended; it is in no history, so only its usage is known."""
        return ModelResponse(parts=[], usage=self._rest_of_limit())

    def _rest_of_limit(self) -> RequestUsage:
        limits = self._script.limits
        if limits.counted is None or limits.counted_as is None:
            return RequestUsage()
        kinds = ('input_tokens', 'output_tokens') if limits.counted_as == 'total_tokens' else (limits.counted_as,)
        used = sum(getattr(usage, kind) for usage in self._used for kind in kinds)
        return RequestUsage(**cast('dict[str, Any]', {kinds[0]: limits.counted - used}))


async def _left(_cut: Cut) -> NoReturn:
    raise _OutOfScript('the rest of a stream')


_NO_LIMITS = Limits(usage={})


def _is_of_the_core(raised: Raised) -> bool:
    """Whether an error is one that the core raises by itself, from limits and retries."""
    name = raised.type.rpartition('.')[2]
    if name == 'UnexpectedModelBehavior':
        return raised.message.startswith(('Exceeded maximum retries (', 'Tool ', 'Model token limit ('))
    return name in {'UsageLimitExceeded', 'IncompleteToolCall', 'UserError'}


def _named(raised: Raised) -> Raised:
    """An error of an imported history, known by its bare name, as one of this library if it has such a class."""
    if '.' in raised.type or raised.bases:
        return raised
    bases = (f'agentrun.exceptions.{raised.type}',)
    return Raised(type=f'agentrun.exceptions.{raised.type}', bases=bases, message=raised.message, args=raised.args)


def _places(response: JsonObject, batch: ToolBatch) -> list[int]:
    named: list[JsonObject] = [{'tool_name': c.tool_name, 'tool_call_id': c.tool_call_id} for c in batch.calls]
    return places(calls_of(response), named)


def _usage_limits(script: Script) -> UsageLimits:
    limits: dict[str, Any] = {'request_limit': None, **script.limits.usage}
    return UsageLimits(**limits, count_tokens_before_request=script.limits.before and script.limits.counted is not None)


def _deferred(results: JsonObject | None) -> DeferredToolResults | None:
    if results is None:
        return None
    approvals = cast('JsonObject', results.get('approvals') or {})
    calls = cast('JsonObject', results.get('calls') or {})
    return DeferredToolResults(
        calls={call_id: _result(result) for call_id, result in calls.items()},
        approvals={call_id: _approval(approval) for call_id, approval in approvals.items()},
    )


def _result(result: Any) -> Any:
    facts = cast('dict[str, Any]', result) if isinstance(result, dict) else {}
    return ModelRetry(facts['message']) if facts.get('kind') == 'model-retry' else cast('Any', result)


def _approval(approval: Any) -> Any:
    if isinstance(approval, dict):
        facts = cast('dict[str, Any]', approval)
        if facts.get('kind') == 'tool-denied':
            return ToolDenied(message=facts['message'])
        return ToolApproved(override_args=facts.get('override_args'))
    return approval
