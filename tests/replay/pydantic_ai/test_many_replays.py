"""A few of the replays that `many_replays.py` makes by the hundred."""

from pathlib import Path

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from replay.modes import Mode  # noqa: E402
from tests.replay.pydantic_ai import many_replays  # noqa: E402


def test_processes_with_different_hash_seeds_replay_every_case_to_one_result(capsys: pytest.CaptureFixture[str]):
    assert many_replays.main(3) == 0, capsys.readouterr().out
    assert '84 replays, 28 distinct results for 28 cases' in capsys.readouterr().out


def test_a_result_that_differs_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    results = iter([['text run a'], ['text run a'], ['text run b']])

    def told(folder: Path, mode: Mode, seed: int) -> list[str]:
        return next(results)

    monkeypatch.setattr(many_replays, 'in_a_process', told)
    monkeypatch.setattr(many_replays, 'PROCESSES', 1)
    assert many_replays.main(2) == 1
    assert '  1 of 3: text run b' in capsys.readouterr().out
