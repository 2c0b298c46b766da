"""Loads the plugin from the tree, so that tests run without an installation; shared fixtures, nothing else."""

import pytest

pytest_plugins = ['replay.pytest_plugin', 'pytester']


@pytest.fixture(scope='module', params=['asyncio', 'trio'])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every asynchronous test of this suite on both event loops."""
    return str(request.param)
