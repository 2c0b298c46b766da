"""`python -m replay` is the command `replay`."""

from .cli import main

main()
