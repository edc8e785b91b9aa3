"""What the load benches share: starting Frusta and a bare Node server on loopback, speaking to both, and wrk."""
import base64, fcntl, http.client, json, os, re, shutil, socket, subprocess, sys, tempfile, time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROGRAM = os.path.join(ROOT, "artifacts", "bin", "Server", "release", "frusta.dll")
GUEST = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
AUTHORIZATION = "Basic " + base64.b64encode(GUEST.encode()).decode()
RAISED = ["--Limits:InvocationsPerMinute=100000000", "--Limits:FiresPerMinute=100000000", "--Limits:ConcurrentInvocations=100000"]

# What a workplace sets for Node, such as further certificates, would slow its start by half and is not passed on to functions either.
PLAIN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}

BARE_NODE = """
require('http').createServer((request, response) => {
  const parts = [];
  request.on('data', part => parts.push(part));
  request.on('end', () => {
    const body = JSON.stringify(JSON.parse(Buffer.concat(parts).toString() || '{}'));
    response.writeHead(200, {'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body)});
    response.end(body);
  });
}).listen(Number(process.argv[1]), '127.0.0.1', () => console.log('ready'));
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Frusta:
    """The built server as a process of its own, with raised rates and a data folder of its own."""

    def __init__(self, *flags, data=None, program=PROGRAM, environment=None, shell=None):
        """`program` is another build's; `environment` goes on top of this process's; `shell` is a line that runs first in the server's process."""
        self.port = free_port()
        self.own = data is None
        self.data = data or tempfile.mkdtemp(prefix="frusta-bench-")
        self.log = open(os.path.join(self.data, "server.log"), "ab")
        began = time.monotonic()
        command = ["dotnet", program, "standalone", "--port", str(self.port), "--data-dir", os.path.join(self.data, "data"), *RAISED, *flags]
        if shell:
            command = ["sh", "-c", shell + '; exec "$@"', "sh", *command]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **(environment or {})})
        while True:
            try:
                if self.call("GET", "/ping")[0] == 200:
                    break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("the server did not start:\n" + open(self.log.name).read())
                time.sleep(0.005)
        self.ready_seconds = time.monotonic() - began

    def call(self, method, path, body=None, connection=None):
        link = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        data = None if body is None else json.dumps(body).encode()
        link.request(method, path, data, {"Authorization": AUTHORIZATION, "Content-Type": "application/json"})
        answer = link.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def put_action(self, name, code="function main(a) { return a; }", kind="nodejs:20", memory=128):
        status, answer = self.call("PUT", "/api/v1/namespaces/_/actions/%s?overwrite=true" % name,
                                   {"exec": {"kind": kind, "code": code}, "limits": {"memory": memory}})
        if status != 200:
            sys.exit("the action %s could not be made: %s %s" % (name, status, answer))

    def resident_mb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % self.process.pid).read()).group(1)) / 1024

    def cpu_seconds(self):
        fields = open("/proc/%d/stat" % self.process.pid).read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self):
        return self.call("GET", "/metrics")[1]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)


class BareNode:
    """A Node HTTP server that parses and echoes a JSON body: what Frusta is measured against."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(["node", "-e", BARE_NODE, str(self.port)], stdout=subprocess.PIPE, env=PLAIN_ENVIRONMENT)
        self.process.stdout.readline()

    def stop(self):
        self.process.terminate()
        self.process.wait()


RELAY_RUNNER = """
const { open } = require(process.argv[1]);
const answer = open(1 << 20, '{}', (type, text) => answer(0, JSON.stringify(JSON.parse(text).value)));
"""


class Relay:
    """floor.c: takes HTTP requests, hands them to so many Node runners over frames, and does nothing else. Needs a C compiler (Debian's gcc)."""

    def __init__(self, folder, runners):
        program = os.path.join(folder, "floor")
        if not os.path.exists(program):
            subprocess.run(["gcc", "-O2", "-Wall", "-o", program, os.path.join(ROOT, "benchmarks", "Load", "floor.c")], check=True)
        self.port = free_port()
        requests, answers = ([os.pipe() for _ in range(runners)] for _ in range(2))
        ends = [(answer[0], request[1]) for request, answer in zip(requests, answers)]
        self.process = subprocess.Popen([program, str(self.port), *("%d:%d" % end for end in ends)], stdout=subprocess.PIPE, pass_fds=sum(ends, ()))
        self.runners = [self.start_runner(request[0], answer[1]) for request, answer in zip(requests, answers)]
        for end in sum([*requests, *answers], ()):
            os.close(end)
        self.process.stdout.readline()

    @staticmethod
    def start_runner(requests, answers):
        """A Node that finds its ends of the pipes where a sandbox has them."""
        def place():
            high = [fcntl.fcntl(end, fcntl.F_DUPFD, 64) for end in (requests, answers)]
            for end, number in zip(high, (3, 4)):
                os.dup2(end, number)

        frames = os.path.join(ROOT, "runtimes", "nodejs", "frames.js")
        return subprocess.Popen(["node", "-e", RELAY_RUNNER, frames], env=PLAIN_ENVIRONMENT, preexec_fn=place, pass_fds=(3, 4))

    def stop(self):
        for process in [self.process, *self.runners]:
            process.kill()
            process.wait()


def wrk_script(folder, paths, authorization=AUTHORIZATION):
    """A wrk script that posts {} to the paths in turn."""
    file = os.path.join(folder, "post-%d.lua" % len(paths))
    with open(file, "w") as target:
        target.write("wrk.method = 'POST'\nwrk.body = '{}'\nwrk.headers['Content-Type'] = 'application/json'\n")
        target.write("wrk.headers['Authorization'] = '%s'\n" % authorization)
        if len(paths) > 1:
            target.write("local paths = {%s}\nlocal i = 0\nlocal requests = {}\n" % ",".join("'%s'" % p for p in paths))
            target.write("init = function(args) for k = 1, #paths do requests[k] = wrk.format(nil, paths[k]) end end\n")
            target.write("request = function() i = i %% %d + 1 return requests[i] end\n" % len(paths))
        target.write("done = function(s, l, r) io.write(string.format('RESULT %d %d %d %d %d %d\\n', s.requests, s.duration, "
                     "l:percentile(50), l:percentile(99), s.errors.status, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout)) end\n")
    return file


def wrk(script, port, path, connections, seconds):
    """Requests a second, p50 and p99 in milliseconds, and errors of one slice."""
    out = subprocess.run(["wrk", "-t1", "-c%d" % connections, "-d%gs" % seconds, "--timeout", "30s", "-s", script,
                          "http://127.0.0.1:%d%s" % (port, path)], capture_output=True, text=True, timeout=seconds * 3 + 90).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", out)
    if not found:
        sys.exit("wrk printed no result:\n" + out)
    requests, duration, p50, p99, status, other = map(int, found.groups())
    return requests * 1e6 / duration, p50 / 1000, p99 / 1000, status + other


def warm_up(script, port, path, runners, calls=1500, most_seconds=120):
    """Load until each runner has had so many calls: every process compiles what is hot for itself."""
    began = time.monotonic()
    while calls > 0 and time.monotonic() - began < most_seconds:
        calls -= wrk(script, port, path, 16, 3)[0] * 3 / runners


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
