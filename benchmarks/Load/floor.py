#!/usr/bin/env python3
"""The bound of this machine: what a relay without any work (floor.c) reaches beside a bare Node HTTP echo, in front of one Node runner and
of many.

  floor.py [--seconds 2] [--slices 3] [--connections 1,4,16,64,256] [--runners 100]

Prints, for each number of connections, the median requests a second of the bare server, of the relay with one runner and with
many, the ratio to bare, and many beside one. Needs a C compiler (Debian's gcc) and wrk. Stays on loopback and stops by itself.
"""
import argparse, os, subprocess, tempfile
from peers import ROOT, BareNode, free_port, median, wrk, wrk_script

RUNNER = """
const { open } = require(process.argv[1]);
const answer = open(process.argv[2], 1 << 20, '{}', (type, text) => answer(0, JSON.stringify(JSON.parse(text).value)));
"""
FRAMES = os.path.join(ROOT, "runtimes", "nodejs", "frames.js")


class Relay:
    def __init__(self, program, folder, runners):
        self.port = free_port()
        socket = os.path.join(folder, "runners-%d" % runners)
        self.process = subprocess.Popen([program, str(self.port), socket, str(runners)], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.runners = [subprocess.Popen(["node", "-e", RUNNER, FRAMES, socket]) for _ in range(runners)]

    def stop(self):
        for process in [self.process, *self.runners]:
            process.kill()
            process.wait()


options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=int, default=2)
options.add_argument("--slices", type=int, default=3)
options.add_argument("--connections", default="1,4,16,64,256")
options.add_argument("--runners", type=int, default=100)
given = options.parse_args()

folder = tempfile.mkdtemp(prefix="frusta-floor-")
program = os.path.join(folder, "floor")
subprocess.run(["gcc", "-O2", "-Wall", "-o", program, os.path.join(ROOT, "benchmarks", "Load", "floor.c")], check=True)
script = wrk_script(folder, ["/"])
peers = [BareNode(), Relay(program, folder, 1), Relay(program, folder, given.runners)]
try:
    for peer, seconds in zip(peers, (2, 2, 20)):  # each runner compiles what is hot for itself
        wrk(script, peer.port, "/", 16, seconds)
    print("    c   bare node/s   relay/s  ratio   relay to %d/s  ratio   many/one" % given.runners)
    for connections in map(int, given.connections.split(",")):
        rates = [[wrk(script, peer.port, "/", connections, given.seconds)[0] for peer in peers] for _ in range(given.slices)]
        bare, one, many = (median([slice[i] for slice in rates]) for i in range(3))
        print("%5d %13.0f %9.0f %6.2f %15.0f %6.2f %10.2f" % (
            connections, bare, one, median([s[1] / s[0] for s in rates]), many, median([s[2] / s[0] for s in rates]),
            median([s[2] / s[1] for s in rates])), flush=True)
finally:
    for peer in peers:
        peer.stop()
