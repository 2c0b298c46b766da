"""A call that is executed in a replay: with arguments as they are now, and what comes of it in recorded spelling."""

from typing import cast

from pydantic_core import PydanticSerializationError

from agentrun._effects import ToolWork, stops_run
from agentrun._outcomes import ToolOutcome
from agentrun.messages import ToolCallPart
from replay.adapters._executed import Executed
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._errors import raised
from replay.adapters.agentrun._faults import unwritable
from replay.adapters.agentrun._wire import result_json
from replay.canon import Json, JsonObject
from replay.cassette import ToolResult

__all__ = ('executed',)


async def executed(
    conductor: RunConductor, call: ToolCallPart, work: ToolWork, index: int
) -> Executed[ToolOutcome | Exception]:
    """Execute a call: its outcome, or what the tool raised.

    Args:
        conductor: Of the run.
        call: The call, as recorded.
        work: The means.
        index: Its place in the batch.

    Raises:
        ReplayError: If the tool returns what JSON cannot hold, or a run inside of it stops.
    """
    tape = conductor.tape
    args = call.args and cast('str | JsonObject', tape.exchange.to_live(cast('Json', call.args)))
    try:
        outcome = await work.execute(index, args)
        result = result_json(call, outcome, work.returns(index))
    except PydanticSerializationError as error:
        raise unwritable(conductor, f'what tool {call.tool_name!r} returned', error) from None
    except Exception as error:
        if stops_run(error):
            raise
        return Executed(call.tool_name, ToolResult(kind='raised', raised=raised(error)), error, tape)
    return Executed(call.tool_name, result, outcome, tape)
