#!/usr/bin/env python3
"""A siege: other tenants attack while guest goes on calling, and the server's own process may have 3 GB. Needs root and control groups (v1).

  siege.py [--seconds 15] [--memory-mb 3072] [--only NAME,NAME...] [--flag --Section:Key=VALUE ...]

Each attack is played for so long. For each it prints guest's calls, how many failed or took more than a second, p50, p99 and the longest, and the
server's resident memory. `idle` has no attack; `plain` has ordinary processes of the host burn all cores instead. At the end: resident memory a minute
after the load, beside what it was before. Exit 1 when one of guest's calls failed or took more than a second under an attack.
"""
import argparse, base64, http.client, json, multiprocessing, os, socket, subprocess, sys, threading, time, uuid
from peers import AUTHORIZATION, Frusta

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=float, default=15)
options.add_argument("--memory-mb", type=int, default=3072)
options.add_argument("--only", default="")
options.add_argument("--flag", action="append", default=[])
given = options.parse_args()

MB = 1 << 20
NAMES = ["eve", "mallory", "oscar", "trudy"]
KEYS = {name: "%s:%s" % (uuid.uuid4(), (uuid.uuid4().hex * 2)[:64]) for name in NAMES}
API = "/api/v1/namespaces/_"


def basic(name):
    return "Basic " + base64.b64encode(KEYS[name].encode()).decode()


def neighbour(port, authorization, stop, results):
    """Calls of one tenant, one after the other: runs, reads and writes; a few at a time in all."""
    link = None
    while not stop.is_set():
        for method, path, body in (("POST", API + "/actions/echo?blocking=true&result=true", b'{"a":1}'), ("GET", API + "/actions/echo", None),
                                   ("GET", API + "/activations?limit=5", None), ("PUT", API + "/triggers/t%d?overwrite=true" % os.getpid(), b"{}")):
            began = time.monotonic()
            try:
                link = link or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                link.request(method, path, body, {"Authorization": authorization, "Content-Type": "application/json"})
                answer = link.getresponse()
                text = answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException) as problem:
                status, text, link = 0, repr(problem).encode(), None
            results.put((time.monotonic() - began, status, method + " " + path.split("?")[0][len(API):], text[:200] if status != 200 else b""))
        time.sleep(0.01)


