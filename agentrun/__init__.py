"""The run of an LLM agent as a walk over nodes, and everything a run needs."""
