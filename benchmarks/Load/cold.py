#!/usr/bin/env python3
"""Cold starts: stem-cell hit and miss for Node and Python, beside a bare node process to its first line, and a burst of 50.

  cold.py [--rounds 15] [--burst 50]

Each first call of a new action is timed from the client. A hit is taken when stem cells are ready; for a miss Frusta runs
without stem cells, and a third of the rounds. Prints p50 and the greatest. With so few rounds the server still compiles its own code.
"""
import argparse, subprocess, threading, time
from peers import PLAIN_ENVIRONMENT, Frusta, median

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--rounds", type=int, default=15)
options.add_argument("--burst", type=int, default=50)
given = options.parse_args()
misses = max(1, given.rounds // 3)
CODE = {"nodejs:20": "function main(a) { return a; }", "python:3.11": "def main(args):\n    return args\n"}


def first_call(frusta, name):
    began = time.monotonic()
    status, answer = frusta.call("POST", "/api/v1/namespaces/_/actions/%s?blocking=true&result=true" % name, {})
    if status != 200:
        raise SystemExit("the first call of %s failed: %s %s" % (name, status, answer))
    return (time.monotonic() - began) * 1000


def stem_cells(frusta):
    line = [l for l in frusta.metrics().splitlines() if l.startswith("gauge_containerPool_prewarmCount_counter ")]
    return float(line[0].split()[1]) if line else 0


def measure(frusta, kind, label, wanted):
    times = []
    for i in range(given.rounds if wanted else misses):
        name = "%s-%s-%d" % (label, kind.split(":")[0], i)
        frusta.put_action(name, CODE[kind], kind, 256)
        until = time.monotonic() + 10
        while wanted and stem_cells(frusta) < wanted and time.monotonic() < until:
            time.sleep(0.02)
        times.append(first_call(frusta, name))
    print("%-8s %-12s p50 %6.1f ms   max %6.1f ms" % (label, kind, median(times), max(times)), flush=True)
    return median(times)


def bare(command):
    times = []
    for _ in range(misses):
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=PLAIN_ENVIRONMENT) as process:
            process.stdout.readline()
            times.append((time.monotonic() - began) * 1000)
    return median(times)


frusta = Frusta()
try:
    for kind in CODE:
        measure(frusta, kind, "hit", 3)
    names = ["burst%d" % i for i in range(given.burst)]
    for name in names:
        frusta.put_action(name)
    failures = []

    def one(name):
        try:
            first_call(frusta, name)
        except SystemExit as problem:
            failures.append(str(problem))

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("burst    %d new actions at once: %.2f s, %d failed %s" % (given.burst, time.monotonic() - began, len(failures), failures[:2]), flush=True)
finally:
    frusta.stop()

frusta = Frusta("--Invoker:StemCells:nodejs:Count=0", "--Invoker:StemCells:python:Count=0")
try:
    line = bare(["node", "-e", "console.log(1)"])
    miss = measure(frusta, "nodejs:20", "miss", 0)
    print("bare     node         p50 %6.1f ms   miss / bare = %.2f" % (line, miss / line))
    line = bare(["/usr/bin/python3", "-c", "print(1)"])
    miss = measure(frusta, "python:3.11", "miss", 0)
    print("bare     python3      p50 %6.1f ms   miss / bare = %.2f" % (line, miss / line))
finally:
    frusta.stop()
raise SystemExit(1 if failures else 0)
