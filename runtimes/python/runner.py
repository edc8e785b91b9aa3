"""Runs Python actions: python3 runner.py RESULT_LIMIT.

RESULT_LIMIT is in bytes. It answers as OpenWhisk's Python image does, that is, as its Go proxy and its launcher together. The frames are
in docs/reference/frames.md. Each module that is imported here costs memory in every sandbox, and time at every start.
"""

import json
import os
import struct
import sys

try:
    import ctypes

    putenv = ctypes.PyDLL(None).putenv
    putenv.argtypes = [ctypes.c_char_p]
except (ImportError, OSError, AttributeError):
    putenv = None

HEADER = struct.Struct("<IBBBB16s")
VERSION = 1
HELLO, INIT, RUN, RESULT, TRUNCATED, PRIME = 1, 2, 3, 4, 5, 6
OK, NOT_OK = 0, 1
ONLY_PARSE = 0x400  # ast.PyCF_ONLY_AST
REQUESTS, ANSWERS = 3, 4
MAX_PAYLOAD = 128 * 1024 * 1024
MAX_UNPACKED = 512 * 1024 * 1024
MAX_ENTRIES = 65536

FAILED_TO_GENERATE = "The action failed to generate or locate a binary. See logs for details."
CANNOT_START = "Cannot start action. Check logs for details."
NOT_COMPILED = "open ./action/1/bin/exec.env: no such file or directory"
NOT_A_DICTIONARY = "The action did not return a dictionary or array."
EXITED = "command exited"


class Refused(Exception):
    """An init or a run that ends with words for the user."""


class NotLoaded(Exception):
    """An init that fails with words for the log, and others for the user; a copy of the process exits with the code."""

    def __init__(self, words, answer, code=1):
        super().__init__(words)
        self.answer = answer
        self.code = code


class Channel:
    """The two pipes to the host. User code never sees the object, a local of the main function, and child processes do not inherit the pipes."""

    def __init__(self, limit):
        for end in REQUESTS, ANSWERS:
            os.set_inheritable(end, False)
        self._read, self._write, self._set_blocking = os.readv, os.write, os.set_blocking
        self._limit = limit
        self._buffer = bytearray(64 * 1024)
        self._view = memoryview(self._buffer)
        self._have = 0

    def receive(self):
        """The next frame as (type, id, payload), or None at the end or after a frame that the host does not send."""
        if not self._fill(HEADER.size):
            return None
        length, version, kind, _, _, identity = HEADER.unpack_from(self._buffer)
        size = HEADER.size + length
        if version != VERSION or length > MAX_PAYLOAD:
            return None
        if size > len(self._buffer):
            larger = bytearray(size)
            larger[: self._have] = self._view[: self._have]
            view, self._view = self._view, memoryview(larger)
            whole = self._fill(size)
            payload = bytes(self._view[HEADER.size : size])
            self._view, self._have = view, 0
            return (kind, identity, payload) if whole else None
        if not self._fill(size):
            return None
        payload = bytes(self._view[HEADER.size : size])
        self._have -= size
        if self._have:
            self._buffer[: self._have] = self._buffer[size : size + self._have]
        return kind, identity, payload

    def _fill(self, size):
        while self._have < size:
            try:
                count = self._read(REQUESTS, (self._view[self._have :],))
            except BlockingIOError:  # user code made the pipe non-blocking
                self._set_blocking(REQUESTS, True)
                continue
            if count == 0:
                return False
            self._have += count
        return True

    def send(self, kind, identity, flags, payload):
        length = len(payload)
        if length > self._limit:
            kind = TRUNCATED
            payload = struct.pack("<q", length) + payload[: self._limit]
        frame = HEADER.pack(len(payload), VERSION, kind, flags, 0, identity) + payload
        try:
            written = self._write(ANSWERS, frame)
        except BlockingIOError:
            written = 0
        if written < len(frame):
            self._write_rest(memoryview(frame)[written:])

    def _write_rest(self, rest):
        self._set_blocking(ANSWERS, True)
        while rest:
            rest = rest[self._write(ANSWERS, rest) :]


