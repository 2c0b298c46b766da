"""What a recording may tell a stand-in agent: the part of an agent that a run without its code has to be given.

Prompts and instruction texts, outcomes of models and tools, verdicts of validations, names of tools, limits that an
error names. Nothing here says in which order parts stand, what fixed texts are, when a request is repeated or closed,
or when a run ends: all that has to come from the core that plays, or a check would find nothing.
"""

import re
from ast import literal_eval
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from .calls import calls_of, following, parts_of
from .canon import Json, JsonObject
from .cassette import CUT, Node, Raised, Run
from .errors import NotSupported, Where

_UNKNOWN = re.compile(r"Unknown tool name: '.*'\. Available tools: (?P<names>'.*')")
_FINAL = 'Final result processed.'
_FAILED = 'Output tool not used - output failed validation.'
CHANGED = 'a run whose history its own code changed'
"""A run that cannot be played if more than the recorded edits was changed."""
_MANY = 1_000_000
"""More retries than any recording has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a run, read from the error that names them; without one there are none."""

    usage: Mapping[str, int]
    """Usage limits by name."""
    counted: int | None = None
    """Tokens of the request or response that exceeded a limit, all before it included."""
    counted_as: str | None = None
    """What they are counted as: `input_tokens`, `output_tokens`, `total_tokens`."""
    before: bool = False
    """Whether they were counted before the request."""
    output_retries: int = _MANY
    tool_retries: Mapping[str, int] | None = None
    """Retries of tools by name; tools that are not named may always try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A stand-in agent, and what its run is handed."""

    prompt: Json
    """Content of the user prompt; None if there is none."""
    system: tuple[tuple[str, str | None], ...]
    """System prompts, each with its dynamic reference if it has one."""
    history: tuple[JsonObject, ...]
    deferred: JsonObject | None
    """Results handed in for calls of the history."""
    mode: str
    output_tools: tuple[str, ...]
    function_tools: tuple[str, ...]
    tool_kinds: Mapping[str, str]
    """Kinds of those that are no usual functions: they wait for an approval, or for somebody else's answer."""
    allows_text: bool
    allows_image: bool
    allows_deferred: bool
    end_strategy: str
    streamed_end: bool
    """Whether the run ended as `run_stream` ends one: its last response is the result, and no node takes it."""
    limits: Limits


def script_of(run: Run) -> Script:
    """Read off a recording what its agent was and what the run was handed.

    Raises:
        NotSupported: If the run is of a kind that cannot be played, by name.
    """
    _refuse(run)
    opening = _opening(run)
    deferred = cast('JsonObject | None', run.nodes[0].facts.get('deferred_tool_results')) if run.nodes else None
    output = _output_facts(run)
    output_tools = _output_tools(run, output)
    mode = cast('str', run.facts.get('output_mode') or output.get('mode') or ('tool' if output_tools else 'text'))
    if not output_tools and mode in {'auto', 'tool'}:
        output_tools = ('final_result',)
    return Script(
        prompt=_prompt(run, opening, deferred),
        system=tuple(
            (cast('str', part['content']), cast('str | None', part['dynamic_ref']))
            for part in parts_of(opening)
            if part['part_kind'] == 'system-prompt'
        ),
        history=run.history,
        deferred=deferred,
        mode=mode,
        output_tools=output_tools,
        function_tools=_function_tools(run, output_tools),
        tool_kinds=_tool_kinds(run),
        allows_text=bool(output.get('allow_text', _allows_text(run, mode))),
        allows_image=bool(output.get('allow_image', mode == 'image' or _ends_in_image(run))),
        allows_deferred=_ends_unanswered(run),
        end_strategy=cast('str', run.facts.get('end_strategy', 'early')),
        streamed_end=any(node.kind == 'SetFinalResult' for node in run.nodes),
        limits=_limits(run),
    )


def is_edited(run: Run) -> bool:
    """Whether code of the run changed on the way what the model is sent, as history processors do."""
    return any('history_edit' in node.facts for node in run.nodes)


def instructions_of(run: Run, request: int) -> str | None:
    """Instructions of a request, counted from 0; None after the last.

    A run that goes on with a response of its history asks for instructions before anything else; that it went on shows
    that there were none.
    """
    asked = [node.message for node in run.nodes if node.kind == 'ModelRequestNode' and node.message]
    resumed = len(run.nodes) > 1 and run.nodes[1].kind == 'CallToolsNode'
    place = request - resumed
    return cast('str | None', asked[place]['instructions']) if 0 <= place < len(asked) else None


