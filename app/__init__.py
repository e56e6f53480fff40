"""The service: asks an external service that may fail, keeps every answer, gives it back by id.

`handlers.py` and `upstream.py` are where your own code goes. Around them:

- `resilience/`: deadline, retries, fallback; wraps any async function;
- `service.py`: what handlers work with; `records.py`, `ids.py`, `id_source.py`: keeping answers;
- `observe.py`, `metrics.py`: what surrounds each request; `operations.py`: health and metrics;
- `server.py`: HTTP and how it ends; `worker.py` wires all of it in each worker process, and
  `__main__.py` is the parent.
"""
