"""Every error of this package: what was expected, what came, where, and what to type next.

One class for each kind of fix that a person has to make, all below `ReplayError`. The facts of the text are attributes.
"""

# ruff: noqa: N818  # the names say what happened; "Error" after each would add nothing

from dataclasses import dataclass
from typing import ClassVar

__all__ = (
    'CassetteDamaged',
    'CassetteInconsistent',
    'CassetteNotFound',
    'CassetteTooNew',
    'HistoryInvalid',
    'NameRefused',
    'NotRestorable',
    'NotSupported',
    'ReplayError',
    'ReplayWarning',
    'StoreFailed',
    'Where',
    'rows_text',
)

_LABEL_WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place that an error speaks of; what is not known is left out of the text."""

    cassette: str | None = None
    run: str | None = None
    node: str | None = None
    """Index and kind: `3 ModelRequestNode`."""
    field: str | None = None

    def __str__(self) -> str:
        named = (('', self.cassette), ('run ', self.run), ('node ', self.node), ('field ', self.field))
        return '  '.join(f'{label}{value}' for label, value in named if value is not None)


class ReplayError(Exception):
    """Root of all errors of this package. Its text is `render()`; `headline` alone is the text in one line.

    Args:
        headline: One line that says what is wrong, without a final stop.
        expected: What should have been there.
        got: What was there.
        where: Cassette, run, node and field.
        details: Further rows of the text, label (at most 9 characters) and value, between `got` and `where`.
        next: Commands or steps that help, in order of likelihood.
    """

    block: tuple[str, ...] = ()
    """Lines of the text that stand as they are, above `next`."""
    stops_run: ClassVar[bool] = True
    """Told to `agentrun`: no outcome of a model, so that none that stands in for it is asked."""

    def __init__(
        self,
        headline: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        where: Where | None = None,
        details: tuple[tuple[str, str], ...] = (),
        next: tuple[str, ...] = (),
    ) -> None:
        super().__init__(headline)
        self.headline = headline
        self.expected = expected
        self.got = got
        self.where = where or Where()
        self.details = details
        self.next = next

    def rows(self) -> list[tuple[str, str]]:
        """The facts of the text in order, label and value; a value of several lines holds newlines."""
        rows = [
            ('expected', self.expected or ''),
            ('got', self.got or ''),
            *self.details,
            ('where', str(self.where)),
            ('next', '\n'.join(self.next)),
        ]
        return [(label, value) for label, value in rows if value]

    def render(self) -> str:
        """The whole text: the headline, then one row for each fact that is known. No newline at the end."""
        rows = self.rows()
        last = rows[-1:] if rows and rows[-1][0] == 'next' else []
        block = [f'   {line}'.rstrip() for line in self.block]
        return '\n'.join(
            [f'replay: {self.headline}', *rows_text(rows[: len(rows) - len(last)]), *block, *rows_text(last)]
        )

    def __str__(self) -> str:
        return self.render()


class ReplayWarning(UserWarning):
    """Something that a person should look at, and that options do not let fail."""


class CassetteNotFound(ReplayError):
    """There is no cassette of that name, and nothing may be recorded."""


class CassetteDamaged(ReplayError):
    """A cassette that cannot be read as one.

    Args:
        headline: As for `ReplayError`.
        cause: One of `causes`.
        expected: As for `ReplayError`.
        got: As for `ReplayError`.
        where: As for `ReplayError`.
        next: As for `ReplayError`.

    Raises:
        ValueError: If the cause is none of `causes`.
    """

    causes: ClassVar[tuple[str, ...]] = (
        'empty',
        'truncated',
        'binary',
        'syntax',
        'number',
        'duplicate-key',
        'conflict',
        'too-large',
        'too-deep',
        'seal',
        'unknown-key',
        'shape',
    )
    """What can be wrong with a file, in the order in which it is looked for."""

    def __init__(
        self,
        headline: str,
        *,
        cause: str,
        expected: str | None = None,
        got: str | None = None,
        where: Where | None = None,
        next: tuple[str, ...] = (),
    ) -> None:
        if cause not in self.causes:
            raise ValueError(f'cause {cause!r} is none of {", ".join(self.causes)}')
        super().__init__(headline, expected=expected, got=got, where=where, next=next)
        self.cause = cause


class CassetteTooNew(ReplayError):
    """A cassette of a format that this version does not know yet."""


class CassetteInconsistent(ReplayError):
    """A cassette whose parts contradict each other: messages and nodes, lines of the provider and responses, ..."""


class NotRestorable(ReplayError):
    """A recording that its own text would not bring back: nothing is written."""


class NotSupported(ReplayError):
    """Something real that this version cannot do, refused by name."""


class HistoryInvalid(ReplayError):
    """A message history handed to the import that cannot be one."""


class NameRefused(ReplayError):
    """A cassette name that would leave the folder of cassettes, or that no file system takes."""


class StoreFailed(ReplayError):
    """The disk said no: reading, writing or renaming failed. No file was changed."""


def rows_text(rows: list[tuple[str, str]]) -> list[str]:
    """Lay out rows as in the terminal: labels in one column, further lines of a value below its first.

    Args:
        rows: Label and value of each row, in order; a newline in a value begins a further line.

    Returns:
        Lines without their newlines, indented by three columns.
    """
    lines: list[str] = []
    for label, value in rows:
        first, *more = value.split('\n')
        lines.append(f'   {label:<{_LABEL_WIDTH - 1}} {first}'.rstrip())
        lines.extend(f'   {"":<{_LABEL_WIDTH}}{line}'.rstrip() for line in more)
    return lines
