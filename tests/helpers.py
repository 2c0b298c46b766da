"""What several test modules need: the recorded histories, and the reason for skipping where they are absent."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

CORPUS_ABSENT = 'the recorded histories (shared/corpus, or the folder that AGENTRUN_CORPUS names) are not here'
"""Why a test that needs the corpus is skipped."""


@cache
def corpus_path() -> Path | None:
    """Find the corpus: the folder `AGENTRUN_CORPUS` names, else `shared/corpus` beside the checkout or one level up.

    Returns:
        The path of `histories.jsonl`, or None if there is none.
    """
    checkout = Path(__file__).resolve().parent.parent
    folders = [Path(named)] if (named := os.environ.get('AGENTRUN_CORPUS')) else []
    folders += [checkout.parent / 'shared/corpus', checkout.parent.parent / 'shared/corpus']
    return next((path for folder in folders if (path := folder / 'histories.jsonl').is_file()), None)


@cache
def corpus() -> tuple[dict[str, Any], ...]:
    """Load the recorded runs once, in file order; none where the corpus is absent."""
    path = corpus_path()
    if path is None:
        return ()
    return tuple(json.loads(line) for line in path.read_text(encoding='utf-8').splitlines())


def type_of(value: object) -> Any:
    """The class of a value of which nothing is known statically."""
    return type(value)


def state_of(value: object) -> dict[str, Any]:
    """The attributes of an object of which nothing is known statically."""
    return dict(value.__dict__)
