"""The front door: a reverse proxy that spreads requests over backends and hides their failures.

The way of a request through the files: `client.py` parses it, `request_head.py` decides whether
it has one meaning and rewrites its head, `exchange.py` picks a backend (`backends.py`), sends it
there over a kept connection (`upstream.py`), tries another one when that is safe (`retry.py`) and
hands the answer (`response_head.py`) back piece by piece. `proxy.py` holds what all requests of a
worker share; `health.py` asks the backends how they are; `admin.py` answers on its own port.
"""
