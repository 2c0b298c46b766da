"""What is asked of the installed pydantic_ai, and what is said when it has changed."""

from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from replay.adapters.pydantic_ai import _compat  # noqa: E402


def test_each_place_that_is_stood_on_is_there():
    _compat.check()


def test_a_place_that_is_gone_is_named_with_the_version(monkeypatch: pytest.MonkeyPatch):
    nodes: Any = _compat._agent_graph.ModelRequestNode
    monkeypatch.delattr(nodes, 'stream')
    with pytest.raises(_compat.HookMissing, match='stream is not what it was') as caught:
        _compat.check()
    assert caught.value.hook == 'ModelRequestNode.stream'
    assert caught.value.version == pydantic_ai.__version__