def verdict_on_call(later: Sequence[Node], call_id: str) -> JsonObject | str | None:
    """Why an output tool's call was rejected: the retry part, or a text; None if it was accepted."""
    for part in parts_of(following(later)):
        if part.get('tool_call_id') != call_id:
            continue
        if part['part_kind'] == 'retry-prompt':
            return part
        if part['part_kind'] == 'tool-return' and part['content'] == _FAILED:
            return _FAILED
    return None


def verdict_on_text(later: Sequence[Node]) -> JsonObject | str | None:
    """Why a text was rejected as the output: the retry part, or a text; None if it was accepted."""
    if not later or later[0].kind != 'ModelRequestNode':
        return None
    retries = [part for part in parts_of(later[0].message) if part['part_kind'] == 'retry-prompt']
    answer = next((part for part in retries if part['tool_name'] is None), None)
    if answer is not None:
        return answer
    return None if parts_of(later[0].message) else 'an earlier text that was no output'


def _limits(run: Run) -> Limits:
    """Limits that the error names; if an output tool had no try left beside another one, the tries that it had."""
    limits = limits_of(run.nodes[-1].raised if run.nodes else None)
    tries = 0
    for message in run.new_messages:
        parts = parts_of(message)
        if any(part.get('content') == _FAILED for part in parts):
            return replace(limits, output_retries=tries)
        if message['kind'] == 'request':
            tries = tries + 1 if any(part['part_kind'] == 'retry-prompt' for part in parts) else 0
    return limits


def limits_of(raised: Raised | None) -> Limits:
    """Read the limits of a run off the error that it ended in."""
    text = raised.message if raised else ''
    for pattern, before in _USAGE_LIMITS:
        match = re.fullmatch(pattern, text)
        if match is not None:
            facts = match.groupdict()
            value = facts.get('value')
            return Limits(
                usage={facts['limit']: int(facts['most'])},
                counted=None if value is None else int(value),
                counted_as=facts.get('name'),
                before=before,
            )
    match = re.fullmatch(r'Exceeded maximum retries \((\d{1,18})\) for output validation', text)
    if match is not None:
        return Limits(usage={}, output_retries=int(match[1]))
    match = re.fullmatch(r"Tool '(.*)' exceeded max retries count of (\d{1,18})", text)
    return Limits(usage={}, tool_retries={match[1]: int(match[2])} if match else None)


_LIMIT = r'(?P<limit>(?:request|tool_calls|(?:input|output|total)_tokens)_limit) of (?P<most>\d{1,18})'
"""A limit and how much it is: names and numbers that there are, for the text may be anybody's."""

_COUNTED = r'\((?P<name>(?:input|output|total)_tokens)=(?P<value>\d{1,18})\)'

_USAGE_LIMITS = (
    (rf'The next request would exceed the {_LIMIT}( {_COUNTED})?', True),
    (rf'Exceeded the {_LIMIT} {_COUNTED}', False),
    (rf'The next tool call\(s\) would exceed the {_LIMIT} \(tool_calls=\d+\)\.', False),
)


def _refuse(run: Run) -> None:
    if 'messages' in run.facts and not is_edited(run):
        raise _not_supported(run, CHANGED)
    if run.facts.get('interrupted', CUT) != CUT:  # one that was cancelled is played up to there
        raise _not_supported(run, 'a run that was stopped from outside')
    if any(map(_is_steered, run.nodes[:-1])):
        raise _not_supported(run, 'a run whose nodes its own code changed')


def _is_steered(node: Node) -> bool:
    """Whether code put a node, not the last, aside with its answer, ran it again, or added a prompt to its request."""
    if node.kind != 'ModelRequestNode' or node.raised is not None:
        return False
    kinds = [part['part_kind'] for part in parts_of(node.message)]
    prompted = kinds.count('user-prompt') > 1 and 'tool-return' not in kinds
    return prompted or bool(node.then) or 'response' in node.facts or node.message is None


def _not_supported(run: Run, what: str) -> NotSupported:
    return NotSupported(
        f'{what} cannot be played without that code',
        expected='a run whose messages follow from prompts and outcomes',
        got=what,
        where=Where(run=run.name),
        next=('play it with its own agent, in its test',),
    )


def _opening(run: Run) -> JsonObject | None:
    """The request that a prompt made: the first node's after the `UserPromptNode`, unless it was in the history."""
    if len(run.nodes) < 2 or run.nodes[1].kind != 'ModelRequestNode' or run.nodes[1].from_history:
        return None
    return run.nodes[1].message


