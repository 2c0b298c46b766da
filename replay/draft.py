"""A run while it is being recorded: what came in, in order, and at the end the run that a cassette keeps.

Outcomes are kept as they were when they arrived. Which message a node made is settled only at the end, when all of them
are there: a message that the nodes do not account for was changed by user code on the way, and then the run's messages
are kept as a fact beside the nodes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from .attempts import definition_json, parsed
from .calls import calls_of, following, places, typed_parts, untold
from .canon import Json, JsonObject, dumps, own
from .cassette import Attempt, Definition, Node, Raised, Run, ToolResult
from .effects import Answered, Calls, Counted, Cut, Effect, Ended, Failed, Finish, Outcome, Request
from .match import match_message, match_messages, merged
from .streams import TAKES_RESPONSE, Stream


@dataclass(slots=True, kw_only=True)
class _Node:
    """A node of a run that is being recorded."""

    kind: str
    facts: JsonObject
    message: JsonObject | None = None
    from_history: bool = False
    definition: Definition | None = None
    counted: JsonObject | None = None
    asked: int = 0
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    stream: Stream | None = None
    unheard: JsonObject | None = None  # its answer, if no node took it up
    calls: Calls | None = None
    started: tuple[int, ...] | None = None
    finished: tuple[int, ...] | None = None
    results: Mapping[int, ToolResult] = field(default_factory=dict[int, ToolResult])
    raised: Raised | None = None
    cut: bool = False
    then: tuple[JsonObject, ...] = ()


_RUN_KEYS = ('run_id', 'conversation_id')
"""What a run puts into the responses that it is given."""


class Draft:
    """The recording half of a tape. The tape sees to it that calls come in an order that a run has."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._effect: Effect | None = None
        self._first: list[JsonObject] | None = None  # what the model was sent first
        self._sent: list[JsonObject] = []  # what it was sent last
        self._fresh: list[JsonObject] = []  # came since then
        self._response: JsonObject | None = None  # answered, and not yet taken up by a node

    def node(self, kind: str, facts: Mapping[str, Json]) -> None:
        """A node is about to run."""
        known = {name: fact for name, fact in facts.items() if fact is not None}
        self._nodes.append(_Node(kind=kind, facts=cast('JsonObject', known)))
        if kind in TAKES_RESPONSE:
            self._nodes[-1].message, self._response = self._response, None

    def begin(self, effect: Effect) -> None:
        """The node that runs is about to do something."""
        before, self._effect = self._effect, effect
        if isinstance(effect, Request):
            self._ask(self._nodes[-1], effect, before if isinstance(before, Request) else None)

    def end(self, outcome: Outcome) -> None:
        """What came of the effect that was begun last."""
        node = self._nodes[-1]
        node.cut = _is_cut(outcome)
        match outcome:
            case Answered(message=message, stream=stream):
                node.stream = stream
                asked = cast('JsonObject', node.message)
                ids = {key: message.get(key) or asked.get(key) for key in _RUN_KEYS if key in asked}
                self._response = {**message, **ids}
                self._fresh = [self._response]
            case Counted(usage=usage):
                node.counted = usage
            case Failed(raised=raised, stream=stream):
                inside = self._effect.inside if isinstance(self._effect, Request) else None
                if inside is None or stream is not None:
                    node.raised, node.stream = raised, stream
                else:  # the model around it decides what becomes of that
                    node.attempts.append(Attempt(model=inside, raised=raised))
                self._fresh = []
            case Cut(stream=stream):
                node.stream = stream
                self._fresh = []
            case _:
                node.calls = cast('Calls', self._effect)
                where = places(calls_of(node.calls.response), node.calls.calls)
                node.started = _unless_call_order((where[index] for index in outcome.started), where)
                node.finished = _unless_call_order((where[index] for index in outcome.finished), where)
                node.results = {where[index]: result for index, result in outcome.results.items()}

    def written(self, finish: Finish, *, name: str, agent: str, facts: Mapping[str, Json]) -> Run:
        """Put the run together, once it is over.

        Args:
            finish: How the run was left.
            name: Name of the run.
            agent: Name of its agent.
            facts: Facts of the run.
        """
        messages = cast('list[JsonObject]', own(finish.messages))
        history, new = messages[: finish.new_from], messages[finish.new_from :]
        noted: JsonObject = {**facts, **finish.facts}
        if not _placed(self._nodes, history, new):
            noted.update(messages=cast('Json', messages), new_from=finish.new_from)
            history = (self._first or history)[:-1]
        self._hand_calls_on()
        if self._nodes and self._nodes[-1].raised is None:
            self._nodes[-1].raised = finish.raised
        self._keep_unheard()
        self._keep_first_edit(history)
        nodes = tuple(self._written_node(index) for index in range(len(self._nodes)))
        return Run(name=name, agent=agent, history=tuple(history), nodes=nodes, facts=noted)

    def _ask(self, node: _Node, effect: Request, before: Request | None) -> None:
        node.asked += 1
        if node.asked > 1:
            self._ask_again(node, effect, before)
            return
        if self._response is not None:  # code put this node in the place of the one that was to take it up
            asked = next(one for one in reversed(self._nodes[:-1]) if one.asked)
            asked.unheard, self._response = self._response, None
        node.message = cast('JsonObject', own(effect.message))
        node.definition = effect.definition
        fresh = [*self._fresh, node.message]
        if self._first is not None and effect.appended and _are(effect.sent, self._fresh, effect.message):
            self._sent.extend(fresh)
            return
        live = parsed(effect.sent)
        if self._first is None:
            self._first = merged(live)
            self._sent = list(self._first)
        elif effect.appended and match_messages(fresh, live) is None:
            self._sent.extend(live)
        else:
            expected = merged([*self._sent, *fresh])
            self._sent = merged([*self._sent, *live] if effect.appended else live)
            node.facts.update(_edit(expected, self._sent))

    def _ask_again(self, node: _Node, effect: Request, before: Request | None) -> None:
        """One more model is asked: what the one before it answered, if it did, was passed over."""
        if self._response is not None and before is not None:
            node.attempts.append(Attempt(model=before.inside or '', response=self._response))
            self._response = node.stream = None
        elif node.cut and before is not None:
            node.attempts.append(Attempt(model=before.inside or '', cut=True))
            node.cut = False
        sent = merged([*self._sent, *parsed(effect.sent)] if effect.appended else parsed(effect.sent))
        changed: JsonObject = _edit(self._sent, sent)
        if effect.definition != node.definition:
            changed['definition'] = definition_json(effect.definition)
        if changed:
            resent = cast('JsonObject', node.facts.setdefault('resent', {}))
            resent[str(node.asked - 1)] = changed
        self._sent = sent

    def _hand_calls_on(self) -> None:
        """Calls that ran when a stream had ended in a result belong to the node that holds the response."""
        for node, after in pairwise(self._nodes):
            if node.kind == 'ModelRequestNode' and after.kind == 'SetFinalResult':
                after.calls, after.started, after.finished = node.calls, node.started, node.finished
                after.results = node.results
                node.calls, node.started, node.finished, node.results = None, None, None, {}

    def _keep_unheard(self) -> None:
        """A response that no node took up and no history shows (it exceeded a limit) stands on its request."""
        for node in self._nodes:
            if node.unheard is not None:
                node.facts['response'] = node.unheard
        if self._response is not None and not any(self._response in node.then for node in self._nodes):
            asked = [node for node in self._nodes if node.definition is not None]
            asked[-1].facts['response'] = self._response

    def _keep_first_edit(self, history: Sequence[JsonObject]) -> None:
        """Note where the first request was sent other messages than the run held."""
        asked = next((node for node in self._nodes if node.definition is not None), None)
        if asked is None or self._first is None or asked.message is None:
            return
        expected = merged([*history, *([] if asked.from_history else [asked.message])])
        asked.facts.update(_edit(expected, self._first))

    def _written_node(self, index: int) -> Node:
        node = self._nodes[index]
        response = node.calls.response if node.calls else None
        later = self._nodes[index + 1 :]
        marked = bool(later) and later[0].kind == 'ModelRequestNode' and not later[0].from_history
        return Node(
            kind=node.kind,
            message=node.message,
            from_history=node.from_history,
            definition=node.definition,
            stream=node.stream,
            counted=node.counted,
            started=node.started,
            finished=node.finished,
            attempts=tuple(node.attempts),
            results=untold(response, following(later), node.results, marked=marked),
            types=self._types(index),
            raised=node.raised,
            cut=node.cut,
            facts=node.facts,
            then=node.then,
        )

    def _types(self, index: int) -> JsonObject:
        """The type marks of a node: of the results that its request tells."""
        node, before = self._nodes[index], self._nodes[index - 1]
        if not index or node.kind != 'ModelRequestNode' or node.from_history or before.calls is None:
            return {}
        return typed_parts(before.calls.response, node.message, before.results)


