#!/usr/bin/env python3
"""Kills the server under load, again and again, and checks that no acknowledged write is lost.

crash.py SERVER [KILLS [SEED]]: each round starts the server on the same heap, checks every key against what was
acknowledged, writes in pipelines, and kills the server (SIGKILL) at a random moment. A write that was sent but not
acknowledged may be there or not.
"""
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, *commands):
        data = b""
        for command in commands:
            words = [str(word).encode() for word in command]
            data += b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
        self.socket.sendall(data)

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server is gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            if int(rest) < 0:
                return None
            body = self.file.read(int(rest) + 2)
            if len(body) != int(rest) + 2:
                raise ConnectionError("the server is gone")
            return body[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"-":
            raise ValueError(rest.decode())
        return rest.decode()

    def close(self):
        self.file.close()
        self.socket.close()


def start(server, heap):
    process = subprocess.Popen([server, heap, "0", "process"], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if "port" not in line:
        sys.exit(f"the server did not start: {line!r}")
    return process, int(line.split()[-1])


def check(connection, certain, possible):
    """Every key holds its acknowledged value, or one that was on its way when the server died."""
    keys = sorted(set(certain) | set(possible))
    for first in range(0, len(keys), 200):
        part = keys[first : first + 200]
        connection.send(*[("GET", key) for key in part])
        for key in part:
            found = connection.reply()
            allowed = {certain.get(key)} | set(possible.get(key, []))
            if found not in allowed:
                sys.exit(f"LOST: {key} holds {found!r}, allowed are {allowed}")
            if found is not None:
                certain[key] = found
    possible.clear()
    connection.send(("LLEN", "list"))
    return int(connection.reply())


def main():
    server = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rng = random.Random(seed)
    certain, possible, pushed, maybe_pushed, writes = {}, {}, 0, 0, 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("HEAP_KILL_FOLDER")) as folder:
        heap = os.path.join(folder, "server.heap")
        for _ in range(kills):
            process, port = start(server, heap)
            connection = Connection(port)
            length = check(connection, certain, possible)
            if not pushed <= length <= pushed + maybe_pushed:
                sys.exit(f"LOST: the list has {length} elements, {pushed} were acknowledged")
            pushed, maybe_pushed = length, 0
            deadline = time.monotonic() + rng.uniform(0.005, 0.1)
            killer = os.fork()
            if killer == 0:
                time.sleep(max(0, deadline - time.monotonic()))
                os.kill(process.pid, signal.SIGKILL)
                os._exit(0)
            try:
                while True:
                    batch = []
                    for _ in range(rng.randrange(1, 30)):
                        key = f"key:{rng.randrange(2000)}"
                        value = f"{rng.randrange(10**9)}" * rng.choice((1, 1, 5))
                        batch.append((key, value))
                        possible.setdefault(key, []).append(value)
                    maybe_pushed += 1
                    connection.send(*[("SET", k, v) for k, v in batch], ("RPUSH", "list", writes))
                    for key, value in batch:
                        connection.reply()
                        certain[key] = value
                        # Earlier values of the key can no longer come back.
                        possible[key] = possible[key][possible[key].index(value) :]
                        writes += 1
                    connection.reply()
                    pushed += 1
                    maybe_pushed -= 1
            except (ConnectionError, OSError):
                pass
            connection.close()
            os.waitpid(killer, 0)
            process.wait()
            process.stdout.close()
        process, port = start(server, heap)
        connection = Connection(port)
        length = check(connection, certain, possible)
        if not pushed <= length <= pushed + maybe_pushed:
            sys.exit(f"LOST: the list has {length} elements, {pushed} were acknowledged")
        process.kill()
        process.wait()
    print(f"{kills} kills (seed {seed}), {writes} acknowledged writes, none lost")


if __name__ == "__main__":
    main()
