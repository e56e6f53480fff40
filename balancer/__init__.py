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

Where the microseconds go, *measured* with perf and py-spy on `make bench`'s 100 B answers, 34 of
them a request (NGINX: 13; a relay on uvloop that passes bytes on unread: 12):

    14  the kernel: two reads, two writes, one look for what is ready; a write wakes its reader
    17  the interpreter, of which finding out what the request means 2.5, the exchange with
        choice and counts 4, the answer's head 4.5, the log line 2.5, parsers' callbacks 2
     3  uvloop, llhttp, msgspec, the C library

Interpreted, what is left to gain is spread over all of it: no function but the writes has more
than 5 %. `make compile` (`compiled.py`, `compilation.py`) leaves 24: the kernel's 13, 7 in Python's
own library (attributes, dicts, bytes, regular expressions), 1.5 in the compiled code, 2.5 in
uvloop, llhttp and the C library. Of the kernel's share 11 are the two writes, which NGINX pays too.
"""