def _prompt(run: Run, opening: JsonObject | None, deferred: JsonObject | None) -> Json:
    if deferred is not None:  # the prompt comes along behind the results
        opening = next((node.message for node in run.nodes if node.kind == 'ModelRequestNode'), None)
    contents = [part['content'] for part in parts_of(opening) if part['part_kind'] == 'user-prompt']
    return contents[-1] if contents else None


def _output_facts(run: Run) -> JsonObject:
    """What the recorded requests say of the output; nothing is known of imported ones."""
    known = next((node.definition for node in run.nodes if node.definition is not None), None)
    return {} if known is None else {'mode': 'text', 'allow_text': True, 'allow_image': False, **(known.output or {})}


def _output_tools(run: Run, output: JsonObject) -> tuple[str, ...]:
    defined = cast('Mapping[str, Json]', output.get('tools') or {})
    named = cast('str | None', run.facts.get('output_tool'))
    if defined or named is not None:
        return tuple(defined) or (cast('str', named),)
    final = [part for message in run.new_messages for part in parts_of(message) if part.get('content') == _FINAL]
    return tuple(dict.fromkeys(_tool_names(final)))


def _tool_names(parts: Iterable[JsonObject]) -> Iterator[str]:
    """Names that parts give. What a file says for one that is no text is told when its message is played."""
    for part in parts:
        if isinstance(name := part.get('tool_name'), str):
            yield name


def _function_tools(run: Run, output_tools: tuple[str, ...]) -> tuple[str, ...]:
    """Names of function tools: defined, told by an error about an unknown one, or called with a result."""
    defined = [name for node in run.nodes if node.definition is not None for name in node.definition.tools]
    if any(node.definition is not None for node in run.nodes):
        return tuple(dict.fromkeys(defined))
    names: list[str] = []
    unknown: set[str] = set()
    for message in run.new_messages:
        for part in parts_of(message):
            content = part.get('content')
            if part['part_kind'] == 'retry-prompt' and isinstance(content, str) and _is_unknown(part, content):
                unknown.update(_tool_names([part]))
                names.extend(_names_in(content))
    responses = [node.message for node in run.nodes if node.kind == 'CallToolsNode']
    names.extend(_tool_names(call for response in responses for call in calls_of(response)))
    return tuple(name for name in dict.fromkeys(names) if name not in output_tools and name not in unknown)


def _tool_kinds(run: Run) -> Mapping[str, str]:
    defined = [node.definition.tools for node in run.nodes if node.definition is not None]
    return {name: cast('str', tool['kind']) for tools in defined for name, tool in tools.items() if 'kind' in tool}


def _is_unknown(part: JsonObject, content: str) -> bool:
    return content.startswith(f'Unknown tool name: {part["tool_name"]!r}.')


def _names_in(content: str) -> list[str]:
    match = _UNKNOWN.fullmatch(content)
    try:
        return [str(name) for name in literal_eval(f'[{match["names"]}]')] if match else []
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all that a text from a file may cause
        return []


def _allows_text(run: Run, mode: str) -> bool:
    """Whether text could be the output, where no request says so."""
    return _ends_in(run, 'text') if mode == 'tool' else mode != 'image'


def _ends_in_image(run: Run) -> bool:
    return _ends_in(run, 'file') and not _ends_in(run, 'text')


def _ends_in(run: Run, kind: str) -> bool:
    """Whether the run ended in a response that calls nothing and has a part of this kind."""
    last = run.messages[-1] if run.messages and _ended(run) else None
    if last is None or last['kind'] != 'response' or calls_of(last):
        return False
    return any(part['part_kind'] == kind for part in parts_of(last))


def _ends_unanswered(run: Run) -> bool:
    """Whether the run ended with calls that nobody answered: they were put off."""
    if not _ended(run):
        return False
    taken = [node.message for node in run.nodes if node.kind == 'CallToolsNode']
    closing = parts_of(next(iter(run.nodes[-1].then), None))
    answered = [part.get('tool_call_id') for part in closing]
    final = any(part.get('content') == _FINAL for part in closing)
    open_calls = [call for call in calls_of(taken[-1] if taken else None) if call['tool_call_id'] not in answered]
    return bool(open_calls) and not final


def _ended(run: Run) -> bool:
    return bool(run.nodes) and run.nodes[-1].kind == 'End'
