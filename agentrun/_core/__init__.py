"""The run itself: its state, the machine that decides, and the nodes that carry out."""
