"""A recorded run while it is being replayed: what is compared with it, and the outcomes that it gives."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import is_
from typing import cast

from .attempts import definition_of, outcome_of, parsed
from .calls import arrivals, caller, calls_of, following, places, results_of, told_in_order
from .canon import Json, JsonObject, dumps, own
from .cassette import CUT, Definition, Node, Raised, Run, ToolResult
from .effects import Answered, Calls, Count, Counted, Cut, Effect, Ended, Failed, Finish, Outcome, Request
from .exchange import Exchange, respelt_definition, respelt_messages
from .match import (
    ABSENT,
    FIELD_OF,
    FIELDS,
    Difference,
    Field,
    definition_differences,
    first_difference,
    match_messages,
    match_node,
    merged,
)
from .shapes import narrowed
from .streams import TAKES_RESPONSE, ending, response_to

_NONE = Definition()


class Playback:
    """The replaying half of a tape.

    Args:
        recorded: The recording.
        fields: What of a request is compared.
        exchange: Which live values stand for which recorded ones, in all runs of the session.
        unknown: Keys that the library version that recorded did not know, by kind of message and part: not compared.
            None: it is the one that replays.
    """

    def __init__(
        self,
        recorded: Run,
        *,
        fields: Sequence[Field] = FIELDS,
        exchange: Exchange | None = None,
        unknown: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.recorded = recorded
        self._unknown = unknown
        self._exchange = Exchange() if exchange is None else exchange
        self.left_out: list[Difference] = []
        """What differs in fields that are not compared."""
        self._fields = fields
        self.at = -1
        self._asked = 0  # requests of the node that runs
        self._sent: list[JsonObject] = []  # what the model was sent last, as recorded
        self._fresh: list[JsonObject] = list(recorded.history)  # came since then
        self._spelt: tuple[Definition | None, Definition, Definition] = (None, _NONE, _NONE)  # recorded, live, respelt
        self._written: list[tuple[JsonObject, bytes]] = []  # recorded messages that were sent so, and their bytes
        self._alike: tuple[Definition | None, Definition | None] = (None, None)  # recorded, and live as it came
        self._same: Request | None = None  # the latest that was found to send what was recorded
        self._matched: tuple[Definition | None, Definition | None] = (None, None)  # that are known to be equal
        self._cancelled_at = _cancelled_at(recorded)

    @property
    def _waited(self) -> bool:
        """Whether the node that runs was to be cancelled in the middle of what it asked for."""
        node = self.recorded.nodes[self.at] if self.recorded.nodes else None
        return node is not None and (node.cut or bool(node.stream and ending(node.stream) == 'cut'))

    @property
    def cancelled(self) -> bool:
        """Whether the recorded run was cancelled after the node that runs, and came to no other one."""
        return self.at == self._cancelled_at

    @property
    def unplayed(self) -> tuple[Node, ...]:
        """Recorded nodes that the run has not come to, in order."""
        return self.recorded.nodes[self.at + 1 :]

    def node(self, kind: str, facts: Mapping[str, Json]) -> Difference | None:
        """A node is about to run: is it the recorded one?"""
        self.at += 1
        self._asked = 0
        recorded = self.recorded.nodes[self.at] if self.at < len(self.recorded.nodes) else None
        if recorded is not None and recorded.kind == kind and not facts:
            return None
        if recorded is not None and self._exchange:
            facts = cast('JsonObject', self._exchange.respelt(recorded.facts, dict(facts)))
        return self._counted(match_node(recorded, kind, facts))

    def has(self, effect: Effect) -> bool:
        """Whether an effect is one that the recording has as well: then it tells nothing that stands not there."""
        node = self.recorded.nodes[self.at]
        if isinstance(effect, Request):
            told = not self._asked and effect.message in effect.sent[-1:]
            return told and self._sends_as_recorded(effect, node)
        if isinstance(effect, Calls):
            recorded = {(call['tool_name'], call['tool_call_id']) for call in calls_of(node.message)}
            live = (*calls_of(effect.response), *effect.calls)
            return all((call['tool_name'], call['tool_call_id']) in recorded for call in live)
        return True

    def straight(self, effect: Effect) -> Outcome | None:
        """What came of an effect that is exactly the recorded one; None if only the long way can tell.

        The short cut past `has`, `respelt`, `compare` and `answer`, for nearly every effect of a replay.
        """
        if type(effect) is Request:
            return self._straight_request(effect)
        return self._straight_calls(effect) if type(effect) is Calls else None

    def know(self, live: Definition, compared: Definition) -> None:
        """Take note of how a definition came that was compared without its secrets and is the recorded one."""
        if compared is self._matched[1]:
            self._alike = (self._matched[0], live)

    def respelt(self, effect: Effect) -> Request | None:
        """A request with minted values as they were recorded, before it is compared; None if it holds no others."""
        if not isinstance(effect, Request) or not self._exchange:
            return None
        node, exchange = self.recorded.nodes[self.at], self._exchange
        definition = self._definition(node, effect)
        if not self._asked and self._sends_as_recorded(effect, node):
            return None if definition is effect.definition else replace(effect, definition=definition)
        fresh = [] if self._asked else self._due(node)
        known = merged([*self._sent, *fresh])
        edit = None if self._asked else cast('JsonObject | None', node.facts.get('history_edit'))
        live = parsed(effect.sent)
        sent = respelt_messages(exchange, _edited(known, edit), live)
        message = cast('JsonObject', own(effect.message))
        told = message if node.message is None else cast('JsonObject', exchange.respelt(node.message, message))
        if told is message and definition is effect.definition and all(map(is_, sent, live)):
            return None
        spelt = [dumps(one) if one is not was else data for one, was, data in zip(sent, live, effect.sent, strict=True)]
        return replace(effect, message=dumps(told), sent=spelt, definition=definition)

    def compare(self, effect: Effect) -> Difference | None:
        """The node that runs is about to do something: what differs from the recording, if anything does."""
        if not isinstance(effect, Request):
            return None
        node = self.recorded.nodes[self.at]
        if self.cancelled and node.definition is None:  # before anything was asked, perhaps in a history processor
            return None
        return self._compared_again(effect, node) if self._asked else self._compared(effect, node)

    def answer(self, effect: Effect) -> Outcome | Difference:
        """What came of an effect when it was recorded, after `compare`; or that it was never asked for."""
        node = self.recorded.nodes[self.at]
        match effect:
            case Calls():
                ended = self._played(effect, node)
                return _lacking(effect, ended) or ended
            case Count() if node.counted is None and node.definition is None and (node.cut or self.cancelled):
                return Cut(cancelled=True)
            case Count():
                outcome = None if node.counted is None else Counted(usage=node.counted)
            case _:
                self._asked += 1
                return self._answer(effect, node)
        if outcome is None and node.raised is not None:
            return Failed(raised=node.raised)
        return outcome or _never(effect)

    def finish(self, finish: Finish) -> tuple[int, Difference] | None:
        """The run is over: compare what it ended with, its error and then its messages, byte for byte.

        Returns:
            Index of the node at which they differ first, and what differs; None if they are equal.
        """
        if self.cancelled and finish.raised is None and 'interrupted' not in finish.facts and not self._waited:
            return self.at, Difference(cause='cancellation', field='interrupted', recorded=CUT, live=ABSENT)
        if self.ends_as_recorded(finish):
            return None
        return _difference_at_end(self.recorded, finish, self._matched_in_whole, self._counted)

    def ends_as_recorded(self, finish: Finish) -> bool:
        """Whether a run was left as it was recorded, without an error and with the same bytes."""
        nodes = self.recorded.nodes
        if finish.raised is not None or not nodes or nodes[-1].raised is not None or self.cancelled:
            return False
        return finish.new_from == new_from(self.recorded) and self._ends_with(finish.messages)

    def _ends_with(self, messages: bytes) -> bool:
        """Whether these are all messages that the recording ended with; those that were sent were written before."""
        written = iter(self._written)
        known, data = next(written, (None, b''))
        at = 0
        for message in all_messages(self.recorded):
            expected = data if message is known else dumps(message)
            if not messages.startswith(expected, at + 1):  # after the bracket, or a comma
                return False
            known, data = next(written, (None, b'')) if message is known else (known, data)
            at += 1 + len(expected)
        return len(messages) == max(at, 1) + 1

    def respelt_end(self, finish: Finish) -> Finish:
        """How a run was left, with minted values as they were recorded: those too that no model was sent."""
        expected = all_messages(self.recorded) if self._exchange else []
        if not expected or dumps(cast('Json', expected)) == finish.messages:
            return finish
        live = cast('list[JsonObject]', own(finish.messages))
        pairs = zip(expected, live, strict=False)
        spelt = [*(self._exchange.respelt(old, new) for old, new in pairs), *live[len(expected) :]]
        return finish if all(map(is_, spelt, live)) else replace(finish, messages=dumps(cast('Json', spelt)))

    def _definition(self, node: Node, effect: Request) -> Definition:
        """The definition of a request respelt; those that came before are known."""
        recorded, live, _ = self._spelt
        if recorded is not node.definition or live is not effect.definition:
            found = respelt_definition(self._exchange, node.definition, effect.definition)
            self._spelt = (node.definition, effect.definition, found)
        return self._spelt[2]

    def _straight_request(self, effect: Request) -> Answered | None:
        nodes, at = self.recorded.nodes, self.at
        node, following = nodes[at], nodes[at + 1] if at + 1 < len(nodes) else None
        message, alike = node.message, self._alike
        if (
            self._asked
            or following is None
            or message is None
            or (answer := following.message) is None
            or following.kind not in TAKES_RESPONSE
            or (node.definition is not alike[0] or effect.definition is not alike[1])
            or (node.from_history or node.facts or node.attempts or node.raised or node.then)
            or (effect.streamed or not effect.appended or node.cut)
        ):
            return None
        due = [*self._fresh, message]
        written = list(map(dumps, due))
        if written != list(effect.sent) or effect.message != written[-1]:
            return None
        self._written += zip(due, written, strict=True)
        self._sent += due
        self._fresh = [answer]
        self._asked = 1
        return Answered(message=answer)

    def _straight_calls(self, effect: Calls) -> Ended | None:
        node, following = self.recorded.nodes[self.at], next(islice(self.recorded.nodes, self.at + 1, None), None)
        if (
            node.kind != 'CallToolsNode'
            or following is None
            or following.kind != 'ModelRequestNode'
            or (node.results or node.raised or following.types or self.recorded.facts.get('imported'))
            or (node.started is not None or node.finished is not None or node.cut)
        ):
            return None
        results = told_in_order(node.message, effect.response, effect.calls, following.message)
        order = list(range(len(effect.calls)))
        return None if results is None else Ended(started=order, finished=order, results=results)

    def _answer(self, effect: Request, node: Node) -> Outcome | Difference:
        """What came of a request: of the attempts in order, then of the one that counted."""
        if self._asked <= len(node.attempts):
            return outcome_of(node.attempts[self._asked - 1])
        response = response_to(node, islice(self.recorded.nodes, self.at + 1, None))
        if self._asked == len(node.attempts) + 1:
            self._fresh = [] if response is None else [response]
            outcome = _outcome(node, response, streamed=effect.streamed)
            if outcome is not None:
                return outcome
            if self.cancelled:
                return Cut(cancelled=True)
        return _never(effect)

    def _compared_again(self, effect: Request, node: Node) -> Difference | None:
        """Compare a request of a node that has made one before: the same is sent, unless code changed it."""
        resent = cast('JsonObject', node.facts.get('resent', {}))
        changed = cast('JsonObject', resent.get(str(self._asked), {}))
        live = merged([*self._sent, *parsed(effect.sent)] if effect.appended else parsed(effect.sent))
        self._sent = _edited(self._sent, cast('JsonObject | None', changed.get('history_edit')))
        found = self._match(self._sent, live)
        carried = cast('JsonObject | None', changed.get('definition'))
        recorded = node.definition if carried is None else definition_of(carried)
        if found is not None or recorded is None or recorded == effect.definition:
            return found
        return next((one for one in definition_differences(recorded, effect.definition) if self._counted(one)), None)

    def _played(self, effect: Calls, node: Node) -> Ended:
        """The recorded batch in the indexes of the live one."""
        imported = bool(self.recorded.facts.get('imported'))
        nodes = self.recorded.nodes
        node, later = caller(node, nodes[self.at + 1 : self.at + 3])
        message = following(later)
        results = results_of(effect.response, node, message, types=later[0].types if later else None, imported=imported)
        where = places(calls_of(effect.response), effect.calls)
        index_of = {place: index for index, place in enumerate(where)}
        finished = arrivals(effect.response, message) if imported else node.finished
        if (
            imported and nodes[self.at + 1 : self.at + 2] and nodes[self.at + 1].kind == 'End'
        ):  # calls without an answer were put off
            put_off = [place for place in sorted(index_of) if place not in results]
            results |= {place: ToolResult(kind='external') for place in put_off}
            finished = [*(finished or ()), *put_off]

        def live(recorded: Sequence[int] | None) -> list[int]:
            order = sorted(index_of) if recorded is None else recorded
            return [index_of[place] for place in order if place in index_of]

        ended = live(finished)
        if self.cancelled and not node.cut:  # perhaps before all of them had begun
            ended = [index for index in ended if where[index] in results]
        return Ended(
            started=live(node.started),
            finished=ended,
            results={index_of[place]: result for place, result in results.items() if place in index_of},
            stopped=node.raised is not None,
            cut=node.cut or (self.cancelled and len(ended) < len(index_of)),
        )

    def _compared(self, effect: Request, node: Node) -> Difference | None:
        """Compare a request with the recorded one, at the cost of what is new in it."""
        found = self._compared_messages(effect, node)
        if node.definition is None:
            return found
        if node.definition is self._matched[0] and effect.definition is self._matched[1]:
            return found
        differences = definition_differences(node.definition, effect.definition)
        changed = next((one for one in differences if self._counted(one)), None)
        if changed is None:
            self._matched = (node.definition, effect.definition)
        # Instructions stand in message and definition; the definition says best what happened.
        return changed if found is None or (changed is not None and changed.cause == 'instructions') else found

    def _compared_messages(self, effect: Request, node: Node) -> Difference | None:
        fresh = self._due(node)
        edit = cast('JsonObject | None', node.facts.get('history_edit'))
        if edit is None and self._sends_as_recorded(effect, node):
            self._sent.extend(fresh)
            return None
        live = parsed(effect.sent)
        if edit is None and effect.appended and self._sent:
            first = len(self._sent)
            self._sent.extend(fresh)
            return self._match(fresh, live, first)
        live = merged([*self._sent, *live] if effect.appended else live)
        self._sent = _edited(merged([*self._sent, *fresh]), edit)
        return self._match(self._sent, live)

    def _sends_as_recorded(self, effect: Request, node: Node) -> bool:
        """Whether what is new in the first request of a node is, byte for byte, what came since the last request."""
        if effect is not self._same:
            if not effect.appended or list(map(dumps, self._due(node))) != list(effect.sent):
                return False
            self._same = effect
        return True

    def _due(self, node: Node) -> list[JsonObject]:
        """Recorded messages that came since the last request."""
        return [*self._fresh, *([] if node.message is None or node.from_history else [node.message])]

    def _match(self, recorded: Sequence[JsonObject], live: Sequence[JsonObject], first: int = 0) -> Difference | None:
        """Compare messages in the fields that are compared."""
        if self._unknown is not None:
            recorded, live = (list(map(self._comparable, side)) for side in (recorded, live))
        found = self._counted(difference := match_messages(recorded, live, first=first))
        if found is None and difference is not None and difference.cause == 'instructions':  # and what else?
            return self._counted(match_messages(_uninstructed(recorded), _uninstructed(live), first=first))
        return found

    def _matched_in_whole(self, recorded: JsonObject, live: JsonObject, strict: bool) -> Difference | None:
        """Compare a message of the run, times and ids too if it is new."""
        recorded, live = self._comparable(recorded), self._comparable(live)
        found = self._match([recorded], [live])
        if found is not None or not strict:
            return found
        if 'instructions' not in self._fields:
            (recorded,), (live,) = _uninstructed([recorded]), _uninstructed([live])
        place = first_difference(recorded, live)
        return place and self._counted(Difference(cause='history', field=place[0], recorded=place[1], live=place[2]))

    def _comparable(self, message: JsonObject) -> JsonObject:
        """A message without what another version does not know, or makes up itself: the id of a retry of no tool."""
        if self._unknown is None:
            return message
        found = narrowed(message, self._unknown)
        parts = [
            {**part, 'tool_call_id': None} if part['part_kind'] == 'retry-prompt' and not part['tool_name'] else part
            for part in cast('list[JsonObject]', found['parts'])
        ]
        return {**found, 'parts': cast('Json', parts)}

    def _counted(self, difference: Difference | None) -> Difference | None:
        """The difference, if its field is compared; if not it is kept for the report."""
        if difference is None or FIELD_OF.get(difference.cause) in {None, *self._fields}:
            return difference
        self.left_out.append(difference)
        return None


def all_messages(run: Run) -> list[JsonObject]:
    """All messages that a run ended with; those of its nodes, unless user code changed what had been there before."""
    return cast('list[JsonObject]', run.facts['messages']) if 'messages' in run.facts else run.messages


def new_from(run: Run) -> int:
    """Index of the first new message of a run among all of them."""
    return cast('int', run.facts.get('new_from', len(run.history)))


def counted_runs(runs: Sequence[Run], parent: str, call: int | None = None) -> Iterator[Run]:
    """The runs that counted into the usage of the run that started them, and those that counted into theirs.

    Args:
        runs: All recorded runs.
        parent: Name of the run that started them.
        call: Number of its tool call that did; None: any.
    """
    for run in runs:
        fact = cast('JsonObject', run.facts.get('counted_in', {}))
        place = run.name.rpartition('/')[0]  # of the tool; the run that called it stands before that
        if fact and place.rpartition('/')[0] == parent and (call is None or call == fact['call']):
            yield run
            yield from counted_runs(runs, run.name)


def was_cancelled(run: Run) -> bool:
    """Whether a run was cancelled before it had come to its end."""
    return any(node.cut for node in run.nodes) or _cancelled_at(run) is not None


def _cancelled_at(run: Run) -> int | None:
    """Index of the last node of a run that was cancelled and did not come to its end; None if it was not."""
    left = run.facts.get('interrupted') == CUT and not (run.nodes and run.nodes[-1].kind == 'End')
    return len(run.nodes) - 1 if left else None


def _uninstructed(messages: Sequence[JsonObject]) -> list[JsonObject]:
    return [{key: value for key, value in message.items() if key != 'instructions'} for message in messages]


def _lacking(effect: Calls, ended: Ended) -> Difference | None:
    """The first call of a batch that the recording has nothing for; one that an error forestalled is no such call."""
    due = ended.finished if ended.cut or ended.failed else range(len(effect.calls))
    lacking = next((index for index in due if index not in ended.results or index not in ended.finished), None)
    if lacking is None:
        return None
    name = cast('str', effect.calls[lacking]['tool_name'])
    return Difference(cause='tool result', field=name, recorded=ABSENT, live='called')


def _never(effect: Effect) -> Difference:
    return Difference(cause='order', field=type(effect).__name__.lower(), recorded=ABSENT, live='asked for')


def _outcome(node: Node, response: JsonObject | None, *, streamed: bool) -> Outcome | None:
    """What came of a request: with what passed, if it is to be had as it comes and was."""
    if node.stream is None and node.cut:
        return Cut(cancelled=True)
    stream = node.stream if streamed else None
    # 2.x keeps what had come of a response before its stream broke: nothing, if it broke while it was opened.
    cut_off = response is not None and response.get('state') == 'interrupted'
    broken = node.raised is not None and (cut_off if stream is None else ending(stream) == 'raised')
    if response is not None and not broken:
        return Answered(message=response, stream=stream)
    if stream is not None and ending(stream) == 'cut':
        return Cut(cancelled=stream[-1].get('cut') == CUT, stream=stream)
    if node.stream and node.stream[-1].get('cut') == CUT:
        return Cut(cancelled=True)
    if node.raised is None or (node.attempts and stream is None):
        return None
    return Failed(raised=node.raised, stream=stream)


def _edited(messages: list[JsonObject], edit: JsonObject | None) -> list[JsonObject]:
    if edit is None:
        return messages
    at, drop = cast('int', edit['at']), cast('int', edit['drop'])
    return [*messages[:at], *cast('list[JsonObject]', edit['insert']), *messages[at + drop :]]


def _difference_at_end(
    recorded: Run,
    finish: Finish,
    match: Callable[[JsonObject, JsonObject, bool], Difference | None],
    counted: Callable[[Difference | None], Difference | None],
) -> tuple[int, Difference] | None:
    last = len(recorded.nodes) - 1
    old, new = (recorded.nodes[-1].raised if recorded.nodes else None), finish.raised
    if (old and old.type) != (new and new.type):
        return last, Difference(cause='error', field='raised', recorded=_named(old), live=_named(new))
    expected = all_messages(recorded)
    begin = new_from(recorded)
    live = cast('list[JsonObject]', own(finish.messages))
    if finish.new_from != begin or len(live) != len(expected):
        changed = Difference(
            cause='history',
            field='new_messages',
            recorded=f'{len(expected) - begin} of {len(expected)} messages',
            live=f'{len(live) - finish.new_from} of {len(live)} messages',
        )
        return (last, changed) if counted(changed) else None
    for index, (was, now) in enumerate(zip(expected, live, strict=True)):
        found = match(was, now, index >= begin)
        if found is not None:
            return node_of_message(recorded, index), found
    return None


def _named(raised: Raised | None) -> Json:
    return ABSENT if raised is None else f'{raised.type}: {raised.message}'


def node_of_message(run: Run, index: int) -> int:
    """Index of the node that made a message of `all_messages`; handed-in messages belong to the first node."""
    made: list[int] = []
    for at, node in enumerate(run.nodes):
        own_message = node.message is not None and not node.from_history
        made.extend([at] * (own_message + len(node.then)))
    place = index - new_from(run)
    return made[place] if 0 <= place < len(made) else 0 if place < 0 else len(run.nodes) - 1
