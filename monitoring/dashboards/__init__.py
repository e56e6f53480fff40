"""Grafana's dashboards, written in Python.

`python -m monitoring.dashboards` writes the JSON that Grafana loads, monitoring/grafana/dashboards;
a test fails when the two differ. Needs the SDK of the `dev` extra; running the stack does not.
"""
