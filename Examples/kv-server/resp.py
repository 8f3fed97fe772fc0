"""A client of the redis protocol, and how to start the servers, for the checks in this folder."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time


class Gone(Exception):
    """The server closed the connection, or died."""


class Error(str):
    """An error reply."""


def encode(command):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, *commands):
        self.raw(b"".join(encode(command) for command in commands))

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except ConnectionError as problem:
            raise Gone from problem

    def reply(self):
        """One reply: bytes, int, None, a list, or an Error. A simple string is bytes with its "+"."""
        try:
            line = self.file.readline()
        except ConnectionError as problem:
            raise Gone from problem
        if not line.endswith(b"\r\n"):
            raise Gone
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.body(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return Error(rest.decode(errors="replace"))
        if kind != b"+":
            raise ValueError(f"not a reply: {line!r}")
        return line[:-2]

    def body(self, count):
        data = self.file.read(count + 2)
        if len(data) != count + 2:
            raise Gone
        return data[:-2]

    def call(self, *words):
        self.send(words)
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A process and the port it listens on."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def client(self):
        return Client(self.port)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def start_ours(binary, heap, domain, environment=None):
    command = [binary, heap, "0", domain]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    line = process.stdout.readline()
    if not line.startswith("ready on port "):
        process.kill()
        process.wait()
        sys.exit(f"{binary} did not start: {line!r}")
    return Server(process, int(line.split()[-1]))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_redis(folder, *options, environment=None):
    if not shutil.which("redis-server"):
        sys.exit("redis-server is not installed: apt-get install redis")
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
    with open(os.path.join(folder, "redis.log"), "wb") as log:
        process = subprocess.Popen(command + list(options), stdout=log, stderr=log, env=environment)
    while process.poll() is None:
        try:
            # Ours, not another one that holds the port.
            if f"process_id:{process.pid}".encode() in Client(port).call("INFO", "server"):
                return Server(process, port)
        except (OSError, Gone, TypeError):
            time.sleep(0.02)
    sys.exit("redis-server did not start")
