"""A call that is executed in a replay: with arguments as they are now, and what comes of it in recorded spelling."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai.messages import ToolCallPart
from pydantic_core import PydanticSerializationError

from replay.adapters._executed import Executed
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._faults import unwritable
from replay.adapters.pydantic_ai._outcomes import error_result, return_result
from replay.canon import Json, JsonObject
from replay.cassette import ToolResult
from replay.errors import ReplayError
from replay.tape import Tape

__all__ = ('Work', 'executed', 'live_args', 'of_error', 'of_value')


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call that came through."""

    call_id: str
    messages: Sequence[object]
    """The run's messages; the response that made the call is the last one that has it."""
    args: dict[str, Any]
    """Its arguments, valid."""
    annotation: Any
    """What the function says that it returns; `Any` if that is unknown."""
    do: Callable[[dict[str, Any]], Awaitable[Any]]
    """Runs the tool with arguments."""
    validated: Callable[[Any], dict[str, Any]]
    """Makes valid arguments of those that a model has written."""


async def executed(
    conductor: RunConductor, call: ToolCallPart, work: Work, args: dict[str, Any]
) -> Executed[Exception | None]:
    """Execute a call: what the tool raised, if it did.

    Args:
        conductor: Of the run.
        call: The call.
        work: The means.
        args: What to call the tool with.

    Raises:
        ReplayError: If the tool returns or raises what JSON cannot hold, or a run inside of it stops.
    """
    try:
        value = await work.do(args)
        result = of_value(conductor, call.tool_name, value, work.annotation)
    except Exception as error:
        if isinstance(error, ReplayError):
            raise
        return Executed(call.tool_name, of_error(conductor, call.tool_name, error), error, conductor.tape)
    return Executed(call.tool_name, result, None, conductor.tape)


def live_args(tape: Tape, call: ToolCallPart, work: Work) -> dict[str, Any]:
    """The arguments of a call of a replay, with values of today where they have minted ones.

    Arguments that are not those of the model, as of calls that were approved with others, are of today already.
    """
    written = cast('str | JsonObject', call.args or {})
    live = tape.exchange.to_live(cast('Json', written))
    if live == written or work.validated(written) != work.args:
        return work.args
    return work.validated(live)


def of_value(conductor: RunConductor, name: str, value: Any, annotation: Any) -> ToolResult:
    """Write down what a tool returned.

    Raises:
        ReplayError: If JSON cannot hold it.
        UserError: If a tool must not return it.
    """
    try:
        return return_result(name, value, annotation)
    except PydanticSerializationError as error:
        raise unwritable(conductor, f'what tool {name!r} returned', error) from None


def of_error(conductor: RunConductor, name: str, error: Exception) -> ToolResult:
    """Write down what a tool raised.

    Raises:
        ReplayError: If JSON cannot hold it.
    """
    try:
        return error_result(error)
    except PydanticSerializationError as fault:
        raise unwritable(conductor, f'what tool {name!r} raised', fault) from None
