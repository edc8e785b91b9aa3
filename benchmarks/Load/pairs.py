#!/usr/bin/env python3
"""Whether a build is as fast as the one before: both run side by side and take turns, and the ratio of each pair is what counts.

  pairs.py --before FOLDER [--pairs 9] [--seconds 4] [--only warm,many,durable,hit,miss]

FOLDER is a checkout of the build before, built (`artifacts/bin/Server/release/frusta.dll`). Prints for each load the medians of both and the median
ratio after / before, in which more than 1 is better; 0.90 or more counts as the same speed. `warm` is one action at c=16 and c=256, `many` a hundred
actions at c=16, `durable` 202s at c=64, `hit` the first call of a new action when stem cells are ready, `miss` the same without stem cells.
Everything stays on loopback and stops by itself.
"""
import argparse, os, tempfile, time
from peers import PROGRAM, ROOT, Frusta, median, wrk, wrk_script

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--before", required=True)
options.add_argument("--pairs", type=int, default=9)
options.add_argument("--seconds", type=float, default=4)
options.add_argument("--only", default="warm,many,durable,hit,miss")
given = options.parse_args()
wanted = given.only.split(",")
BEFORE = os.path.join(os.path.abspath(given.before), os.path.relpath(PROGRAM, ROOT))
ACTION = "/api/v1/namespaces/_/actions/%s"
LONG_QUEUE = ["--Bus:MaxPendingItems=1000000", "--Invoker:Queue:PerAction=200000", "--Invoker:Queue:PerNamespace=200000", "--Invoker:Queue:All=200000",
              "--Invoker:Queue:PerNamespaceBytes=1073741824", "--Invoker:Queue:AllBytes=1073741824"]
folder = tempfile.mkdtemp(prefix="frusta-pairs-")


def both(*flags):
    return {"before": Frusta("--Sandboxes:Network:ApiPort=3298", *flags, program=BEFORE),
            "after": Frusta("--Sandboxes:Network:ApiPort=3299", *flags)}


def stop(builds):
    for build in builds.values():
        build.stop()


def take_turns(label, builds, measure, more_is_better):
    """Measures both in each pair, and the other one first in the next."""
    seen = {"before": [], "after": []}
    for pair in range(given.pairs):
        for name in ("before", "after") if pair % 2 == 0 else ("after", "before"):
            seen[name].append(measure(builds[name], pair))
    ratios = [(a / b if more_is_better else b / a) for b, a in zip(seen["before"], seen["after"])]
    print("%-14s before %9.1f  after %9.1f %s  ratio %.2f  (%d pairs, %.2f to %.2f)" % (
        label, median(seen["before"]), median(seen["after"]), "/s" if more_is_better else "ms", median(ratios), len(ratios), min(ratios), max(ratios)), flush=True)


def rate(script, path, connections):
    def measure(build, _):
        found = wrk(script, build.port, path, connections, given.seconds)
        if found[3]:
            raise SystemExit("%d calls failed" % found[3])
        return found[0]
    return measure


def warm():
    builds = both("--Invoker:Pool:Memory=6000")
    try:
        names = ["pair%d" % i for i in range(100)]
        paths = [ACTION % name + "?blocking=true&result=true" for name in names]
        for build in builds.values():
            for name, path in zip(names, paths):
                if name == names[0] or "many" in wanted:
                    build.put_action(name)
                    build.call("POST", path, {})
        one, many = wrk_script(folder, paths[:1]), wrk_script(folder, paths)
        for script, connections, label in ((one, 16, "warm c=16"), (one, 256, "warm c=256"), (many, 16, "many c=16")):
            if label.split()[0] in wanted:
                for build in builds.values():
                    wrk(script, build.port, paths[0], connections, 15)
                take_turns(label, builds, rate(script, paths[0], connections), more_is_better=True)
    finally:
        stop(builds)


def durable():
    builds = both(*LONG_QUEUE)
    try:
        path = ACTION % "accept"
        script = wrk_script(folder, [path])
        for build in builds.values():
            build.put_action("accept")
            wrk(script, build.port, path, 64, 5)

        def measure(build, _):
            while "gauge_bus_pending 0" not in build.metrics():
                time.sleep(0.1)
            return rate(script, path, 64)(build, 0)

        take_turns("durable c=64", builds, measure, more_is_better=True)
    finally:
        stop(builds)


def first_calls(label, *flags):
    builds = both(*flags)
    try:
        for kind, code in (("nodejs:20", "function main(a) { return a; }"), ("python:3.11", "def main(args):\n    return args\n")):
            def measure(build, pair):
                name = "%s-%s-%d" % (label, kind.split(":")[0], pair)
                build.put_action(name, code, kind, 256)
                time.sleep(1)  # stem cells and vacant sandboxes are made again
                began = time.monotonic()
                status, answer = build.call("POST", ACTION % name + "?blocking=true&result=true", {})
                if status != 200:
                    raise SystemExit("the first call failed: %s %s" % (status, answer))
                return (time.monotonic() - began) * 1000

            for build in builds.values():
                measure(build, 999)
            take_turns("%s %s" % (label, kind.split(":")[0]), builds, measure, more_is_better=False)
    finally:
        stop(builds)


if "warm" in wanted or "many" in wanted:
    warm()
if "durable" in wanted:
    durable()
if "hit" in wanted:
    first_calls("hit")
if "miss" in wanted:
    first_calls("miss", "--Invoker:StemCells:nodejs:Count=0", "--Invoker:StemCells:python:Count=0")
