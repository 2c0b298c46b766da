"""The machine, fed by hand: no loop, no model, no tool."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from agentrun._core._moves import (
    Accepted,
    AskAgain,
    BatchDone,
    Failed,
    Finish,
    Move,
    Outcome,
    Rejected,
    RunBatch,
    UseOutputTool,
    UseText,
)
from agentrun._core._state import EndStrategy, GraphAgentState
from agentrun._core._turn import At, Turn
from agentrun._outcomes import ToolDeferred
from agentrun.exceptions import ToolRetryError, UnexpectedModelBehavior, UsageLimitExceeded, UserError
from agentrun.messages import (
    BinaryContent,
    BinaryImage,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    HandleResponseEvent,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturn,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.result import FinalResult
from agentrun.settings import ModelSettings
from agentrun.tools import DeferredToolRequests, ToolDefinition
from agentrun.usage import UsageLimits

KINDS: dict[str, Any] = {
    'out': 'output',
    'fun': 'function',
    'ext': 'external',
    'una': 'unapproved',
}


@dataclass
class Output:
    """What a run's output may be."""

    allows_text: bool = True
    allows_image: bool = False
    allows_deferred_tools: bool = False
    toolset: object | None = None


@dataclass
class Run:
    """What a turn needs of a run."""

    output_schema: Output = field(default_factory=Output)
    end_strategy: EndStrategy = 'early'
    max_result_retries: int = 1
    model_settings: ModelSettings | None = None
    usage_limits: UsageLimits = field(default_factory=UsageLimits)
    state: GraphAgentState = field(default_factory=GraphAgentState)

    events: list[HandleResponseEvent] = field(default_factory=list[HandleResponseEvent])

    def turn(
        self, *parts: Any, answers: Any = None, user_prompt: Any = None, final: Any = None, **response: Any
    ) -> Turn:
        said = ModelResponse(parts=list(parts), **response)
        self.state.message_history.append(said)
        return Turn(
            said,
            state=self.state,
            rules=self,
            tool_of=tool_of,
            answers=answers,
            user_prompt=user_prompt,
            final=final,
            events=self.events,
        )

    def told(self) -> list[tuple[str, Any]]:
        """The events by kind: of a call its tool, of what answers it the content."""
        return [
            (event.event_kind, event.result.content if hasattr(event, 'result') else event.part.tool_name)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            for event in self.events
        ]


def tool_of(name: str) -> ToolDefinition | None:
    kind = KINDS.get(name.rstrip('0123456789'))
    return kind and ToolDefinition(name=name, kind=kind)


def call(name: str) -> ToolCallPart:
    return ToolCallPart(name, {}, tool_call_id=f'id-{name}')


def returned(name: str, content: str = 'ok') -> ToolReturnPart:
    return ToolReturnPart(name, content, tool_call_id=f'id-{name}')


def retry(content: str = 'no') -> Rejected:
    part = RetryPromptPart(content)
    return Rejected(part, ToolRetryError(part))


def play(turn: Turn, *outcomes: Outcome) -> list[Move]:
    """All moves of a turn that is fed these outcomes."""
    return [turn.begin(), *(turn.feed(outcome) for outcome in outcomes)]


def contents(move: Move) -> list[Any]:
    assert isinstance(move, AskAgain | Finish)
    return [cast('Any', part).content for part in move.parts]


# Text


def test_text_becomes_the_output():
    asked, end = play(Run().turn(TextPart('a'), ThinkingPart('hm'), TextPart('b')), Accepted(7))
    assert (asked, isinstance(end, Finish) and (end.result.output, end.parts)) == (UseText('ab'), (7, []))


def test_text_before_a_builtin_tool_call_is_left_out():
    assert play(Run().turn(TextPart('a'), BuiltinToolCallPart('search'), TextPart('b'))) == [UseText('b')]


def test_a_rejected_text_is_asked_for_again_with_the_reason():
    run, no = Run(), retry()
    assert play(run.turn(TextPart('a')), no)[-1] == AskAgain([no.part])
    assert run.state.retries == 1


def test_the_reason_is_the_cause_once_no_retry_is_left():
    no = retry()
    with pytest.raises(UnexpectedModelBehavior, match=r'Exceeded maximum retries \(0\)') as raised:
        play(Run(max_result_retries=0).turn(TextPart('a')), no)
    assert raised.value.__cause__ is no.error


