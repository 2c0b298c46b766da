import inspect
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from agentrun._docstrings import Descriptions, read_docstring
from agentrun._function_schema import function_schema
from agentrun._json_schema import GenerateToolJsonSchema
from agentrun.exceptions import UserError


def bare(x: int) -> int:
    return x


def plain(x: int) -> int:
    """Do it.

    At length.
    """
    return x


def google(x: int) -> int:
    """Do it.

    Args:
        x: The x.

    Returns:
        The result.
    """
    return x


def sphinx(x: int) -> int:
    """Do it.

    :param x: The x.
    """
    return x


def numpy(x: int) -> int:
    """Do it.

    Parameters
    ----------
    x : int
        The x.
    """
    return x


def read(function: Callable[..., Any], style: Any = 'auto') -> Descriptions:
    return read_docstring(function, inspect.signature(function), docstring_format=style)


def test_a_function_without_a_docstring_has_no_description():
    assert read(bare) == Descriptions(None, {})


def test_a_docstring_without_sections_is_the_description():
    assert read(plain) == Descriptions('Do it.\n\nAt length.', {})


@pytest.mark.parametrize('function', [google, sphinx, numpy])
def test_the_style_of_a_docstring_is_told_by_its_headings(function: Callable[..., Any]):
    assert read(function).parameters == {'x': 'The x.'}


def test_a_docstring_without_headings_is_read_as_googles():
    def f() -> None:
        """Mind: this."""

    assert read(f) == Descriptions('Mind: this.', {})


def test_a_style_that_is_named_is_the_one_that_counts():
    assert read(numpy, 'google').parameters == {}
    assert read(numpy, 'numpy').parameters == {'x': 'The x.'}


def test_what_is_returned_becomes_part_of_the_description():
    assert read(google).function == (
        '<summary>Do it.</summary>\n<returns>\n<description>The result.</description>\n</returns>'
    )


def test_reading_leaves_logging_alone_and_logs_nothing(caplog: pytest.LogCaptureFixture):
    def wrong(x: int) -> int:
        """Do it.

        Args:
            nobody: Is not there.
        """
        return x

    level = logging.root.level
    with caplog.at_level(logging.DEBUG):
        assert read(wrong).parameters == {'nobody': 'Is not there.'}
    assert caplog.records == []
    assert logging.root.level == level


def without_griffe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'griffe', None)


def test_without_griffe_a_docstring_with_sections_is_taken_whole(monkeypatch: pytest.MonkeyPatch):
    without_griffe(monkeypatch)
    assert read(google) == Descriptions(inspect.getdoc(google), {}, parsed=False)
    assert read(plain) == Descriptions('Do it.\n\nAt length.', {})


def test_without_griffe_required_descriptions_say_what_to_install(monkeypatch: pytest.MonkeyPatch):
    without_griffe(monkeypatch)
    with pytest.raises(UserError) as caught:
        function_schema(google, GenerateToolJsonSchema, require_parameter_descriptions=True)
    assert str(caught.value) == (
        'Error generating schema for google:\n'
        "  Reading parameter descriptions needs griffelib: pip install 'agentrun-replay[docstrings]'"
    )


def test_griffe_is_imported_for_sections_only():
    code = (
        'import sys\nfrom agentrun.tools import Tool\n'
        'def f(x: int):\n    """Do it."""\n'
        "Tool(f)\nassert 'griffe' not in sys.modules\n"
        'f.__doc__ = "Do: it."\n'
        "Tool(f)\nassert 'griffe' in sys.modules"
    )
    subprocess.run([sys.executable, '-c', code], check=True)
