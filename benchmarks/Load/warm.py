#!/usr/bin/env python3
"""Warm load: slices of POST {} alternately on a bare Node HTTP echo and on Frusta (blocking=true&result=true), with wrk.

  warm.py [--seconds 2] [--slices 3] [--connections 1,4,16,64,256] [--actions 1,100] [--flag --Section:Key=VALUE ...]

Prints, for each number of connections and actions, the median requests a second of both, their ratio in this one run, p50 and
p99, errors, and the server's CPU for a call. Everything stays on loopback and stops by itself.
"""
import argparse, os, tempfile
from peers import BareNode, Frusta, median, warm_up, wrk, wrk_script

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=int, default=2)
options.add_argument("--slices", type=int, default=3)
options.add_argument("--connections", default="1,4,16,64,256")
options.add_argument("--actions", default="1,100")
options.add_argument("--flag", action="append", default=[])
given = options.parse_args()

folder = tempfile.mkdtemp(prefix="frusta-load-")
frusta, node = Frusta("--Invoker:Pool:Memory=16000", *given.flag), BareNode()
errors_in_all = 0
try:
    print("idle: %.0f MB resident, ready after %.2f s" % (frusta.resident_mb(), frusta.ready_seconds))
    print("actions     c   bare node/s  p50/p99 ms      frusta/s  p50/p99 ms    ratio  errors  us CPU/call")
    bare = wrk_script(folder, ["/"])
    for actions in map(int, given.actions.split(",")):
        names = ["load%d" % i for i in range(actions)]
        for name in names:
            frusta.put_action(name)
        paths = ["/api/v1/namespaces/_/actions/%s?blocking=true&result=true" % name for name in names]
        for path in paths:
            frusta.call("POST", path, {})
        script = wrk_script(folder, paths)
        warm_up(script, frusta.port, paths[0], actions)
        for connections in map(int, given.connections.split(",")):
            wrk(script, frusta.port, paths[0], connections, 1)
            ours, theirs, cpu = [], [], []
            for _ in range(given.slices):
                theirs.append(wrk(bare, node.port, "/", connections, given.seconds))
                before = frusta.cpu_seconds()
                ours.append(wrk(script, frusta.port, paths[0], connections, given.seconds))
                cpu.append((frusta.cpu_seconds() - before) * 1e6 / max(1, ours[-1][0] * given.seconds))
            errors = sum(slice[3] for slice in ours)
            errors_in_all += errors
            rate, base = median([s[0] for s in ours]), median([s[0] for s in theirs])
            print("%7d %5d %13.0f  %5.2f/%-6.2f %13.0f  %5.2f/%-6.2f %8.2f %7d %8.1f" % (
                actions, connections, base, median([s[1] for s in theirs]), median([s[2] for s in theirs]), rate,
                median([s[1] for s in ours]), median([s[2] for s in ours]), median([o[0] / t[0] for o, t in zip(ours, theirs)]), errors, median(cpu)), flush=True)
    print("afterwards: %.0f MB resident" % frusta.resident_mb())
finally:
    frusta.stop()
    node.stop()
raise SystemExit(1 if errors_in_all else 0)