@pytest.mark.parametrize(
    ('output', 'text'),
    [
        (Output(), 'Please return text or call a tool.'),
        (Output(toolset='tools'), 'Please return text or include your response in a tool call.'),
        (Output(allows_text=False), 'Please call a tool.'),
        (Output(allows_text=False, toolset='tools'), 'Please include your response in a tool call.'),
        (Output(allows_image=True), 'Please return text or call a tool or return an image.'),
        (Output(allows_text=False, allows_image=True), 'Please call a tool or return an image.'),
    ],
)
def test_a_response_that_only_thinks_is_told_what_it_could_have_done(output: Output, text: str):
    assert contents(play(Run(output).turn(ThinkingPart('hm')))[0]) == [text]


def test_text_that_cannot_be_the_output_is_no_output():
    assert contents(play(Run(Output(allows_text=False)).turn(TextPart('a')))[0]) == ['Please call a tool.']


# Images


def test_the_first_image_becomes_the_output_before_any_text():
    image = BinaryImage(b'1', media_type='image/png')
    files = [FilePart(BinaryContent(b'0', media_type='text/plain')), FilePart(image)]
    (end,) = play(Run(Output(allows_image=True)).turn(TextPart('a'), *files))
    assert isinstance(end, Finish)
    assert end.result.output is image


def test_an_image_that_is_not_asked_for_is_passed_over():
    assert play(Run().turn(FilePart(BinaryImage(b'1', media_type='image/png')), TextPart('a'))) == [UseText('a')]


# Silence


def test_silence_uses_the_latest_earlier_text():
    run = Run()
    for parts in (
        [TextPart('first')],
        [TextPart('x'), BuiltinToolCallPart('search'), TextPart('second')],
        [call('fun')],
    ):
        run.state.message_history += [ModelResponse(parts=parts), ModelRequest(parts=[])]
    asked, end = play(run.turn(), Accepted('done'))
    assert (asked, isinstance(end, Finish)) == (UseText('second'), True)


def test_an_earlier_text_that_is_rejected_gives_way_to_the_one_before_it():
    run = Run()
    run.state.message_history += [ModelResponse(parts=[TextPart('one')]), ModelResponse(parts=[TextPart('two')])]
    moves = play(run.turn(), retry(), retry())
    assert moves == [UseText('two'), UseText('one'), AskAgain([])]
    assert run.state.retries == 1


def test_silence_without_an_earlier_text_sends_an_empty_request():
    assert play(Run(Output(allows_text=False)).turn()) == [AskAgain([])]


@pytest.mark.parametrize(('settings', 'limit'), [(None, 'provider default'), (ModelSettings(max_tokens=9), '9')])
def test_silence_for_want_of_tokens_is_an_error(settings: ModelSettings | None, limit: str):
    with pytest.raises(UnexpectedModelBehavior, match=rf'Model token limit \({limit}\) exceeded before any response'):
        play(Run(model_settings=settings).turn(finish_reason='length'))


# Output tools


def test_an_output_tool_ends_the_run_and_closes_the_history():
    asked, end = play(Run().turn(TextPart('a'), call('out')), Accepted(7))
    assert asked == UseOutputTool(call('out'))
    assert isinstance(end, Finish)
    assert (end.result.output, end.result.tool_name, end.result.tool_call_id) == (7, 'out', 'id-out')
    assert contents(end) == ['Final result processed.']


def test_early_uses_one_output_and_skips_the_other_calls():
    end = play(Run().turn(call('fun'), call('out1'), call('ext'), call('out2'), call('una')), Accepted(1))[-1]
    assert contents(end) == [
        'Final result processed.',
        'Output tool not used - a final result was already processed.',
        'Tool not executed - a final result was already processed.',
        'Tool not executed - a final result was already processed.',
        'Tool not executed - a final result was already processed.',
    ]


def test_exhaustive_uses_every_output_keeps_the_first_and_runs_the_functions():
    run = Run(end_strategy='exhaustive')
    moves = play(
        run.turn(call('out1'), call('out2'), call('out3'), call('out4'), call('fun')),
        Accepted(1),
        Accepted(2),
        retry(),
        Failed(UnexpectedModelBehavior('spent')),
        BatchDone([(returned('fun'), None)]),
    )
    end = moves[-1]
    assert isinstance(end, Finish)
    assert (end.result.output, run.state.retries) == (1, 0)
    assert contents(end) == [
        'Final result processed.',
        'Final result processed.',
        'no',
        'Output tool not used - output failed validation.',
        'ok',
    ]


def test_a_rejected_output_tool_counts_a_retry_and_the_others_go_on():
    run = Run()
    moves = play(run.turn(call('out1'), call('fun')), retry(), BatchDone([(returned('fun'), None)]))
    assert contents(moves[-1]) == ['no', 'ok']
    assert run.state.retries == 1


