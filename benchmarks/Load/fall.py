#!/usr/bin/env python3
"""Whether requests a second fall with the number of clients: slices at two numbers of connections in turn, on Frusta, on a bare Node
server, and, with --relay, on a relay that does no work (floor.c, needs Debian's gcc).

  fall.py [--pairs 8] [--few 16] [--many 256] [--seconds 5] [--relay]

Prints for each the medians, their ratio, and the median of the pairs' ratios. Opening the connections and the calls that
are cut off at its end are part of a slice: with 256 connections they cost some 30 to 40 ms, so that slices of a second show 3 to 4 % of fall
that no longer load has. Stays on loopback and stops by itself.
"""
import argparse, tempfile
from peers import BareNode, Frusta, Relay, median, warm_up, wrk, wrk_script

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--pairs", type=int, default=8)
options.add_argument("--few", type=int, default=16)
options.add_argument("--many", type=int, default=256)
options.add_argument("--seconds", type=float, default=5)
options.add_argument("--relay", action="store_true")
given = options.parse_args()

folder = tempfile.mkdtemp(prefix="frusta-fall-")
frusta, node = Frusta(), BareNode()
relay = Relay(folder, 1) if given.relay else None
errors = 0
try:
    frusta.put_action("fall")
    path = "/api/v1/namespaces/_/actions/fall?blocking=true&result=true"
    loads = {"bare node": (wrk_script(folder, ["/"]), node.port, "/"), "frusta": (wrk_script(folder, [path, path]), frusta.port, path)}
    if relay:
        loads["relay"] = (loads["bare node"][0], relay.port, "/")
    warm_up(*loads["frusta"], 1)
    for load in loads.values():
        wrk(*load, given.many, 3)
    rates = {(name, connections): [] for name in loads for connections in (given.few, given.many)}
    for pair in range(given.pairs):
        for connections in (given.few, given.many) if pair % 2 == 0 else (given.many, given.few):
            for name, load in loads.items():
                slice = wrk(*load, connections, given.seconds)
                rates[name, connections].append(slice[0])
                errors += slice[3]
    for name in loads:
        few, many = rates[name, given.few], rates[name, given.many]
        print("%-10s c=%d %6.0f/s  c=%d %6.0f/s  ratio %.3f  median of the pairs' ratios %.3f" % (
            name, given.few, median(few), given.many, median(many), median(many) / median(few), median([m / f for f, m in zip(few, many)])))
    print("errors: %d" % errors)
finally:
    frusta.stop()
    node.stop()
    if relay:
        relay.stop()
raise SystemExit(1 if errors else 0)
