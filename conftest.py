"""Loads the plugin from the tree, so that tests run without an installation; shared fixtures, nothing else."""