def test_an_output_tool_without_retries_ends_the_run():
    spent = UnexpectedModelBehavior('spent')
    with pytest.raises(UnexpectedModelBehavior) as raised:
        play(Run().turn(call('out')), Failed(spent))
    assert raised.value is spent


def test_an_output_tool_without_retries_gives_way_to_the_limit_of_outputs():
    cause, spent = ValueError('why'), UnexpectedModelBehavior('spent')
    spent.__cause__ = cause
    with pytest.raises(UnexpectedModelBehavior, match='for output validation') as raised:
        play(Run(max_result_retries=0).turn(call('out')), Failed(spent))
    assert raised.value.__cause__ is cause


def test_deferred_calls_stay_open_when_an_output_puts_them_off():
    end = play(Run().turn(call('out'), call('ext')), Accepted(DeferredToolRequests()))[-1]
    assert contents(end) == ['Final result processed.']


# Batches


def test_functions_come_before_unknown_tools_and_tool_parts_before_prompts():
    run = Run(max_result_retries=1)
    asked, again = play(
        run.turn(call('who'), call('fun1'), call('fun2')),
        BatchDone(
            [(returned('fun1', '1'), 'see here'), (returned('fun2', '2'), None), (RetryPromptPart('unknown'), None)]
        ),
    )
    assert isinstance(asked, RunBatch)
    assert [part.tool_name for part in asked.calls] == ['fun1', 'fun2', 'who']
    assert contents(again) == ['1', '2', 'unknown', 'see here']
    assert run.state.retries == 1


def test_unknown_tools_run_beside_a_final_result_too():
    moves = play(Run().turn(call('out'), call('who')), Accepted(1), BatchDone([(RetryPromptPart('unknown'), None)]))
    assert contents(moves[-1]) == ['Final result processed.', 'unknown']


def test_a_prompt_follows_what_the_tools_say():
    again = play(Run().turn(call('fun'), user_prompt='and?'), BatchDone([(returned('fun'), ['a'])]))[-1]
    assert isinstance(again, AskAgain)
    assert [part.content for part in again.parts if isinstance(part, UserPromptPart)] == [['a'], 'and?']


def test_the_limit_of_tool_calls_is_checked_before_any_runs():
    run = Run(usage_limits=UsageLimits(tool_calls_limit=2))
    run.state.usage.tool_calls = 1
    with pytest.raises(UsageLimitExceeded, match=r'tool_calls_limit of 2 \(tool_calls=3\)'):
        run.turn(call('fun1'), call('fun2')).begin()
    assert run.state.usage.tool_calls == 1


# Deferred calls


def test_calls_of_others_end_the_run_with_a_request_for_answers():
    run = Run(Output(allows_deferred_tools=True))
    put_off = BatchDone([ToolDeferred('external', {'ticket': 1}), (returned('fun2'), None), ToolDeferred('unapproved')])
    end = play(run.turn(call('fun1'), call('fun2'), call('fun3'), call('ext'), call('una')), put_off)[-1]
    assert isinstance(end, Finish)
    assert end.result.output == DeferredToolRequests(
        calls=[call('fun1'), call('ext')],
        approvals=[call('fun3'), call('una')],
        metadata={'id-fun1': {'ticket': 1}},
    )
    assert (contents(end), end.result.tool_name) == (['ok'], None)


def test_calls_of_others_are_an_error_where_no_output_allows_them():
    with pytest.raises(UserError, match='`DeferredToolRequests` is not among output types'):
        play(Run().turn(call('ext')))


def test_answers_are_matched_with_calls_and_answered_calls_skipped():
    answer = ToolReturn('yes')
    answers = {'id-fun': 'skip', 'id-ext': answer, 'id-una': answer}
    turn = Run().turn(call('fun'), call('una'), call('ext'), answers=answers)
    asked, again = play(turn, BatchDone([(returned('ext'), None), (returned('una'), None)]))
    assert asked == RunBatch([call('ext'), call('una')], {'id-ext': answer, 'id-una': answer})
    assert contents(again) == ['ok', 'ok']


def test_answers_that_are_all_in_the_history_leave_nothing_to_run():
    assert contents(play(Run().turn(call('fun'), answers={'id-fun': 'skip'}))[-1]) == []


