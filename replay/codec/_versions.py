"""A recording of one library version as another one would have made it: the same short form, read by another table."""

from typing import cast

from replay.canon import JsonObject, dumps, own
from replay.cassette import Cassette, Run
from replay.errors import CassetteDamaged, CassetteInconsistent, NotRestorable, ReplayError, Where
from replay.shapes import TABLES

from ._faults import Place
from ._read import read_cassette
from ._write import MisfitError, pack_cassette


class OtherVersion(ReplayError):  # noqa: N818, named for what is wrong, as its kin
    """A recording tells what messages of the library version that replays it cannot.

    Args:
        run: Name of the run.
        wire: Table that it was written with.
        to: Table of the version that replays.
        error: What does not fit.
    """

    def __init__(self, run: str, wire: str, to: str, error: Exception) -> None:
        super().__init__(
            f'a recording with messages of {wire} does not mean the same under {to}',
            expected=f'what messages of {to} can say',
            got=str(error),
            where=Where(run=run),
            next=(f'replay it with the version that wrote it ({wire})', 'or record it anew with the one that is here'),
        )
        self.wire = wire
        self.to = to


def as_version(run: Run, *, wire: str, to: str) -> Run:
    """Read a run as another library version would have written it.

    What goes without saying in the one goes without saying in the other; so keys that only one of them knows count
    only where they say something.

    Args:
        run: The run.
        wire: Table of the version that wrote it.
        to: Table of the version that replays it.

    Returns:
        The run itself where there is nothing to change, or nothing is known of a table.

    Raises:
        OtherVersion: If it says what the other version cannot.
    """
    if wire == to or wire not in TABLES or to not in TABLES:
        return run
    try:
        packed = pack_cassette(Cassette(wire=wire, runs=(run,)), TABLES[wire])
        document = cast('JsonObject', own(dumps(packed)))
        return read_cassette({**document, 'wire': to}, Place(wire)).runs[0]
    except (CassetteDamaged, CassetteInconsistent, NotRestorable, MisfitError) as error:
        raise OtherVersion(run.name, wire, to, error) from None
