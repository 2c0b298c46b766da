"""The machine of record and replay: one tape per run.

A tape is told what the run is about to do and answers what to do about it: replay this outcome, do it and tell what
came of it, or stop, because the run does something else than its recording. It holds no clock, no disk, no agent
library and never waits, so a test is "feed, look". Tapes of different runs know nothing of each other: runs may
interleave freely.

Where a run and its recording part, a tape stops, or goes on recording what was played so far and what comes, or feeds
the recorded answers on: its `apart` says which.

Two rules hold. What may come when is a table (`_NEXT`); anything else is one error that names state and event. And
once a tape has diverged it stays diverged: it gives the same answer to whatever comes, so that no retry or
`except Exception` in between can make a run go on as if nothing had been wrong.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, cast

from .canon import Json, JsonObject
from .carrying import carried_end, carried_outcome, carried_request
from .cassette import Node, Raised, Run
from .draft import Draft
from .effects import (
    Answer,
    Answered,
    Calls,
    Count,
    Counted,
    Cut,
    Do,
    Effect,
    Ended,
    Failed,
    Finish,
    Outcome,
    Replay,
    Request,
    Stop,
    Wait,
)
from .errors import ReplayError
from .exchange import Exchange
from .journal import Strip
from .match import FIELDS, NO_ANSWER, Difference, Divergence, Field, locate
from .minting import RunMinting
from .playback import Playback, was_cancelled
from .streams import Stream, has_ending
from .veil import Veil, marked

Apart: TypeAlias = Literal['stop', 'record', 'rebind']
"""What to do where a run does something else than its recording: stop, record from there, or give the recorded answer
all the same and record what it is an answer to now."""

REBOUND = 'rebound'
"""The mark of a run whose answers were recorded for other requests."""


class TapeError(ReplayError):
    """Something came in an order that no run has: a fault of the adapter, never of a recording.

    Args:
        state: What the tape was in the middle of.
        event: What came.
        node: Kind of the node that ran last.
    """

    def __init__(self, state: str, event: str, *, node: str = '') -> None:
        place = f'{state} ({node})' if node else state
        super().__init__(f'{event} cannot come while the tape is {place}', expected=_expected(state), got=event)
        self.state = state
        self.event = event


# The protocol, state x event -> state. `begin` leaves the state alone if the answer is no `Do`.
_NEXT: Mapping[str, Mapping[str, str]] = {
    'new': {'node': 'in a node', 'finish': 'over'},
    'in a node': {'node': 'in a node', 'begin': 'doing', 'finish': 'over'},
    'doing': {'chunk': 'doing', 'end': 'in a node', 'finish': 'over'},
    'over': {},
}

# Which node may ask for which effect, and which outcome answers it.
# (A streamed result that is complete leaves other calls to be run before its node has ended.)
_NODES_OF: Mapping[type[Effect], tuple[str, ...]] = {
    Request: ('ModelRequestNode',),
    Count: ('ModelRequestNode',),
    Calls: ('CallToolsNode', 'ModelRequestNode'),
}
_OUTCOMES_OF: Mapping[type[Effect], tuple[type[Outcome], ...]] = {
    Request: (Answered, Failed, Cut),
    Count: (Counted, Failed, Cut),
    Calls: (Ended,),
}


def _expected(state: str) -> str:
    return ' or '.join(_NEXT[state]) or 'nothing'


class Tape:
    """Record or replay one run.

    Call `node` for each node, `begin` and (after a `Do`) `end` for each effect in it, `chunk` in between for what is
    streamed, `finish` last. A recording is then in `run`; what a replay left out is in `unplayed`, what it did
    otherwise in `divergence`.

    Args:
        name: Name of the run.
        agent: Name of its agent.
        recorded: The recording to replay; None to record.
        apart: What to do where the run and its recording part.
        fields: What of a request is compared.
        facts: Facts of the run to write into the recording.
        veil: What redacts all that comes in; None: nothing is.
        exchange: Which live values stand for which recorded ones.
        minting: What finds minted values while the run is recorded.
        strip: Journal of what is recorded; an interrupted recording goes on from it.
        unknown: Keys that the library version that recorded did not know, by kind of message and part: not compared.
            None: it is the one that replays.
    """

    def __init__(
        self,
        *,
        name: str,
        agent: str,
        recorded: Run | None = None,
        apart: Apart = 'stop',
        fields: Sequence[Field] = FIELDS,
        facts: JsonObject | None = None,
        veil: Veil | None = None,
        exchange: Exchange | None = None,
        minting: RunMinting | None = None,
        strip: Strip | None = None,
        unknown: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.name = name
        self.agent = agent
        self.run: Run | None = recorded
        self.recorded = recorded
        self.divergence: Divergence | None = None
        self.raised: Raised | None = None
        self.state = 'new'
        self.at = -1
        self.kinds: list[str] = []
        self.requests = 0
        self.ended_as_recorded = False
        """Whether the run was left with the very bytes of its recording."""
        self.fresh = recorded is None
        """Whether the run is none that the cassette has: recorded, from some place on, or bound to other requests."""
        self._apart: Apart = apart
        self._veil = veil
        self._strip = strip
        self._facts = facts or {}
        self._playback = None
        if recorded is not None:
            self._playback = Playback(recorded, fields=fields, exchange=exchange, unknown=unknown)
        self.left_out: list[Difference] = [] if self._playback is None else self._playback.left_out
        """What differs in fields that are not compared."""
        self._draft = Draft() if recorded is None or apart != 'stop' else None
        self.exchange = Exchange() if exchange is None else exchange
        """Which live values stand for which recorded ones, for tools that run live."""
        self._minting = None if self._draft is None else minting
        self._plays = recorded is not None and apart == 'stop'  # and does nothing else
        self._answered = False  # by the recording
        self._kind = ''
        self._token = 0
        self._effect: Effect | None = None
        self._came = recorded is None or not was_cancelled(recorded)
        self._played: Effect | None = None  # the latest that the recording answered
        self._chunks: list[JsonObject] = []  # passed of the response that is streamed

    # -- query

    @property
    def replaying(self) -> bool:
        """Whether the tape replays; otherwise it records."""
        return self._playback is not None

    @property
    def has_to_come(self) -> bool:
        """Whether the recorded run was cancelled, and this one has yet to come so far."""
        return not self._came and self.state != 'over' and self.divergence is None

    @property
    def parted(self) -> bool:
        """Whether the run left its recording, and is recorded from there on."""
        return self.recorded is not None and self._playback is None

    @property
    def unplayed(self) -> tuple[Node, ...]:
        """Recorded nodes that the run has not come to, in order; none while recording."""
        return self._playback.unplayed if self._playback else ()

    # -- feed

    def node(self, kind: str, **facts: Json) -> Wait | Stop | None:
        """Tell that a node is about to run, or that the run came to its `End`.

        Args:
            kind: Class name of the node.
            facts: What no message of the node tells.

        Returns:
            None, or where the run left its recording; `Wait` where the recording was cancelled before it came to a
            node: then this is none of the run, unless `uncancelled` is told and then the node again.

        Raises:
            TapeError: If an effect is being done, or the run is over.
        """
        self._advance('node')
        if self._playback is not None and self._playback.cancelled and self.divergence is None:
            self._kind, self._played, self._came = kind, None, True
            return Wait()
        self.at += 1
        self._kind = kind
        self.kinds.append(kind)
        facts = self._veil.facts(facts) if facts and self._veil is not None else facts
        if self._draft is not None:
            self._draft.node(kind, facts)
        if self._playback is not None and (difference := self._playback.node(kind, facts)) is not None:
            self._compare(difference)
        return None if self.divergence is None else Stop(divergence=self.divergence)

    def begin(self, effect: Effect) -> Answer:
        """Tell what the run is about to do.

        Returns:
            `Replay` with the outcome, `Do` with a token for `end`, or `Stop` where the run left its recording.

        Raises:
            TapeError: If no such effect can come now.
        """
        if 'begin' not in _NEXT[self.state] or self._kind not in _NODES_OF[type(effect)]:
            raise TapeError(self.state, f'begin of {type(effect).__name__}', node=self._kind)
        self.requests += isinstance(effect, Request)
        if self.divergence is not None:
            return Stop(divergence=self.divergence)
        straight = self._playback.straight(effect) if self._plays and self._playback is not None else None
        if straight is not None:
            self._played = effect
            return Replay(outcome=straight)
        asked, effect = effect, self._veiled(effect)
        respelt = None if self._playback is None else self._playback.respelt(effect)
        if isinstance(effect, Request) and self._carries:
            told = carried_request(self.exchange, respelt or effect)
            respelt = respelt if told is effect else told
        effect = respelt or effect
        respelt = respelt and self._shown(cast('Request', asked), respelt)
        if self._draft is not None:
            self._draft.begin(effect)
        if self._minting is not None and isinstance(effect, Request):
            self._minting.asked(effect)
        played = self._resumed(effect) if self._playback is None else self._play(self._playback, effect)
        if self._plays and respelt is None and isinstance(asked, Request) and self._playback is not None:
            self._playback.know(asked.definition, cast('Request', effect).definition)
        if played is not None:
            return replace(played, respelt=respelt) if isinstance(played, Replay) and respelt else played
        return self._to_do(effect, respelt)

    def uncancelled(self, *, seconds: float, again: bool = False) -> Do | Stop | None:
        """Tell that a run goes on where it was cancelled when it was recorded, because nobody has cancelled it.

        Args:
            seconds: How long it has waited for that.
            again: Whether the effect that was cut, or the node, can still be done as a whole.

        Returns:
            `Stop`; where a run may go on from its recording, `Do` for the effect, or None for the node.
        """
        found = _uncancelled(self.kinds, seconds, self._played)
        stop = self._compare(found, at=max(self.at, 0), lacking=not again)
        return stop if stop is not None or self._played is None else self._to_do(self._played)

    def chunk(self, token: int, chunk: JsonObject) -> None:
        """Tell what passed of a response that is streamed: its state when it opens, then each event, then changes.

        Raises:
            TapeError: If no streamed request is being made by that token.
        """
        if not (isinstance(self._effect, Request) and self._effect.streamed and token == self._token):
            raise TapeError(self.state, f'chunk of effect {token}', node=self._kind)
        self._advance('chunk')
        self._chunks.append(chunk)

    def end(self, token: int, outcome: Outcome) -> None:
        """Tell what came of an effect that the tape asked to be done.

        Raises:
            TapeError: If that effect is not being done, or has no such outcome.
        """
        event = f'end of effect {token} with {type(outcome).__name__}'
        effect = self._effect
        if effect is not None and (token != self._token or not isinstance(outcome, _OUTCOMES_OF[type(effect)])):
            raise TapeError(self.state, event, node=self._kind)
        self._advance('end')
        self._effect = None
        self._ended(outcome, effect)

    def finish(self, finish: Finish) -> bytes:
        """Tell how the run was left. After that `run`, `unplayed` and `divergence` are final.

        Returns:
            The messages that the run is to show: with minted values as they were recorded.

        Raises:
            TapeError: If the run is over already.
        """
        self._advance('finish')
        if self._chunks:  # nobody saw to the end of the stream
            self._ended(Cut())
        shown = finish.messages
        if self._plays and self._ends_as_recorded(finish):
            self.ended_as_recorded = True
            return shown
        finish = finish if self._veil is None else self._veil.finish(finish)
        seen = finish.messages
        if self._minting is not None:
            self._minting.left(finish.messages)
        if self._playback is not None:
            finish = self._playback.respelt_end(finish)
        if self._carries:
            finish = carried_end(self.exchange, finish)
        if finish.messages != seen:
            shown = self._unveiled(shown, finish.messages)
        self.raised = finish.raised
        if self._playback is not None and self.divergence is None and not self.unplayed:
            found = self._playback.finish(finish)
            if found is not None:
                self._compare(found[1], at=found[0])
        if self.fresh and self._draft is not None and self.divergence is None:
            self.run = self._written(self._draft, finish)
        return shown

    def kept(self, ended: Ended) -> Ended:
        """What would be kept of outcomes of calls: without their secrets."""
        return ended if self._veil is None else self._veil.ended(ended)

    # -- private

    def _ends_as_recorded(self, finish: Finish) -> bool:
        playback = self._playback
        if playback is None or self.divergence is not None or self._chunks or playback.unplayed:
            return False
        return playback.ends_as_recorded(finish)

    @property
    def _carries(self) -> bool:
        """Whether the run is recorded, or may be, beside others that were replayed with other values."""
        return self._draft is not None and self.exchange.bound

    def _shown(self, asked: Request, respelt: Request) -> Request:
        """A respelt request as the run may see it: with its secrets, if it has any."""
        sent = [self._unveiled(*pair) for pair in zip(asked.sent, respelt.sent, strict=True)]
        return replace(respelt, message=self._unveiled(asked.message, respelt.message), sent=sent)

    def _unveiled(self, live: bytes, respelt: bytes) -> bytes:
        return respelt if self._veil is None else self._veil.unveiled(live, respelt, self.exchange)

    def _veiled(self, effect: Effect) -> Effect:
        """The effect without its secrets. One that the recording has is as free of them as that is."""
        if self._veil is None:
            return effect
        if self._draft is None and self._playback is not None and self._playback.has(effect):
            return self._veil.known(effect)
        return self._veil.effect(effect)

    def _ended(self, outcome: Outcome, effect: Effect | None = None) -> None:
        if self._chunks and isinstance(outcome, Answered | Failed | Cut):
            outcome = replace(outcome, stream=_with_ending(self._chunks, outcome))
            self._chunks = []
        outcome = outcome if self._veil is None else self._veil.outcome(outcome)
        outcome = carried_outcome(self.exchange, outcome) if self._carries else outcome
        if self._strip is not None and effect is not None:
            self._strip.note(effect, outcome)
        self._keep(outcome)

    def _keep(self, outcome: Outcome) -> None:
        if self._draft is not None:
            self._draft.end(outcome)
        if self._minting is not None:
            self._minting.answered(outcome)

    def _to_do(self, effect: Effect, respelt: Request | None = None) -> Do:
        self._advance('begin')
        self._effect = effect
        self._chunks = []
        self._token += 1
        return Do(token=self._token, respelt=respelt)

    def _advance(self, event: str) -> None:
        if event not in _NEXT[self.state]:
            raise TapeError(self.state, event, node=self._kind)
        self.state = _NEXT[self.state][event]

    def _resumed(self, effect: Effect) -> Answer | None:
        """What an interrupted recording had for an effect."""
        outcome = None if self._strip is None else self._strip.answer(effect)
        if outcome is None:
            return None
        self._keep(outcome)
        return Replay(outcome=outcome)

    def _play(self, playback: Playback, effect: Effect) -> Answer | None:
        """What the recording has for an effect; None if the run and its recording part here, and it is to be done."""
        difference = playback.compare(effect)
        stop = self._compare(difference)
        if stop is not None or self._playback is None:
            return stop
        outcome = playback.answer(effect)
        if isinstance(outcome, Difference):
            return self._compare(outcome, lacking=True)
        self._answered |= isinstance(outcome, Answered)
        self._played = effect
        self._came |= isinstance(outcome, Cut) or (isinstance(outcome, Ended) and outcome.cut)
        self._keep(outcome)
        return Replay(outcome=outcome)

    def _compare(self, difference: Difference | None, *, at: int | None = None, lacking: bool = False) -> Stop | None:
        """Take note of a difference. The first one that the tape stops at, it stays with."""
        if self.divergence is None and difference is not None and not self._goes_on(difference, lacking=lacking):
            at = self.at if at is None else at
            nodes = self.run.nodes if self.run else ()
            kind = nodes[at].kind if at < len(nodes) else self._kind
            self.divergence = locate(difference, run=self.name, agent=self.agent, node=at, kind=kind)
        return None if self.divergence is None else Stop(divergence=self.divergence)

    def _goes_on(self, difference: Difference, *, lacking: bool) -> bool:
        """Whether the run goes on all the same; what it does is written down then."""
        if self._apart == 'stop' or (lacking and difference.cause == 'cancellation'):
            return False
        if self._apart == 'record':
            self._playback = None
        elif lacking or difference.cause in NO_ANSWER:
            return False
        self.fresh = True
        return True

    def _written(self, draft: Draft, finish: Finish) -> Run:
        """The run as it was recorded, with the marks that it has for its answers."""
        facts = self._facts if self._veil is None else self._veil.facts(self._facts)
        if self.recorded is not None:  # where the times of its beginning come from
            facts = facts | {name: self.recorded.facts[name] for name in ('imported',) if name in self.recorded.facts}
        run = draft.written(finish, name=self.name, agent=self.agent, facts=facts)
        if self._minting is not None:
            self._minting.untold(run.nodes)
        if self._minting is not None and self._minting.noted:
            run = replace(run, minted=self._minting.noted)
        old = self.recorded.marks if self.recorded and self._answered else ()
        marks = dict.fromkeys([*old, *([REBOUND] if self._apart == 'rebind' else [])])
        run = replace(run, marks=tuple(marks)) if marks else run
        return run if self._veil is None else marked(run)


def _with_ending(chunks: list[JsonObject], outcome: Answered | Failed | Cut) -> Stream:
    if has_ending(chunks):
        return tuple(chunks)
    match outcome:
        case Answered():
            return (*chunks, {'over': True})
        case Failed():
            return (*chunks, {'raised': True})
        case _:
            return (*chunks, {'cut': 'cancelled' if outcome.cancelled else True})


_CUT_SHORT: Mapping[type[Effect], str] = {
    Request: 'while the model was asked',
    Count: 'while tokens were counted',
    Calls: 'while tools ran',
}


def _uncancelled(kinds: Sequence[str], seconds: float, asked: Effect | None) -> Difference:
    after = f'after node {len(kinds) - 1} {kinds[-1]}' if kinds else 'before the first node'
    where = after if asked is None else _CUT_SHORT[type(asked)]
    return Difference(
        cause='cancellation',
        field='interrupted' if asked is None else 'cut',
        recorded=f'cancelled {where}',
        live=f'not cancelled within {seconds:g} s',
    )