class Siege:
    def __init__(self):
        self.group = "/sys/fs/cgroup/memory/frusta-siege-%d" % os.getpid()
        os.mkdir(self.group)
        with open(self.group + "/memory.limit_in_bytes", "w") as limit:
            limit.write(str(given.memory_mb * MB))
        self.server = Frusta("--Sandboxes:Network:ApiPort=3297", "--Invoker:Pool:Memory=8000", "--Limits:MaxActionLogsMb=10", *given.flag,
                             environment={"FRUSTA_Subjects__" + name: key for name, key in KEYS.items()},
                             shell="echo $$ > %s/cgroup.procs" % self.group)
        self.port = self.server.port
        self.failed = False

    def call(self, name, method, path, body=None, timeout=120):
        """One call of an attacker; its status, 0 where the connection broke."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            link.request(method, path, data, {"Authorization": basic(name), "Content-Type": "application/json"})
            answer = link.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            link.close()

    def put(self, name, action, code, kind="python:3.11", **limits):
        status = self.call(name, "PUT", API + "/actions/%s?overwrite=true" % action, {"exec": {"kind": kind, "code": code}, "limits": limits})
        if status != 200:
            print("   the action %s of %s could not be made: %d" % (action, name, status))

    def play(self, label, attack):
        """Plays one attack, and reports how guest fared."""
        stop, results = multiprocessing.Event(), multiprocessing.Queue()
        guests = [multiprocessing.Process(target=neighbour, args=(self.port, AUTHORIZATION, stop, results)) for _ in range(3)]
        for guest in guests:
            guest.start()
        over = threading.Event()
        attacker = threading.Thread(target=attack, args=(over,), daemon=True)
        began, peak, took, bad = time.monotonic(), 0, [], []
        attacker.start()
        while time.monotonic() - began < given.seconds and self.server.process.poll() is None:
            time.sleep(0.2)
            peak = max(peak, self.server.resident_mb())
        over.set()
        stop.set()
        until = time.monotonic() + 90
        while any(guest.is_alive() for guest in guests) and time.monotonic() < until or not results.empty():
            try:
                seconds, status, what, text = results.get(timeout=0.2)
            except Exception:
                continue
            took.append(seconds)
            if status != 200 or seconds > 1:
                bad.append("%s: %d after %.2f s %s" % (what, status, seconds, text.decode(errors="replace")))
        attacker.join(60)
        took.sort()
        if not took or self.server.process.poll() is not None:
            print("%-22s the server is gone, or guest had no answer" % label)
            self.failed = True
            return
        print("%-22s %6d calls, %3d bad, p50 %6.1f ms, p99 %7.1f ms, longest %7.1f ms, server at most %5.0f MB" % (
            label, len(took), len(bad), took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000, took[-1] * 1000, peak), flush=True)
        for line in bad[:3]:
            print("   " + line)
        self.failed |= bool(bad) and label not in ("idle", "plain")

    def close(self):
        self.server.stop()
        for _ in range(100):
            try:
                os.rmdir(self.group)
                return
            except OSError:
                time.sleep(0.1)


def repeat(over, threads, work):
    """Runs `work(number)` over and over in so many threads until the attack is over."""
    def loop(number):
        while not over.is_set():
            work(number)
            time.sleep(0.001)
    running = [threading.Thread(target=loop, args=(number,), daemon=True) for number in range(threads)]
    for thread in running:
        thread.start()
    over.wait()
    for thread in running:
        thread.join(30)


LINGER = """
import socket, struct, array, os
def main(args):
    listener = socket.create_server(("127.0.0.1", 0))
    tried = []
    for fd in range(3, 24):
        try:
            victim = socket.create_connection(listener.getsockname())
            victim.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
            victim.setblocking(False)
            try:
                while True: victim.send(b"x" * 65536)
            except BlockingIOError:
                pass
            channel = socket.socket(fileno=os.dup(fd))
            channel.sendmsg([b"\\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [victim.fileno()]))])
            victim.close()
            tried.append(fd)
        except OSError:
            pass
    return {"tried": tried}
"""

KERNEL = """
import socket, os, ctypes, threading, time
libc = ctypes.CDLL(None, use_errno=True)
held = []
def attempt(work, count):
    try:
        for _ in range(count): held.append(work())
    except Exception:
        pass
def netlink():
    s = socket.socket(16, socket.SOCK_RAW, 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 30)
    for _ in range(50): s.send(b"\\x14\\0\\0\\0\\x1a\\0\\x01\\x03" + bytes(12))
    return s
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
def unaccepted():
    s = socket.create_connection(listener.getsockname(), timeout=1)
    s.setblocking(False)
    try:
        while True: s.send(b"x" * 65536)
    except OSError:
        pass
    return s
def thread():
    t = threading.Thread(target=time.sleep, args=(600,), daemon=True)
    t.start()
    return t
def main(args):
    attempt(netlink, 50); attempt(unaccepted, 200); attempt(lambda: os.openpty(), 200)
    attempt(lambda: libc.syscall(206, 65536, ctypes.byref(ctypes.c_ulong())), 10)
    attempt(thread, 500)
    return {"held": len(held)}
"""

LOUD = 'import sys\ndef main(args):\n    for _ in range(10): sys.stdout.write(("x" * 1023 + "\\n") * 1000)\n    return {"text": "y" * 1000000}\n'
BURN = "function main() { setTimeout(() => { for (;;); }, 5); return {}; }"
GROW = "const kept = []; function main() { setInterval(() => kept.push(Buffer.alloc(4 << 20, 1)), 100); return {}; }"
RUN = API + "/actions/%s?blocking=true&result=true"


def attacks(siege):
    def idle(over):
        over.wait()

    def plain(over):
        burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        over.wait()
        for process in burning:
            process.kill()
            process.wait()

    def descriptors(over):
        siege.put("eve", "linger", LINGER)
        repeat(over, 2, lambda number: siege.call("eve", "POST", RUN % "linger", {}))

    def kernel(over):
        for name in NAMES:
            siege.put(name, "kernel", KERNEL)
        repeat(over, 4, lambda number: siege.call(NAMES[number], "POST", RUN % "kernel", {}))

    def records(over):
        for name in NAMES[:2]:
            siege.put(name, "loud", LOUD, logs=10)
            for _ in range(10):
                siege.call(name, "POST", RUN % "loud", {})
        repeat(over, 4, lambda number: siege.call(NAMES[number % 2], "GET", API + "/activations?docs=true&limit=100"))

    def unfinished(over):
        held = []
        for number in range(60):
            link = socket.create_connection(("127.0.0.1", siege.port))
            link.sendall(b"PUT %s/actions/big%d?overwrite=true HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                         % (API.encode(), number, basic(NAMES[number % 4]).encode(), 50 * MB))
            held.append(link)
        piece = b" " * MB
        for _ in range(49):
            for link in held:
                if over.is_set():
                    break
                try:
                    link.settimeout(0.2)
                    link.sendall(piece)
                except OSError:
                    pass
        over.wait()
        for link in held:
            link.close()

    def unread(over):
        code = base64.b64encode(os.urandom(35 * MB)).decode()
        for name in NAMES:
            siege.put(name, "code", code, kind="nodejs:20")
        held = []
        for number in range(40):
            link = socket.socket()
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.connect(("127.0.0.1", siege.port))
            link.sendall(b"GET %s/actions/code HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % (API.encode(), basic(NAMES[number % 4]).encode()))
            held.append(link)
        over.wait()
        for link in held:
            link.close()

    def puts(over):
        body = json.dumps({"exec": {"kind": "nodejs:20", "code": base64.b64encode(os.urandom(34 * MB)).decode()}}).encode()
        repeat(over, 8, lambda number: siege.call(NAMES[number % 4], "PUT", API + "/actions/large%d?overwrite=true" % number, body))

    def json_bombs(over):
        ones = b"[" + b"1," * (24 * MB) + b"1]"
        bodies = [("PUT", "/actions/bomb?overwrite=true", b'{"exec":' + ones + b"}"), ("PUT", "/triggers/bomb?overwrite=true", b'{"parameters":' + ones + b"}"),
                  ("PUT", "/packages/bomb?overwrite=true", b'{"annotations":' + ones + b"}"), ("PUT", "/rules/bomb?overwrite=true", b'{"trigger":' + ones + b"}"),
                  ("POST", "/rules/bomb", ones[:MB]), ("POST", "/actions/echo", b'{"a":' + ones[: MB - 20] + b"1]}"),
                  ("PUT", "/actions/keys?overwrite=true", b"{" + b",".join(b'"%d":1' % n for n in range(3 * 10**6)) + b"}"),
                  ("PUT", "/actions/text?overwrite=true", b'{"a":"' + b"\\u0041" * (8 * MB) + b'"}'), ("PUT", "/actions/deep?overwrite=true", b"[" * (40 * MB))]
        siege.put("eve", "echo", "def main(args):\n    return args\n")

        def one(number):
            method, path, body = bodies[one.next % len(bodies)]
            one.next += 1
            siege.call("eve", method, API + path, body)

        one.next = 0
        repeat(over, 1, one)

    def burning(over):
        for number in range(12):
            name = NAMES[number % 4]
            siege.put(name, "burn%d" % number, BURN if number % 2 else GROW, kind="nodejs:20")
            siege.call(name, "POST", RUN % ("burn%d" % number), {})
        over.wait()
        for number in range(12):
            siege.call(NAMES[number % 4], "DELETE", API + "/actions/burn%d" % number)

    return {"idle": idle, "plain": plain, "descriptors": descriptors, "kernel": kernel, "records": records, "unfinished": unfinished, "unread": unread,
            "puts": puts, "json": json_bombs, "burning": burning}


siege = Siege()
try:
    siege.server.put_action("echo")
    for _ in range(300):
        siege.server.call("POST", RUN % "echo", {})
    before = siege.server.resident_mb()
    for label, attack in attacks(siege).items():
        if not given.only or label in given.only.split(","):
            siege.play(label, attack)
    if siege.server.process.poll() is None:
        time.sleep(60)
        after = siege.server.resident_mb()
        print("resident memory: %.0f MB before, %.0f MB a minute after the load" % (before, after))
        siege.failed |= after - before > 300
finally:
    siege.close()
raise SystemExit(1 if siege.failed else 0)
