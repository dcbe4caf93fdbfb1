"""The tables of docs/benchmarks.md, measured on this machine, with peers in the same run (``make bench``)."""
