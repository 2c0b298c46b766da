"""What a run does, as plain facts: effects, what came of them, and what a tape answers.

These are the wire forms: an adapter translates between them and the objects of an agent library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from .canon import Json, JsonObject
from .cassette import Definition, Raised, ToolResult
from .facts import fact
from .match import Divergence
from .streams import Stream


@fact
class Request:
    """Effect: ask the model."""

    message: bytes
    """The request that the node made, as wire JSON."""
    sent: Sequence[bytes]
    """Messages that the model is sent, as wire JSON, oldest first: those since the last request, or all of them."""
    appended: bool
    """Whether all that the model was sent before still stands in front of `sent`, unchanged."""
    definition: Definition
    inside: str | None = None
    """Name of the model, if another model asks it as one of several: its node may make more requests."""
    streamed: bool = False
    """Whether the response is to be had as it comes."""


@fact
class Count:
    """Effect: count the tokens of the request that comes next."""


@fact
class Calls:
    """Effect: run tool calls of a response together."""

    response: JsonObject
    """The response that made the calls."""
    calls: Sequence[JsonObject]
    """`tool_name` and `tool_call_id` of each; an index into them names a call in what the tape answers."""


Effect: TypeAlias = Request | Count | Calls
"""What a run is about to do."""


@fact
class Answered:
    """Outcome of a request: the model's response."""

    message: JsonObject
    stream: Stream | None = None
    """What passed, if it was streamed."""


@fact
class Counted:
    """Outcome of a count: usage as wire JSON."""

    usage: JsonObject


@fact
class Failed:
    """Outcome of a request or count that raised."""

    raised: Raised
    stream: Stream | None = None
    """What had passed before, if the response had begun to stream."""


@fact
class Cut:
    """Outcome of a request or count that was left before its end."""

    cancelled: bool = False
    """Whether it was cancelled; else the reader of a stream left it by itself."""
    stream: Stream | None = None
    """What had passed before, if the response had begun to stream."""


@fact
class Ended:
    """Outcome of a batch of calls. Indexes are places in `Calls.calls`."""

    started: Sequence[int]
    """In the order in which the calls started."""
    finished: Sequence[int]
    """In the order in which they ended."""
    results: Mapping[int, ToolResult]
    stopped: bool = False
    """Whether the node ended in an error, as it does where the result of a call is a retry too many."""
    cut: bool = False
    """Whether the batch was cancelled. Calls that are neither in `finished` nor in `results` were cancelled with it;
    those in `results` alone ended all the same, after that."""

    @property
    def failed(self) -> bool:
        """Whether an error ended calls that were still running."""
        return self.stopped or any(result.raised is not None for result in self.results.values())


Outcome: TypeAlias = Answered | Counted | Failed | Cut | Ended
"""What came of an effect."""


@fact
class Replay:
    """Answer: this came of it when it was recorded."""

    outcome: Outcome
    respelt: Request | None = None
    """The request with minted values as they were recorded, if it holds others: what messages are to show."""


@fact
class Do:
    """Answer: carry it out, and give `end` the token with what came of it."""

    token: int
    respelt: Request | None = None
    """As for `Replay`, where a run goes on from its recording."""


@fact
class Stop:
    """Answer: the run has left its recording, here."""

    divergence: Divergence


@fact
class Wait:
    """Answer to a node: the recorded run was cancelled before it came to another one. Wait to be cancelled, too."""


Answer: TypeAlias = Replay | Do | Stop
"""What to do about an effect."""


@fact
class Finish:
    """How a run was left."""

    messages: bytes
    """All messages of the run as the wire JSON array that `all_messages_json()` gives."""
    new_from: int
    """Index of the first new one."""
    raised: Raised | None = None
    """The error that ended it."""
    facts: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Facts of the run that are known only now."""
