"""What a run derives from its own course: times, ids and call places. Writer and reader step through it alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from replay import logical
from replay.canon import Json, JsonObject

RESULT_PARTS = frozenset({'tool-return', 'retry-prompt'})
CALL_PARTS = frozenset({'tool-call', 'builtin-tool-call'})

CHURN = ('tool_call_id', 'id', 'signature', 'provider_name', 'provider_details', 'timestamp')
"""Fields of response parts that a provider churns: they stand in the lines of the provider."""

MESSAGE_CHURN = ('timestamp', 'usage', 'provider_response_id', 'provider_details')
"""The same for fields of a response."""

MODEL_KEYS = ('model_name', 'provider_name', 'provider_url', 'model_id', 'canonical_system')
"""Fields of a response that equal the run's `model` as a rule."""

SELDOM = ('state', 'conversation_id', 'workspace_ref', 'history_digest', 'failed_attempts')
"""Fields of messages that some versions have and a person seldom sees: they are usual as a rule."""

_LOOKAHEAD = 64
"""Generated ids that may be skipped: parts that were made and thrown away, or hold no place in a message."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Course:
    """How far a run has come."""

    name: str
    run_id: str
    model: JsonObject
    conversation_id: str
    imported: bool
    """Whether times are the run's own, so that none is derived."""
    begun: int = 0
    """Model requests begun."""
    calls: list[Json] = field(default_factory=list[Json])
    """Ids of the tool calls in the latest response."""
    place: int = 0
    """Results seen since that response."""
    next_call: int = 1
    """Number of the next generated call id."""

    def now(self) -> str:
        """The logical time, as messages write it."""
        return logical.stamp(self.begun)

    def take_generated(self) -> str:
        """Make the next generated call id."""
        self.next_call += 1
        return logical.call_id(self.name, self.next_call - 1)

    def generated(self, number: int) -> str:
        """Make the generated call id of a number; the next one follows it."""
        self.next_call = number + 1
        return logical.call_id(self.name, number)

    def number_of(self, call_id: Json) -> int | None:
        """Which of the next generated ids this is; None if it is none of them."""
        if self.imported or not isinstance(call_id, str) or not call_id.startswith('pyd_ai_'):
            return None
        ahead = range(self.next_call, self.next_call + _LOOKAHEAD)
        return next((number for number in ahead if logical.call_id(self.name, number) == call_id), None)

    def response_seen(self, message: JsonObject) -> None:
        """Take note of the calls that the next results answer."""
        parts = message.get('parts')
        self.calls = [
            part.get('tool_call_id')
            for part in (parts if isinstance(parts, list) else [])
            if isinstance(part, dict) and part.get('part_kind') == 'tool-call'
        ]
        self.place = 0


def conversation_of(run: str, history: Sequence[JsonObject]) -> str:
    """The conversation that a run belongs to: that of its history, else one that begins with it."""
    found = (message.get('conversation_id') for message in reversed(history))
    return next((text for text in found if isinstance(text, str)), logical.conversation_id(run))


def is_placed(part: JsonObject) -> bool:
    """Whether a part answers the call at its place: every tool result but a retry of no tool."""
    return part['part_kind'] == 'tool-return' or part.get('tool_name') is not None


def usual_finish(calls: list[Json], provider: Json) -> str | None:
    """The finish reason that goes without saying: scripted models, which name no provider, give none."""
    if provider is None:
        return None
    return 'tool_call' if calls else 'stop'


def usual_provider(part: JsonObject, message_provider: Json) -> Json:
    """The provider of a part that goes without saying: signed thinking and built-in calls name the response's."""
    if part['part_kind'] in {'builtin-tool-call', 'builtin-tool-return'} or part.get('signature') is not None:
        return message_provider
    return None


class BuiltinPlaces:
    """Which built-in call a built-in return of the same response answers: the one at the same place."""

    def __init__(self) -> None:
        self._calls: list[Json] = []
        self._returns = count()

    def called(self, call_id: Json) -> None:
        """Take note of a call."""
        self._calls.append(call_id)

    def answered(self) -> Json:
        """Id of the call that the next return answers; None if there is none."""
        place = next(self._returns)
        return self._calls[place] if place < len(self._calls) else None


def offset(base: Json, moment: Json) -> Json:
    """Write a time as microseconds after another one, if that brings it back; else as it is."""
    if not isinstance(base, str) or not isinstance(moment, str):
        return moment
    try:
        steps = (datetime.fromisoformat(moment) - datetime.fromisoformat(base)) // _MICROSECOND
    except (ValueError, TypeError):
        return moment
    return steps if later(base, steps) == moment else moment


def later(base: Json, steps: Json) -> Json:
    """Undo `offset`.

    Raises:
        ValueError: If `base` is no time.
    """
    if not isinstance(base, str) or type(steps) is not int:
        return steps
    try:
        return logical.wire_time(datetime.fromisoformat(base) + timedelta(microseconds=steps))
    except OverflowError:
        raise ValueError(f'{steps} microseconds after {base} is no time') from None
