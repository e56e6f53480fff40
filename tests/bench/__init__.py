"""Benchmarks: is it fast? `make bench`, or `python -m tests.bench --help`.

Rules, for whoever adds one:

* Every figure stands beside a peer's, measured in the same run, doing the same job, set up at its
  best. A peer that is not installed is named, with the command that gets it.
* What is measured has a CPU of its own, load and backends run on another; the report says which.
* Rounds alternate (A B A B), so that whatever the machine does, it does to everybody. Figures are
  medians with the smallest and largest; ratios are taken within a round.
* An error during a measurement makes its row invalid. No figure is better than a wrong one.
* The load must not be what is measured: closed loops charge a contender with its own CPU time,
  open loops say how late they were themselves.

A benchmark is one file in `measurements/`; `peers/` has everything that can be started for it.
"""
