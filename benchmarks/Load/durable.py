#!/usr/bin/env python3
"""Durable accepts: non-blocking invocations (202) with wrk at c=64 while they run, and what a full backlog does.

  durable.py [--seconds 5] [--connections 64]

Prints accepts a second, how many ran meanwhile, refusals (503) and the server's resident memory before and after.
"""
import argparse, os, tempfile
from peers import Frusta, wrk, wrk_script

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=float, default=5)
options.add_argument("--connections", type=int, default=64)
given = options.parse_args()
folder = tempfile.mkdtemp(prefix="frusta-durable-")
frusta = Frusta()
try:
    frusta.put_action("accept")
    path = "/api/v1/namespaces/_/actions/accept"
    frusta.call("POST", path + "?blocking=true", {})
    before = frusta.resident_mb()
    rate, p50, p99, errors = wrk(wrk_script(folder, [path]), frusta.port, path, given.connections, given.seconds)
    print("accepts: %.0f/s at c=%d, p50 %.2f ms, p99 %.2f ms, %d refused or failed" % (rate, given.connections, p50, p99, errors))
    print("memory: %.0f MB before, %.0f MB after" % (before, frusta.resident_mb()))
    print("\n".join(line for line in frusta.metrics().splitlines() if "_bus_" in line and not line.startswith("#")))
finally:
    frusta.stop()
