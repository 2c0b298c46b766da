"""A call that is executed in a replay: with arguments as they are now, and what comes of it in recorded spelling."""

from dataclasses import dataclass, replace
from typing import cast

from pydantic_core import PydanticSerializationError

from agentrun._effects import ToolWork, stops_run
from agentrun._outcomes import ToolOutcome
from agentrun.messages import ToolCallPart
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._errors import raised
from replay.adapters.agentrun._faults import unwritable
from replay.adapters.agentrun._wire import result_json
from replay.canon import Json, JsonObject
from replay.cassette import ToolResult
from replay.effects import Ended
from replay.match import first_difference
from replay.tape import Tape

__all__ = ('Executed', 'executed')


@dataclass(frozen=True, slots=True)
class Executed:
    """What came of a call now."""

    call: ToolCallPart
    result: ToolResult
    came: ToolOutcome | Exception
    """The outcome, or what the tool raised."""
    tape: Tape

    def difference(self, recorded: ToolResult) -> tuple[str, Json, Json] | None:
        """Compare with what was recorded. Values that were minted anew are bound to recorded ones, and no difference.

        Returns:
            Path, recorded value and live value of the first difference; None if there is none.
        """
        kept = self.tape.kept(Ended(started=(), finished=(), results={0: self.result})).results[0]
        exchange, told = self.tape.exchange, _told(recorded)
        respelt = exchange.to_recorded(exchange.respelt(told, _told(kept)))
        return first_difference(told, respelt, self.call.tool_name)

    @property
    def respelt(self) -> ToolResult:
        """The result, with bound minted values as they were recorded."""
        to_recorded, result = self.tape.exchange.to_recorded, self.result
        return replace(
            result,
            content=to_recorded(result.content),
            metadata=to_recorded(result.metadata),
            user_content=to_recorded(result.user_content),
        )


async def executed(conductor: RunConductor, call: ToolCallPart, work: ToolWork, index: int) -> Executed:
    """Execute a call.

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
        return Executed(call, ToolResult(kind='raised', raised=raised(error)), error, tape)
    return Executed(call, result, outcome, tape)


def _told(result: ToolResult) -> JsonObject:
    error = result.raised
    return {
        'kind': result.kind,
        'content': result.content,
        'metadata': result.metadata,
        'user_content': result.user_content,
        'raised': None if error is None else {'type': error.type, 'message': error.message},
    }
