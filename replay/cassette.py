"""What a cassette holds, as plain frozen facts.

This is the wide form: every message is whole wire JSON with all its keys in order. The short, readable form that stands
in the file is `codec`'s affair; it restores to exactly this.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, cast

from .canon import Json, JsonObject
from .facts import fact

FORMAT = 'agentrun-replay/1'
"""Format name and version that this package writes."""

NODE_KINDS = ('UserPromptNode', 'ModelRequestNode', 'CallToolsNode', 'SetFinalResult', 'End')
"""Every kind of node."""

CUT = 'cancelled'
"""What a file and a reader are told of a node that was cut."""


_empty = cast('Callable[[], dict[Any, Any]]', dict)  # to call `dict[str, Json]` takes ten times as long, at every node


@fact
class Definition:
    """What a model request carries beside its messages. Two requests match only if these are equal."""

    instructions: str | None = None
    settings: JsonObject | None = None
    tools: Mapping[str, JsonObject] = field(default_factory=_empty)
    """By name, in order: `description` and `parameters`, and whatever differs from a plain function tool."""
    builtin_tools: tuple[JsonObject, ...] = ()
    output: JsonObject | None = None
    """`mode` and what goes with it (`tools`, `schema`, ...); None for plain text."""


@fact
class Raised:
    """An error as an outcome: enough to raise it again as the same class."""

    type: str
    """Module and qualified name, `builtins` left out: `agentrun.exceptions.ModelHTTPError`."""
    bases: tuple[str, ...] = ()
    """Its public base classes below `Exception`, nearest first."""
    message: str = ''
    """`str()` of the error."""
    args: JsonObject = field(default_factory=_empty)
    """Arguments that make it again, by name; empty if the message is all there is."""


@fact
class ToolResult:
    """The outcome of one tool call that the next request does not tell: `kind` says which of the fields count."""

    kind: str
    """`return`, `retry`, `external`, `unapproved` or `raised`."""
    content: Json = None
    """What was returned or what the retry says, as wire JSON."""
    metadata: Json = None
    user_content: Json = None
    """Extra user content of a `ToolReturn`."""
    types: JsonObject = field(default_factory=_empty)
    """Paths from `content` or `metadata` on to the names of types that JSON does not bring back, as `Node.types`."""
    raised: Raised | None = None
    usage: JsonObject = field(default_factory=_empty)
    """By how much the tool itself changed the counters of its run's usage; nested runs tell theirs."""


@fact
class Attempt:
    """A request of one of several models that was not the answer of its node: it failed, or was passed over."""

    model: str
    """Name of the model that was asked."""
    raised: Raised | None = None
    """What it failed with."""
    response: JsonObject | None = None
    """What it answered, whole, if it did not fail."""
    cut: bool = False
    """Whether it was cancelled, by the model around it or from outside."""


@fact
class Node:
    """One node that ran, in the order in which they ran."""

    kind: str
    """`UserPromptNode`, `ModelRequestNode`, `CallToolsNode`, `SetFinalResult` or `End`."""
    message: JsonObject | None = None
    """The message that the node made, whole: the request of a `ModelRequestNode` as it was sent (time and run id set),
    the response of a `CallToolsNode` or `SetFinalResult`."""
    from_history: bool = False
    """Whether `message` is the last of the run's `history`, taken up again, and so no new message of the run: a request
    that a run without a prompt sends again, a response whose calls it goes on with."""
    definition: Definition | None = None
    """Of a `ModelRequestNode`: what the request carried. None if that is not known (imported histories)."""
    stream: tuple[JsonObject, ...] | None = None
    """Of a `ModelRequestNode`: what passed if the response was streamed, as `replay/streams.py` says."""
    counted: JsonObject | None = None
    """Of a `ModelRequestNode`: the usage that was counted before the request, if it was."""
    started: tuple[int, ...] | None = None
    """Of a `CallToolsNode`: indexes of the calls in the order in which they started; None if that is call order."""
    finished: tuple[int, ...] | None = None
    """The same for the order in which they ended."""
    results: Mapping[int, ToolResult] = field(default_factory=_empty)
    """Of a `CallToolsNode`: outcomes by call index, where the parts of the next request do not tell them."""
    attempts: tuple[Attempt, ...] = ()
    """Of a `ModelRequestNode` whose model has several others answer: requests before the one that counted, in order."""
    types: JsonObject = field(default_factory=_empty)
    """Path into `message` to the name of a type that JSON does not bring back. Paths are keys and indexes joined by
    `/`, as in `parts/0/content/when` (`~0` for `~` and `~1` for `/` inside a key)."""
    raised: Raised | None = None
    """The error that the node ended in."""
    cut: bool = False
    """Whether the run was cancelled while it waited for what the node asked for: the model's answer, if that was not
    streamed, a count of tokens, or tool calls, of which `finished` has those that had ended by then."""
    facts: JsonObject = field(default_factory=_empty)
    """What cannot be derived from messages: `deferred_tool_results` of a `UserPromptNode`, `output` of an `End`, ..."""
    then: tuple[JsonObject, ...] = ()
    """Messages appended after this node that no later node holds, whole: the closing request of an output tool at
    `End`, a response at its `ModelRequestNode` if the run was left before anything was done with it."""


@fact
class Run:
    """One agent run: its node list."""

    name: str
    """Path that a person can read: `support`, `support/lookup_order/researcher`, `support#2`."""
    agent: str
    """Name of the agent; the last segment of the name without its ordinal."""
    history: tuple[JsonObject, ...] = ()
    """Messages before the first new one, whole, as the run held them at its end (adjacent ones merged on entry, its
    own time on a request that it took up again)."""
    nodes: tuple[Node, ...] = ()
    facts: JsonObject = field(default_factory=_empty)
    """Settings of the run that differ from the usual: `entry`, `end_strategy`, `imported`."""
    marks: tuple[str, ...] = ()
    """What a reviewer must see: `rebound`, `edited`, `redacted`."""
    minted: Mapping[str, JsonObject] = field(default_factory=_empty)
    """Values that were minted in the run, by name (`uuid-1`): `value` and `by`, the tool or place it came from. At
    these places another value of the same kind is no difference."""

    @property
    def messages(self) -> list[JsonObject]:
        """All messages of the run, handed-in ones first, in the order in which the run appended them."""
        return [*self.history, *self.new_messages]

    @property
    def new_messages(self) -> list[JsonObject]:
        """The messages that the run itself appended, in order."""
        found: list[JsonObject] = []
        for node in self.nodes:
            if node.message is not None and not node.from_history:
                found.append(node.message)
            found.extend(node.then)
        return found


@fact
class Cassette:
    """Everything that one test recorded."""

    test: str | None = None
    """Id of the test that owns it; None for recordings made outside tests."""
    wire: str = 'pydantic-ai 1.38'
    """Name of the table of message shapes that the file was written with."""
    recorded: JsonObject = field(default_factory=_empty)
    """`on`: date, `by`: writer. Changes alone never rewrite a file."""
    runs: tuple[Run, ...] = ()
