"""Between the records, streams and errors of pydantic_ai, whichever version is installed, and those of agentrun."""
