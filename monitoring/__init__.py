"""What the stack shows of itself: metrics, status, dashboards. Imports nothing of ours.

Here lies what the services use: metrics in shared memory (`page`, `catalogue`, `exposition`,
`process`), the access log, types of options, supervisord.conf read as a topology. The rooms are
the operator's: `stack` (up, down, status, logs), `installation` (servers that are not Python),
`console` (the live page), `guardian` (back from FATAL), `dashboards` (Grafana's).
"""
