"""What came of a tool call that was executed in a replay, beside what was recorded of it."""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from replay.canon import Json, JsonObject
from replay.cassette import ToolResult
from replay.effects import Ended
from replay.match import first_difference
from replay.tape import Tape

__all__ = ('Executed',)

_Came = TypeVar('_Came')


@dataclass(frozen=True, slots=True)
class Executed(Generic[_Came]):
    """What came of a call now."""

    name: str
    """Name of the tool."""
    result: ToolResult
    came: _Came
    """The same as the library has it."""
    tape: Tape

    def difference(self, recorded: ToolResult) -> tuple[str, Json, Json] | None:
        """Compare with what was recorded. Values that were minted anew are bound to recorded ones, and no difference.

        Returns:
            Path, recorded value and live value of the first difference; None if there is none.
        """
        kept = self.tape.kept(Ended(started=(), finished=(), results={0: self.result})).results[0]
        exchange, told = self.tape.exchange, _told(recorded)
        respelt = exchange.to_recorded(exchange.respelt(told, _told(kept)))
        return first_difference(told, respelt, self.name)

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


def _told(result: ToolResult) -> JsonObject:
    error = result.raised
    return {
        'kind': result.kind,
        'content': result.content,
        'metadata': result.metadata,
        'user_content': result.user_content,
        'raised': None if error is None else {'type': error.type, 'message': error.message},
    }
