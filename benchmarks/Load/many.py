#!/usr/bin/env python3
"""Many actions: each is called once, then all are called in turn or by zipf, in slices in turn with slices of one action, with wrk.

  many.py [--actions 1000] [--orders turn,zipf] [--connections 16,64] [--seconds 5] [--slices 3] [--exponent 1.0] [--bombs 0] [--flag --Section:Key=VALUE ...]

Prints for each order and number of connections the median requests a second, their ratio to those of one action, the share of calls that found
a warm sandbox, cold starts, errors, idle sandboxes, the memory that the machine uses more than before, and pages swapped. With --bombs, so many
actions of 512 MB then fill their memory at once, while the others idle. A thousand Node sandboxes take some 10 GB. Everything stays on loopback and stops by itself.
"""
import argparse, http.client, os, re, tempfile, threading, time
from peers import Frusta, median, warm_up, wrk, wrk_script

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--actions", type=int, default=1000)
options.add_argument("--orders", default="turn,zipf")
options.add_argument("--connections", default="16,64")
options.add_argument("--seconds", type=float, default=5)
options.add_argument("--slices", type=int, default=3)
options.add_argument("--exponent", type=float, default=1.0)
options.add_argument("--bombs", type=int, default=0)
options.add_argument("--flag", action="append", default=[])
given = options.parse_args()

BOMB = "function main() { const held = []; for (;;) { held.push(Buffer.alloc(8 << 20, 1)); } }"


def path(name):
    return "/api/v1/namespaces/_/actions/%s?blocking=true&result=true" % name


def available_mb():
    return int(re.search(r"MemAvailable:\s+(\d+)", open("/proc/meminfo").read()).group(1)) / 1024


def swapped():
    return sum(int(number) for number in re.findall(r"pswp(?:in|out) (\d+)", open("/proc/vmstat").read()))


def starts(frusta):
    """Calls by how they found their sandbox: cold, prewarmed, warmed; and how many idle."""
    text = frusta.metrics()
    found = {state: float(count) for state, count in re.findall(r'containerStart[^{]*\{[^}]*containerState="(\w+)"[^}]*\} (\S+)', text)}
    idle = re.search(r"^gauge_containerPool_idlesCount\S* (\d+)", text, re.MULTILINE)
    return found.get("cold", 0), found.get("prewarmed", 0), found.get("warmed", 0), float(idle.group(1)) if idle else 0


def call_each(frusta, names, clients):
    """Calls each once, so many at a time. Gives the statuses other than 200."""
    left, wrong, lock = list(reversed(names)), [], threading.Lock()

    def client():
        link = http.client.HTTPConnection("127.0.0.1", frusta.port, timeout=120)
        while True:
            with lock:
                if not left:
                    return
                name = left.pop()
            status, answer = frusta.call("POST", path(name), {}, link)
            if status != 200:
                wrong.append((name, status, str(answer)[:200]))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def order_script(folder, order, names):
    if order == "turn":
        return wrk_script(folder, [path(name) for name in names])
    file = os.path.join(folder, "zipf.lua")
    with open(wrk_script(folder, [path(name) for name in names])) as source, open(file, "w") as target:
        target.write(source.read())
        target.write("local sums, sum = {}, 0\nfor k = 1, #paths do sum = sum + k ^ -%f sums[k] = sum end\nmath.randomseed(7)\n" % given.exponent)
        target.write("request = function() local x, low, high = math.random() * sum, 1, #paths\n while low < high do local middle = math.floor((low + high) / 2)\n"
                     " if sums[middle] < x then low = middle + 1 else high = middle end end\n return requests[low] end\n")
    return file


def drop_bombs(frusta, count):
    """So many actions fill their memory at once. Prints what becomes of them, of the machine and of a neighbour."""
    names = ["bomb%d" % number for number in range(count)]
    for name in names:
        frusta.put_action(name, BOMB, memory=512)
    least, slowest, done = [available_mb()], [0.0], threading.Event()

    def watch():
        while not done.wait(0.02):
            least.append(available_mb())

    def neighbour():
        link = http.client.HTTPConnection("127.0.0.1", frusta.port, timeout=120)
        while not done.wait(0.05):
            began = time.monotonic()
            if frusta.call("POST", path("one"), {}, link)[0] != 200:
                slowest.append(float("inf"))
            slowest.append(time.monotonic() - began)

    threads = [threading.Thread(target=watch), threading.Thread(target=neighbour)]
    for thread in threads:
        thread.start()
    idle, began = starts(frusta)[3], time.monotonic()
    wrong = call_each(frusta, names, count)
    took = time.monotonic() - began
    done.set()
    for thread in threads:
        thread.join()
    print("%d bombs of 512 MB in %.1f s: %d ended with an error of their own, %d idle before and %d after, %.0f MB available before and %.0f at least, slowest call of a neighbour %.2f s" % (
        count, took, len(wrong), idle, starts(frusta)[3], least[0], min(least), max(slowest)), flush=True)


folder = tempfile.mkdtemp(prefix="frusta-many-")
frusta = Frusta(*given.flag)
errors_in_all = 0
try:
    names = ["many%d" % number for number in range(given.actions)]
    for name in ["one", *names]:
        frusta.put_action(name)
    before, swapped_before = available_mb(), swapped()
    one = wrk_script(folder, [path("one")])
    warm_up(one, frusta.port, path("one"), 1)
    began = time.monotonic()
    wrong = call_each(frusta, names, 16)
    print("first calls: %.1f a second, %d wrong %s" % (given.actions / (time.monotonic() - began), len(wrong), wrong[:2]), flush=True)
    print("order     c   one/s   many/s  ratio  warm %   cold  errors  idle  used MB  swapped")
    for order in given.orders.split(","):
        script = order_script(folder, order, names)
        wrk(script, frusta.port, path(names[0]), 16, given.seconds)
        for connections in map(int, given.connections.split(",")):
            ones, manys, cold, warm, errors = [], [], 0, 0, 0
            for _ in range(given.slices):
                ones.append(wrk(one, frusta.port, path("one"), connections, given.seconds))
                counts = starts(frusta)
                manys.append(wrk(script, frusta.port, path(names[0]), connections, given.seconds))
                after = starts(frusta)
                cold += after[0] + after[1] - counts[0] - counts[1]
                warm += after[2] - counts[2]
                errors += manys[-1][3] + ones[-1][3]
            errors_in_all += errors
            single, rate = median([slice[0] for slice in ones]), median([slice[0] for slice in manys])
            print("%-5s %5d %7.0f %8.0f %6.2f %7.2f %6d %7d %5d %8.0f %8d" % (
                order, connections, single, rate, median([m[0] / o[0] for m, o in zip(manys, ones)]), 100 * warm / max(1, warm + cold), cold, errors,
                after[3], before - available_mb(), swapped() - swapped_before), flush=True)
    busy = frusta.cpu_seconds()
    time.sleep(5)
    print("at rest: %.1f ms of CPU a second, %.0f MB resident" % ((frusta.cpu_seconds() - busy) * 200, frusta.resident_mb()), flush=True)
    if given.bombs:
        drop_bombs(frusta, given.bombs)
finally:
    frusta.stop()
raise SystemExit(1 if errors_in_all else 0)
