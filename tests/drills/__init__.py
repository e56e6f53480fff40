"""Drills: the real stack under load, one named fault, and what was promised held against it.

`python -m tests.drills` (or `make drill`) runs them; `scenarios/` has one short file for each. To
add one, add a file there: an `act` that breaks something, and the promises that must hold.

The stack is spoken to as a user would: by HTTP, signals and supervisorctl, and by Redis' own
protocol to see with our own eyes that what was called stored is there. Nothing of the product is
imported, so that a mistake in it cannot hide itself here.
"""
