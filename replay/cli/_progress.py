"""Progress as a terminal shows it. Apart from `_out`, so that only a terminal pays for importing rich."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ._steps import Steps

__all__ = ('shown',)


class _Bar(Steps):
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def expect(self, total: int) -> None:
        self._progress.update(self._task, total=total)

    def done(self, then: str) -> None:
        self._progress.update(self._task, advance=1, description=escape(then))


@contextmanager
def shown(first: str) -> Generator[Steps]:
    """Show a bar on the terminal beside the output until the block ends; then it is gone.

    Args:
        first: What is done first.

    Yields:
        What to tell of each step.
    """
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn('{task.description}'))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, progress.add_task(escape(first), total=None))
