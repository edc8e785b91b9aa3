#!/usr/bin/env python3
"""Durable accepts: non-blocking invocations (202) with wrk at c=64 while they run, and what a full backlog does.

  durable.py [--seconds 5] [--slices 3] [--connections 64] [--warm 15]

Prints for each slice accepts a second, how many ran meanwhile, and refusals; then the median, and the server's resident memory before and
after. The queue of the action is made long enough for what is accepted faster than it runs.
"""
import argparse, re, tempfile, time
from peers import Frusta, median, wrk, wrk_script

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=int, default=5)
options.add_argument("--slices", type=int, default=3)
options.add_argument("--connections", type=int, default=64)
options.add_argument("--warm", type=int, default=15, help="seconds of load before the first slice: the runtime compiles what is hot meanwhile")
given = options.parse_args()
folder = tempfile.mkdtemp(prefix="frusta-durable-")
frusta = Frusta("--Invoker:Queue:PerAction=200000", "--Invoker:Queue:PerNamespace=200000", "--Invoker:Queue:All=200000",
                "--Invoker:Queue:PerNamespaceBytes=1073741824", "--Invoker:Queue:AllBytes=1073741824")


def count(name):
    return int(re.search(r"^%s (\d+)" % name, frusta.metrics(), re.MULTILINE).group(1))


try:
    frusta.put_action("accept")
    path = "/api/v1/namespaces/_/actions/accept"
    frusta.call("POST", path + "?blocking=true", {})
    before = frusta.resident_mb()
    script = wrk_script(folder, [path])
    wrk(script, frusta.port, path, given.connections, given.warm)
    rates = []
    for _ in range(given.slices):
        while count("gauge_bus_pending") > 0:
            time.sleep(0.1)
        ran = count("counter_bus_finished_total")
        rate, p50, p99, errors = wrk(script, frusta.port, path, given.connections, given.seconds)
        ran = count("counter_bus_finished_total") - ran
        rates.append(rate)
        print("accepts: %.0f/s at c=%d, p50 %.2f ms, p99 %.2f ms, %d refused or failed; %.0f/s ran meanwhile"
              % (rate, given.connections, p50, p99, errors, ran / given.seconds), flush=True)
    print("median: %.0f/s; memory: %.0f MB before, %.0f MB after; %d sandboxes, stem cells included"
          % (median(rates), before, frusta.resident_mb(), count("sandbox_running")))
finally:
    frusta.stop()
