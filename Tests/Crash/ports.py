#!/usr/bin/env python3
"""Clients on the host with requests in flight, a server in the machine, power cuts between (ports.sh)."""
import random
import re
import socket
import subprocess
import sys
import threading
import time

evertree, store, program, kills, seed = sys.argv[1:4] + [int(x) for x in sys.argv[4:6]]
cpus = sys.argv[6]
chance = random.Random(seed)
failures = []
done = threading.Event()
longest = [0.0]


def fail(text):
    failures.append(text)
    done.set()


def connect(port):
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(300)
    return client


def stream(seed, length):
    return random.Random(seed).randbytes(length)


def waited(start):
    longest[0] = max(longest[0], time.monotonic() - start)


def echo(port, seed):
    """Bytes come back as they were sent, in order, while more are on their way. Returns how many."""
    choice = random.Random(seed)
    client = connect(port)
    sent, received, bytes_ = 0, 0, b""
    while not done.is_set() or received < sent:
        while not done.is_set() and sent - received < 30000:
            part = stream((seed, sent).__hash__(), choice.choice((1, 7, 512, 4096, 16000)))
            bytes_ += part
            client.sendall(part)
            sent += len(part)
        start = time.monotonic()
        got = client.recv(65536)
        waited(start)
        if not got or bytes_[: len(got)] != got:
            return fail(f"echo {seed}: wrong bytes at {received} of {sent}: {got[:20]!r}")
        bytes_ = bytes_[len(got) :]
        received += len(got)
    client.shutdown(socket.SHUT_WR)
    if client.recv(1) != b"":
        fail(f"echo {seed}: bytes behind the end")
    return received


numbers = []


def count(port, seed):
    """Each request is answered once, with a number that nobody else got."""
    choice = random.Random(seed)
    client = connect(port)
    mine = []
    while not done.is_set():
        wanted = choice.randint(1, 40)
        client.sendall(b"i" * wanted)
        text = b""
        start = time.monotonic()
        while len(text) < 9 * wanted:
            got = client.recv(9 * wanted - len(text))
            if not got:
                return fail(f"count {seed}: ended within an answer")
            text += got
        waited(start)
        mine += [int(line, 16) for line in text.split()]
    client.shutdown(socket.SHUT_WR)
    if client.recv(1) != b"":
        fail(f"count {seed}: answers that nobody asked for")
    if any(a >= b for a, b in zip(mine, mine[1:])):
        fail(f"count {seed}: the counter went back")
    numbers.extend(mine)


def short(port, seed):
    """Connections of one exchange each."""
    made = 0
    while not done.is_set():
        with connect(port) as client:
            text = b"%d" % made
            client.sendall(text)
            got = client.recv(len(text), socket.MSG_WAITALL)
            if got != text:
                fail(f"short {seed}: {got!r} instead of {text!r}")
            made += 1


def vanish(port, seed):
    """Clients that send and go away without a word, some with a reset."""
    choice = random.Random(seed)
    while not done.is_set():
        client = connect(port)
        client.sendall(bytes(choice.randint(1, 60000)))
        if choice.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        done.wait(0.05)


def never_reads(port, seed):
    """Sends as long as anyone takes it and reads nothing: it is held up, and nobody else is."""
    client = connect(port)
    client.settimeout(0.2)
    taken = 0
    while not done.is_set():
        try:
            taken += client.send(bytes(65536))
        except TimeoutError:
            pass
    if taken > 64 << 20:
        fail(f"{taken} bytes were taken of a client that reads nothing")
    client.close()


def version():
    text = subprocess.run([evertree, "stats", "--json", store], capture_output=True, text=True).stdout
    found = re.search(r'"version" : (\d+)', text)
    return int(found.group(1)) if found else 0


def cut():
    """Cuts the power once: three in four times after the machine has committed, else at any time."""
    before = version()
    if chance.random() < 0.75:
        while version() == before and not done.is_set():
            time.sleep(0.02)
    time.sleep(chance.uniform(0.02, 1.0))
    while not done.is_set():
        if subprocess.run([evertree, "kill", "--power-loss", store], capture_output=True).returncode == 0:
            return
        time.sleep(0.02)


messages = open(store + ".messages", "w+")
command = subprocess.Popen(
    [evertree, "run", "--store", store, "--cpus", cpus, "--nvm", "256M", "--memory", "256M", "--restart", "on-crash"]
    + ["-p", "0:7", "-p", "0:8", "--", program],
    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages, text=True)
if command.stdout.readline() != "ready\n":
    sys.exit("the server did not start: " + open(messages.name).read())
ports = [int(x) for x in re.findall(r"127\.0\.0\.1:(\d+)", open(messages.name).read())]
work = [(echo, ports[0])] * 6 + [(count, ports[1])] * 6
work += [(short, ports[0]), (vanish, ports[0]), (never_reads, ports[0])]


def guarded(body, port, seed):
    try:
        body(port, seed)
    except OSError as error:
        fail(f"{body.__name__} {seed}: {error}")


threads = [threading.Thread(target=guarded, args=(b, p, seed * 100 + i)) for i, (b, p) in enumerate(work)]
for thread in threads:
    thread.start()
cuts = 0
while cuts < kills and not done.is_set():
    cut()
    cuts += 1
    if command.poll() is not None:
        fail(f"the command ended with {command.returncode}")
if not done.is_set():
    # The last machine answers, too.
    guarded(lambda p, s: connect(p).close(), ports[0], 0)
    time.sleep(0.5)
done.set()
for thread in threads:
    thread.join()
if sorted(numbers) != list(range(1, len(numbers) + 1)):
    fail(f"{len(numbers)} answers are not the numbers from 1 on: one was lost, repeated or taken back")
subprocess.run([evertree, "stop", "--timeout", "600", store], stderr=messages)
if command.wait() != 0:
    fail(f"the program ended with {command.returncode}")
if failures:
    print(open(messages.name).read()[-2000:])
    sys.exit("\n".join(failures[:5]))
print(f"ports: {len(numbers)} answers, {cuts} power cuts: no connection broken, no byte lost, repeated or changed; "
      f"longest pause of a client {longest[0]:.1f} s")
