"""`python -m monitoring.guardian`: brings programs back from FATAL."""
