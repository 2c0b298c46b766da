"""Outputs of a run: which there may be, how the model is asked, and how they are made of what it sends."""

from ._processors import (
    ArgumentsProcessor,
    BaseObjectOutputProcessor,
    BaseOutputProcessor,
    ObjectOutputProcessor,
    OutputValidator,
    OutputValidatorFunc,
    TextOutputProcessor,
)
from ._schema import OutputSchema, build_instructions
from ._toolset import OutputToolset

__all__ = (
    'ArgumentsProcessor',
    'BaseObjectOutputProcessor',
    'BaseOutputProcessor',
    'ObjectOutputProcessor',
    'OutputSchema',
    'OutputToolset',
    'OutputValidator',
    'OutputValidatorFunc',
    'TextOutputProcessor',
    'build_instructions',
)
