#!/usr/bin/env python3
"""The bound of this machine: what a relay without any work (floor.c) reaches beside a bare Node HTTP echo, in front of one Node runner and
of many, and Frusta with one action and with as many.

  floor.py [--seconds 2] [--slices 3] [--connections 1,4,16,64,256] [--runners 100]

All take turns in each slice. Prints, for each number of connections, the median requests a second, the ratio to the bare server, many
beside one, and Frusta's many beside the relay's. Needs a C compiler (Debian's gcc) and wrk. Stays on loopback and stops by itself.
"""
import argparse, tempfile
from peers import BareNode, Frusta, Relay, median, warm_up, wrk, wrk_script


class Actions:
    """One Frusta with as many actions."""

    def __init__(self, folder, runners):
        self.frusta = Frusta("--Invoker:Pool:Memory=16000")
        self.port = self.frusta.port
        names = ["floor%d" % i for i in range(runners)]
        for name in names:
            self.frusta.put_action(name)
        self.paths = ["/api/v1/namespaces/_/actions/%s?blocking=true&result=true" % name for name in names]
        self.script = wrk_script(folder, self.paths)

    def stop(self):
        self.frusta.stop()


options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=int, default=2)
options.add_argument("--slices", type=int, default=3)
options.add_argument("--connections", default="1,4,16,64,256")
options.add_argument("--runners", type=int, default=100)
given = options.parse_args()

folder = tempfile.mkdtemp(prefix="frusta-floor-")
script = wrk_script(folder, ["/"])
bare = BareNode()
relays = [Relay(folder, runners) for runners in (1, given.runners)]
actions = [Actions(folder, runners) for runners in (1, given.runners)]
loads = [(script, peer.port, "/") for peer in (bare, *relays)] + [(peer.script, peer.port, peer.paths[0]) for peer in actions]
try:
    for load, runners in zip(loads, (1, 1, given.runners, 1, given.runners)):
        warm_up(*load, runners)
    print("    c   bare node/s   relay/s  ratio  to %d/s  many/one   frusta/s  ratio  to %d/s  many/one  of the relay's  errors" % (given.runners, given.runners))
    for connections in map(int, given.connections.split(",")):
        slices = []
        for number in range(given.slices):
            ran = [None] * len(loads)
            for i in range(len(loads)) if number % 2 == 0 else reversed(range(len(loads))):
                ran[i] = wrk(*loads[i], connections, given.seconds)
            slices.append(ran)
        rate = [median([ran[i][0] for ran in slices]) for i in range(len(loads))]
        ratio = lambda of, to: median([ran[of][0] / ran[to][0] for ran in slices])
        print("%5d %13.0f %9.0f %6.2f %9.0f %9.2f %10.0f %6.2f %9.0f %9.2f %15.2f %7d" % (
            connections, rate[0], rate[1], ratio(1, 0), rate[2], ratio(2, 1), rate[3], ratio(3, 0), rate[4], ratio(4, 3), ratio(4, 2),
            sum(ran[i][3] for ran in slices for i in (3, 4))), flush=True)
finally:
    for peer in (bare, *relays, *actions):
        peer.stop()
