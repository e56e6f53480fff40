"""Do Grafana's panels move when something breaks? A measurement of four minutes: `make panels`.

A stack of its own on free ports with a real Prometheus, under light load. Every query of every
dashboard is asked before and while a program is stopped; the panels that are there to show that
must then draw something else.
"""
