"""What the tests of pydantic_ai's agents share."""

import pytest


@pytest.fixture(scope='module')
def anyio_backend() -> str:
    """One event loop only: pydantic_ai, in every version tried, starts its tasks with asyncio and fails on trio."""
    return 'asyncio'
