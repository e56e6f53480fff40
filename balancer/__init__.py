"""The front door: a reverse proxy that spreads requests over backends and hides their failures.

The way of a request through the files: `client.py` parses it, `request_head.py` decides whether
it has one meaning and rewrites its head, `exchange.py` picks a backend (`selection.py`), sends it
there over a kept connection (`upstream.py`), tries another one when that is safe (`retry.py`,
`budget.py`) and hands the answer (`response_head.py`) back piece by piece. `proxy.py` holds what
all requests of a worker share.

Which backends there are: `group.py`, from the settings and from what people changed since
(`membership.py`, kept by `changes_file.py`). Which of them get requests: `health.py` asks them how
they are, `ejection.py` sees how requests fare. `admin.py` answers on its own port, `commands.py`
asks there.
"""
