"""Starting, stopping and looking at the whole stack: the commands of `python -m monitoring`."""
