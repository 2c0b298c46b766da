"""The version of both packages, which are one distribution; the build reads it here."""

__version__ = '0.1.0'
