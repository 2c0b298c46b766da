"""How old a recording is, by the date that it notes. Today comes from where that date comes from."""

from datetime import date, timedelta

from .canon import Json
from .cassette import Cassette

__all__ = ('days_over', 'oldest_date')


def oldest_date(max_age: timedelta | None, today: Json) -> date | None:
    """The first date on which a recording may have been made; None if any will do.

    Args:
        max_age: How old it may be.
        today: The date that a recording of now would note.
    """
    return None if max_age is None else date.fromisoformat(str(today)) - max_age


def days_over(cassette: Cassette, oldest: date | None) -> int | None:
    """How many days before the oldest date a recording was made.

    Args:
        cassette: The recording.
        oldest: As of `oldest_date`.

    Returns:
        At least 1; None if it is not too old, or notes no date.
    """
    try:
        made = date.fromisoformat(str(cassette.recorded.get('on')))
    except ValueError:
        return None
    return (oldest - made).days if oldest is not None and made < oldest else None
