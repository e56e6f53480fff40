"""The external service that fails on purpose, at rates that are known, settable and repeatable.

A request to `/data` is decided by two draws (`decision.py`): does it fail, and, if not, is it
slowed down? The fault that was chosen answers it (`faults/`, one file each).

Pure: `decision.py`, `settings.py` (what can be set), `control.py` (what is set now),
`changes.py` and `overrides.py` (what a request asks for), `loopback.py` (who may change it).
Edge: `service.py` (endpoints), `server.py` (start and stop), `observe.py` and `telemetry.py` (log
and metrics), `refusals.py` (errors as JSON), `listen.py`. Composition: `__main__.py`, with the
option types in `options.py`.
"""
