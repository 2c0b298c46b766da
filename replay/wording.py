"""Runs that are recorded anew, shown as their cassette will have them: in the words of the recording before.

A test that compares what the fixture gives with a snapshot must not fail while it is recorded anew because a provider
gave new ids: the cassette keeps the old ones, and so do all replays of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from .canon import Json, dumps
from .cassette import Cassette, Run
from .keep import kept
from .playback import all_messages, new_from
from .run_view import RunView
from .session_run import SessionRun

__all__ = ('Wording',)


class Wording:
    """The runs of one session as they are shown."""

    def __init__(self) -> None:
        self.before: Cassette | None = None
        """The cassette that the recording takes the place of, if there is one."""
        self._shown: dict[str, Run] = {}
        self._made_of = 0  # how many runs

    def views(self, runs: Sequence[SessionRun]) -> list[RunView]:
        """Show the runs that have ended, in order.

        Args:
            runs: Those of the session.
        """
        ended = [(run, run.view) for run in runs if run.view is not None]
        if self.before is None:
            return [view for _, view in ended]
        if len(ended) != self._made_of:
            fresh = tuple(run.tape.run for run, _ in ended if run.tape.fresh and run.tape.run is not None)
            worded = kept(self.before, Cassette(runs=fresh)).runs
            self._shown, self._made_of = {run.name: run for run in worded}, len(ended)
        return [self._view(run, view) for run, view in ended]

    def _view(self, run: SessionRun, view: RunView) -> RunView:
        shown = self._shown.get(run.tape.name)
        if shown is None:
            return view
        messages = all_messages(shown)
        return replace(
            view,
            nodes=shown.nodes,
            all_json=dumps(cast('Json', messages)),
            new_json=dumps(cast('Json', messages[new_from(shown) :])),
        )
