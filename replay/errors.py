"""Every error of this package: what was expected, what came, where, and what to type next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place that an error speaks of; what is not known is left out of the text."""

    cassette: str | None = None
    run: str | None = None
    node: str | None = None
    """Index and kind: `3 ModelRequestNode`."""
    field: str | None = None


class ReplayError(Exception):
    """Root of all errors of this package.

    Args:
        headline: One line that says what is wrong.
        expected: What should have been there.
        got: What was there.
        where: Cassette, run, node and field.
        next: Commands or steps that help, in order of likelihood.
    """

    def __init__(
        self,
        headline: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        where: Where | None = None,
        next: tuple[str, ...] = (),
    ) -> None:
        super().__init__(headline)
        self.headline = headline
        self.expected = expected
        self.got = got
        self.where = where or Where()
        self.next = next
