"""Loads the plugin from the tree, so that tests run uninstalled; fixtures and Hypothesis profiles that all share."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ['replay.pytest_plugin', 'pytester']

# `too_slow` and deadlines judge the machine, not the code: machines that are shared fail them at random.
_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
# The same examples each time: a change turns red for what it does, not for the luck of a draw. `nightly` draws anew.
settings.register_profile('ci', _COMMON, max_examples=100, derandomize=True)
settings.register_profile('nightly', _COMMON, max_examples=10_000)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'ci'))


@pytest.fixture(scope='module', params=['asyncio', 'trio'])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every asynchronous test of this suite on both event loops."""
    return str(request.param)


def pytest_collection_finish() -> None:
    """Leave what collecting made out of garbage collections: tests that look for what a run leaves behind call many."""
    gc.collect()
    gc.freeze()
