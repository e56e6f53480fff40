"""`python -m monitoring verify-grafana`: does a running Grafana show what it should?

Asked as a browser would ask it: is it healthy, does its data source reach Prometheus, did it load
the four dashboards, does every query of every panel bring data.

Tested against a server of our own that answers as Grafana's HTTP API documents it
(tests/grafana_server.py); where CI runs, no Grafana can be had.
"""