def _placed(nodes: Sequence[_Node], history: Sequence[JsonObject], new: Sequence[JsonObject]) -> bool:
    """Say of each node which of the run's messages it made.

    Returns:
        Whether the nodes account for all new messages; if not, user code changed the history on the way.
    """
    place = 0
    last = history[-1] if history else None
    for node in nodes:
        here = new[place] if place < len(new) else None
        if node.message is None:
            node.message = _told_by_kind(node.kind, here, last if place == 0 else None)
        if node.message is None:
            continue
        if node.message == here:
            place += 1
        elif place == 0 and node.message == last:
            node.from_history = True
        else:
            return False
        if node.unheard is not None and new[place : place + 1] == [node.unheard]:
            node.then, node.unheard = (node.unheard,), None
            place += 1
    if nodes:
        nodes[-1].then = (*nodes[-1].then, *new[place:])
    return bool(nodes) or not new


def _told_by_kind(kind: str, *messages: JsonObject | None) -> JsonObject | None:
    """The message of a node that asked for nothing, or took up no answer: the next one if it is of the right kind."""
    return next((one for one in messages if one is not None and one['kind'] == _MAKES.get(kind)), None)


_MAKES = {'ModelRequestNode': 'request', 'CallToolsNode': 'response', 'SetFinalResult': 'response'}


