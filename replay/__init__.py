"""Record agent runs as readable JSON cassettes and replay them byte for byte."""
