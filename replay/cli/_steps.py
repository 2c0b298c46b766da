"""What is told of each step of long work, whoever shows it."""

__all__ = ('Steps',)


class Steps:
    """Progress that nobody sees."""

    def expect(self, total: int) -> None:
        """Say how many steps there are, once that is known."""

    def done(self, then: str) -> None:
        """Say that one more step is done, and what comes next."""