@pytest.mark.parametrize(
    ('answers', 'got'), [({}, 'set()'), ({'b': 'skip', 'a': 'skip'}, "{'a', 'b'}"), ({'id-ext': 'skip'}, "{'id-ext'}")]
)
def test_answers_and_calls_that_do_not_match_are_an_error(answers: dict[str, str], got: str):
    with pytest.raises(UserError) as raised:
        Run().turn(call('ext'), call('fun'), answers=answers).begin()
    assert raised.value.message == (
        'Tool call results need to be provided for all deferred tool calls. '
        f"Expected: {{'id-ext', 'id-fun'}}, got: {got}"
    )


# Order


def test_a_turn_begins_once():
    turn = Run().turn(TextPart('a'))
    turn.begin()
    with pytest.raises(RuntimeError, match='this one is at TEXT'):
        turn.begin()


@pytest.mark.parametrize(
    ('parts', 'wrong', 'at'),
    [
        ([TextPart('a')], BatchDone([]), At.TEXT),
        ([call('out')], BatchDone([]), At.OUTPUT_TOOL),
        ([call('fun')], Accepted(1), At.BATCH),
        ([ThinkingPart('a')], Accepted(1), At.OVER),
    ],
)
def test_an_outcome_that_answers_no_move_ends_the_turn_with_an_error(parts: list[Any], wrong: Outcome, at: At):
    turn = Run().turn(*parts)
    turn.begin()
    with pytest.raises(RuntimeError, match=f'at {at.name} cannot take {type(wrong).__name__}'):
        turn.feed(wrong)
    assert turn.at is At.OVER


def test_nothing_can_be_fed_before_the_beginning():
    with pytest.raises(RuntimeError, match='at UNREAD cannot take Accepted'):
        Run().turn(TextPart('a')).feed(Accepted(1))


# Events


def test_calls_of_a_batch_and_calls_put_off_are_told_when_they_are_due():
    run = Run(output_schema=Output(allows_deferred_tools=True))
    turn = run.turn(call('ext'), call('fun'), call('nobody'))
    turn.begin()
    assert run.told() == [('function_tool_call', 'fun'), ('function_tool_call', 'nobody')]
    run.events.clear()
    turn.feed(BatchDone([(returned('fun'), None), (returned('nobody'), None)]))
    assert run.told() == [('function_tool_call', 'ext')]


def test_outputs_are_told_if_they_were_refused_or_passed_over():
    run = Run(max_result_retries=2)
    play(run.turn(call('out1'), call('out2'), call('out3'), call('fun')), retry(), Accepted(2))
    assert run.told() == [
        ('function_tool_call', 'out1'),
        ('function_tool_result', 'no'),
        ('function_tool_call', 'out3'),
        ('function_tool_result', 'Output tool not used - a final result was already processed.'),
    ]


def test_an_output_that_fails_beside_another_is_told():
    run = Run(end_strategy='exhaustive')
    play(run.turn(call('out1'), call('out2')), Accepted(1), Failed(UnexpectedModelBehavior('spent')))
    assert run.told() == [
        ('function_tool_call', 'out2'),
        ('function_tool_result', 'Output tool not used - output failed validation.'),
    ]


def test_what_built_in_tools_did_is_told_first_and_without_a_warning():
    run = Run()
    did = BuiltinToolReturnPart('search', 'found', tool_call_id='id-search')
    run.turn(call('fun'), BuiltinToolCallPart('search'), did).begin()
    assert run.told() == [
        ('builtin_tool_call', 'search'),
        ('builtin_tool_result', 'found'),
        ('function_tool_call', 'fun'),
    ]


def test_nothing_is_told_where_nobody_listens():
    said = ModelResponse(parts=[BuiltinToolCallPart('search'), call('out1'), call('out2'), call('fun')])
    turn = Turn(said, state=GraphAgentState(), rules=Run(end_strategy='exhaustive'), tool_of=tool_of)
    end = play(turn, retry(), Accepted(1), BatchDone([(returned('fun'), None)]))[-1]
    assert contents(end) == ['no', 'Final result processed.', 'ok']


# A result that is known already


def test_a_result_that_is_known_closes_the_history_without_another_output():
    final = FinalResult(7, 'out1', 'id-out1')
    end = Run().turn(TextPart('a'), call('out1'), call('out2'), call('fun'), final=final).begin()
    assert isinstance(end, Finish)
    assert end.result is final
    assert contents(end) == [
        'Final result processed.',
        'Output tool not used - a final result was already processed.',
        'Tool not executed - a final result was already processed.',
    ]


def test_a_known_request_for_answers_leaves_its_calls_open():
    final = FinalResult(DeferredToolRequests(calls=[call('ext')]))
    assert Run().turn(call('ext'), final=final).begin() == Finish(final, [])