def error(words):
    return (json.dumps({"error": words}, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8", "replace")


class Environment:
    """Sets the variables of a run, where user code reads them.

    They are not set through os.environ alone: setenv of the C library keeps every value that a variable ever had, so that a busy
    action would end for want of memory. putenv uses our memory instead, until it is given other memory for the same name: no memory
    is freed before that, also when user code raises an exception here.
    """

    def __init__(self):
        self._environ, self._environb = os.environ, os.environb
        self._data = os.environ._data  # the values behind both mappings
        self._variables = {}  # by member: name, name in bytes, text, value in bytes, and the memory that the C library was given
        self._given = []  # variables that the C library may have and that are not in _variables yet

    def set_of_run(self, message):
        for member, text in message.items():
            variable = self._variables.get(member)
            if variable is None or variable[2] != text:
                variable = self._variable(member, text)
                self._given.append(variable)
            name, encoded, _, value, line = variable
            if putenv:
                putenv(line)  # also for an unchanged value: code may have set another one in the C library
                self._data[encoded] = value
            else:
                self._environ[name] = text
            self._variables[member] = variable
        self._given.clear()
        if os.__dict__.get("environ") is not self._environ or self._environ._data is not self._data:
            self._environ._data = self._data
            self._set_in("environ", self._environ, {self._variables[member][0]: text for member, text in message.items()})
        if os.__dict__.get("environb") is not self._environb or self._environb._data is not self._data:
            self._environb._data = self._data
            self._set_in("environb", self._environb, {self._variables[member][1]: self._variables[member][3] for member in message})

    @staticmethod
    def _variable(member, text):
        name = "__OW_" + member.upper()
        encoded, value = os.fsencode(name), text.encode("utf-8", "surrogateescape")
        return name, encoded, text, value, b"%b=%b" % (encoded, value)

    @staticmethod
    def _set_in(place, own, values):
        """Sets the values in the present mapping if it takes them, else in a copy of it, and else puts our mapping in its place."""
        ways = (
            lambda: getattr(os, place).update(values),
            lambda: setattr(os, place, {**getattr(os, place), **values}),
            lambda: setattr(os, place, own),
        )
        for way in ways:
            try:
                way()
                seen = getattr(os, place)
                if all(seen[name] == value for name, value in values.items()):
                    return
            except BaseException:
                pass  # the next way


class Runner:
    def __init__(self):
        self.main = None
        self.ready = False
        self.initialized = False
        self.process = os.getpid()
        self.environment = Environment()
        self.encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
        self.decode = json.loads
        self.stdout = sys.stdout
        self.stderr = sys.stderr

    def init(self, payload):
        if self.initialized:
            raise Refused("Cannot initialize the action more than once.")
        value = self.decode(payload).get("value") or {}
        code = value.get("code")
        if not code:
            raise Refused("Missing main/no code to execute.")
        self.initialized = True
        for name, text in (value.get("env") or {}).items():
            os.environ[name] = text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
        try:
            self.main = load(code, value.get("binary") is True, value.get("main") or "main")
            self.end_copy(0)
            self.ready = True
        except NotLoaded as failure:
            self.end_copy(failure.code)
            print(failure, file=self.stderr)
            raise Refused(failure.answer) from None
        finally:
            self.flush()

    def run(self, payload):
        """Runs once, and returns the answer's body; raises Refused with words for the user."""
        if not self.ready:
            raise Refused("no action defined yet")
        message = self.decode(payload)
        value = message.pop("value", {})
        self.environment.set_of_run(message)
        try:
            try:
                result = self.main(value)
            except Exception as raised:
                print_exception(raised, self.stderr)
                result = {"error": str(raised)}
            self.end_copy(0)
            return self.text_of(result)
        except Refused:
            raise
        except BaseException as raised:  # sys.exit, or a result without JSON form: the launcher dies of them
            code = say_why(raised, self.stderr)
            self.end_copy(code)
            self.ready = False
            raise Refused(EXITED) from None
        finally:
            self.flush()

    def end_copy(self, code):
        """Ends a process that user code has forked at the end of the init or run: its parent gives the answer."""
        if os.getpid() != self.process:
            self.flush()
            os._exit(code)

    def text_of(self, result):
        try:
            text = self.encode(result)
        except ValueError:
            json.dumps(result)  # a cycle raises again here; NaN and Infinity do not
            raise Refused(NOT_A_DICTIONARY) from None
        if text[0] not in "{[" and text != "null":
            raise Refused(NOT_A_DICTIONARY)
        return (text + "\n").encode("utf-8")

    def flush(self):
        for stream in {id(s): s for s in (self.stdout, self.stderr, sys.stdout, sys.stderr)}.values():
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                pass  # closed or replaced by user code

    def prime(self, payload):
        """Makes one dummy init and run in a stem cell: they warm the code on their way and leave no trace that user code could see."""
        before = set(os.environ)
        scope = {"__name__": "main__"}
        exec(compile("def main(args):\n    return args\n", "main__.py", "exec"), scope)
        self.main = scope["main"]
        self.ready = True
        try:
            return self.run(payload)
        finally:
            self.main = None
            self.ready = False
            for name in set(os.environ) - before:
                del os.environ[name]


def print_exception(raised, stream, once=False):
    """Prints a traceback without the frames of this file, and an empty line behind it, as the launcher does, unless `once`."""
    try:
        import traceback
    except (ImportError, OSError):  # no descriptor is left to read the module; an earlier import would cost each start some milliseconds
        print("".join(places(raised)), file=stream, end="" if once else "\n")
        return
    whole = traceback.TracebackException(type(raised), raised, raised.__traceback__)
    while whole.stack and whole.stack[0].filename == __file__:
        del whole.stack[0]
    lines = whole.format() if whole.stack else ["Traceback (most recent call last):\n", *whole.format_exception_only()]
    print("".join(lines), file=stream, end="" if once else "\n")


def places(raised):
    """The lines of a traceback without the source, which needs files to be opened."""
    yield "Traceback (most recent call last):\n"
    step = raised.__traceback__
    while step:
        code = step.tb_frame.f_code
        if code.co_filename != __file__:
            yield f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_name}\n'
        step = step.tb_next
    yield f"{type(raised).__name__}: {raised}\n"


def say_why(raised, stream):
    """Prints the exception as at the end of a Python program, and returns the program's exit code."""
    if not isinstance(raised, SystemExit):
        print_exception(raised, stream, once=True)
        return 1
    if raised.code is None or isinstance(raised.code, int):
        return raised.code or 0
    print(raised.code, file=stream)
    return 1


# The functions from here on turn code into the function to call, as the proxy, the compile script, and the launcher do in three steps.


def load(code, binary, name):
    here = os.getcwd()  # the sandbox's own folder where it starts in one
    folder = os.path.join(os.environ.get("TMPDIR") or ("/tmp" if here == "/" else here), "action-" + os.urandom(8).hex())
    os.mkdir(folder, 0o700)
    source = decode(code) if binary else code.encode("utf-8", "surrogatepass")
    entry = os.path.join(folder, "main__.py")
    if binary and source[:2] in (b"PK", b"\x1f\x8b"):
        unpack(source, folder)
        for name_in_zip in ("exec", "__main__.py"):
            given = os.path.join(folder, name_in_zip)
            if os.path.isfile(given):
                os.replace(given, entry)
                break
        else:
            package = os.path.join(folder, "main__", "__init__.py")
            entry = entry if os.path.isfile(entry) else package
            if not os.path.isfile(entry):
                raise NotLoaded("Zip file does not include main__\n", FAILED_TO_GENERATE)
        with open(entry, "rb") as file:
            source = file.read()
        add_packages(folder)
    else:
        with open(entry, "wb") as file:
            file.write(source)
    if source.startswith(b"#!"):
        raise NotLoaded(NOT_COMPILED, CANNOT_START)  # the proxy takes it for a program that was compiled elsewhere
    compiled = refusal = None
    try:
        compiled = compile(source, entry, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as raised:
        refusal = raised
        try:
            compile(source, entry, "exec", flags=ONLY_PARSE, dont_inherit=True)
        except (SyntaxError, ValueError) as raised:
            raise NotLoaded(getattr(raised, "msg", None) or str(raised), FAILED_TO_GENERATE) from None
    os.chdir(folder)
    sys.path.insert(0, folder)
    module = type(sys)("main__")
    module.__file__ = entry
    if entry.endswith("__init__.py"):
        module.__path__ = [os.path.dirname(entry)]
    sys.modules["main__"] = module
    try:
        if refusal is not None:
            raise refusal  # an error that only the compiler finds, such as a return outside of a function, appears when the code is started
        exec(compiled, module.__dict__)
        if not hasattr(module, name):
            raise ImportError(f"cannot import name {name!r} from 'main__' ({entry})")
        return getattr(module, name)
    except BaseException as raised:
        code = say_why(raised, sys.stderr)
        raise NotLoaded("Command exited abruptly during initialization.", CANNOT_START, code) from None


def decode(code):
    import binascii

    try:
        return binascii.a2b_base64(code)
    except (binascii.Error, ValueError):
        raise Refused("cannot decode the request: illegal base64 data at input byte 0") from None


def unpack(source, folder):
    """Unpacks an archive. Names may be hostile: one that leads out of the folder is refused; bytes and files have a bound."""
    import io

    root = os.path.realpath(folder)
    links = []
    total = entries = 0
    try:
        for name, mode, is_folder, link, size, read in members(io.BytesIO(source)):
            path = os.path.join(root, name)
            if name.startswith("/") or "\0" in name or ".." in name.replace("\\", "/").split("/"):
                raise ValueError(f"the name {name!r} leads out of the archive")
            total += size
            entries += 1
            if total > MAX_UNPACKED or entries > MAX_ENTRIES:
                raise ValueError(f"it holds more than {MAX_UNPACKED} bytes or {MAX_ENTRIES} files")
            os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
            if link is not None:
                links.append((path, link))
            elif not is_folder:
                with open(path, "wb") as file:
                    file.write(read())
                os.chmod(path, mode & 0o777 | 0o600 if mode else 0o644)
        for path, link in links:  # last, so that no file is written through a link; links that lead out are left out
            leads = os.path.normpath(os.path.join(os.path.dirname(path), link))
            if not os.path.isabs(link) and leads.startswith(root + os.sep) and not os.path.lexists(path):
                os.symlink(link, path)
    except Exception as raised:  # the readers of archives raise a dozen kinds
        raise NotLoaded(f"The archive cannot be unpacked: {raised}", FAILED_TO_GENERATE) from None


def members(archive):
    """Each entry as (name, mode, is a folder, target of the link, size, function that reads it)."""
    if archive.getbuffer()[:2] == b"PK":
        import zipfile

        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                mode = entry.external_attr >> 16
                link = opened.read(entry).decode() if mode & 0o170000 == 0o120000 else None
                yield entry.filename, mode, entry.is_dir(), link, entry.file_size, lambda: opened.read(entry)
    else:
        import tarfile

        with tarfile.open(fileobj=archive) as opened:
            for entry in opened:
                if entry.isreg() or entry.isdir() or entry.issym():
                    link = entry.linkname if entry.issym() else None
                    yield entry.name, entry.mode, entry.isdir(), link, entry.size, lambda: opened.extractfile(entry).read()


def add_packages(folder):
    """Activates a virtualenv in the archive, or installs the packages of its requirements.txt."""
    virtual = os.path.join(folder, "virtualenv")
    requirements = os.path.join(folder, "requirements.txt")
    if os.path.isdir(virtual):
        for place in ("bin", "Scripts"):
            activation = os.path.join(virtual, place, "activate_this.py")
            if os.path.isfile(activation):
                activate(activation)
                return
        raise NotLoaded("Invalid virtualenv. Zip file does not include 'activate_this.py'.\n", FAILED_TO_GENERATE)
    if os.path.isfile(requirements):
        import subprocess

        packages = os.path.join(folder, "packages")
        command = [sys.executable, "-m", "pip", "install", "-q", "--retries", "0", "-r", requirements, "--target", packages]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise NotLoaded(done.stdout.rstrip("\n"), FAILED_TO_GENERATE)
        sys.path.insert(0, packages)


def activate(activation):
    """Runs the script of a virtualenv, which counts as a part of compiling: any output of it is an error."""
    import contextlib
    import io

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), open(activation, "rb") as file:
            exec(compile(file.read(), activation, "exec"), {"__file__": activation, "__name__": "activate_this"})
    except BaseException as raised:
        code = say_why(raised, said)
        if code and not said.getvalue():
            said.write(f"exit status {code}")
    if said.getvalue():
        raise NotLoaded(said.getvalue().rstrip("\n"), FAILED_TO_GENERATE)


def main():
    channel = Channel(int(sys.argv[1]))
    del sys.argv[1:], sys.path[0]
    runner = Runner()
    version = ".".join(map(str, sys.version_info[:3]))
    channel.send(HELLO, bytes(16), OK, json.dumps({"family": "python", "version": version}).encode())
    handlers = {INIT: runner.init, RUN: runner.run, PRIME: runner.prime}
    while True:
        frame = channel.receive()
        if frame is None:
            os._exit(0)
        kind, identity, payload = frame
        try:
            body = handlers[kind](payload) or b""
            flags = OK
        except Refused as refusal:
            body = error(str(refusal))
            flags = NOT_OK
        channel.send(RESULT, identity, flags, body)


if __name__ == "__main__":  # and not in a child of multiprocessing, which reads this file anew
    main()