def _are(sent: Sequence[bytes], before: Sequence[JsonObject], message: bytes) -> bool:
    """Whether messages that are sent are some that are known, and a request, to the byte: the usual case."""
    return len(sent) == len(before) + 1 and sent[-1] == message and list(sent[:-1]) == list(map(dumps, before))


def _edit(expected: Sequence[JsonObject], sent: Sequence[JsonObject]) -> JsonObject:
    """What was sent in place of what the nodes had made, as the fact of a node; nothing if it is the same."""
    if match_messages(expected, sent) is None:
        return {}
    at = _common(expected, sent)
    rest = _common(expected[at:][::-1], sent[at:][::-1])
    insert = sent[at : len(sent) - rest]
    return {'history_edit': {'at': at, 'drop': len(expected) - at - rest, 'insert': cast('Json', list(insert))}}


def _common(one: Sequence[JsonObject], other: Sequence[JsonObject]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (old, new) in pairs if match_message(old, new)), min(len(one), len(other)))


def _is_cut(outcome: Outcome) -> bool:
    """Whether an outcome is that its node was cancelled; a stream tells itself how it ended."""
    if isinstance(outcome, Ended):
        return outcome.cut
    return isinstance(outcome, Cut) and outcome.cancelled and outcome.stream is None


def _unless_call_order(indexes: Iterable[int], batch: Iterable[int]) -> tuple[int, ...] | None:
    """An order of calls; None if it is call order and no call of the batch is missing (an error ended it)."""
    found = tuple(indexes)
    return None if list(found) == sorted(batch) else found
