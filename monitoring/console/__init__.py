"""`python -m monitoring.console`: what runs, in a browser."""
