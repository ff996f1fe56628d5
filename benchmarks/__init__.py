"""Measures what a gateway costs: relay beside its peers, on this machine, with one command.

Start it with ``benchmarks/run``; docs/performance.md tells the method and shows results.
"""
