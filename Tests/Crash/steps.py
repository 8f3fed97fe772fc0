#!/usr/bin/env python3
"""Stops a machine at a persist step of its kernel, and cuts its power there.

usage: steps.py KERNEL SOCKET PID SEED FILE EVERTREE STORE

KERNEL is the linked kernel with its symbols, SOCKET that of QEMU's gdb stub, whose machine has not started yet; process PID
starts it. A persist step
is a store fence in a function of the store or the kernel. The seed chooses a function, one of its fences, at which of
its executions to stop, and how many instructions later. The command EVERTREE cuts the power of STORE while the machine stands there.

FILE is the store's memory if its lines must be written back, else "-". What was stored there behind the fence is not certain
to be durable: of these words each keeps its new value or gets its old one back, by chance. (One processor only: another one would
have fences of its own.)

Prints "function, fence, execution, instructions" and how many words were taken back. Status 3: the machine did not come there while it committed
many versions; its power is cut anyway.
"""
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time

FENCE = b"\x0f\xae\xf8"  # sfence
# A step that does not come while this many versions are committed does not come in this run.
PATIENCE_VERSIONS = 400
# Steps of every checkpoint or of many; the others come a few times in a run, or only at a restore.
FREQUENT = re.compile(r"\.(commit|publish|takeCheckpoint|makeWritable)\b")


def persist_steps(path):
    """Addresses of the fences of store and kernel, by the name of the function that they are in; and of all fences."""
    image = open(path, "rb").read()
    offset, = struct.unpack_from("<Q", image, 40)
    size, count = struct.unpack_from("<HH", image, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, offset + size * i) for i in range(count)]
    steps, fences = {}, set()
    for section in sections:
        if section[1] != 2:  # SHT_SYMTAB
            continue
        names = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, index, value, length = struct.unpack_from("<IBBHQQ", image, at)
            if info & 15 != 2 or not 0 < index < count:  # STT_FUNC
                continue
            text = image[names + name:image.index(b"\0", names + name)].decode()
            start = sections[index][4] + value - sections[index][3]
            code = image[start:start + length]
            places = [value + m.start() for m in re.finditer(re.escape(FENCE), code)]
            fences.update(places)
            # Formatting and the scrub (once in 240 restores) do not happen in a run.
            is_ours = re.match(r"\$[se](5Store|6Kernel)", text) and not re.search("format|scrub|Superblock", text)
            if places and is_ours:
                steps[readable(text)] = places
    return steps, fences


def readable(symbol):
    """The last words of a mangled name that are long enough to be one: the function."""
    words = []
    at = 0
    while (found := re.compile(r"[1-9]\d*").search(symbol, at)):
        length = int(found.group())
        word = symbol[found.end():found.end() + length]
        if len(word) == length and re.fullmatch(r"[A-Za-z_]\w*", word):
            words.append(word)
            at = found.end() + length
        else:
            at = found.end()
    return ".".join(words[:3])


class Stub:
    """QEMU's gdb stub (GDB manual, appendix E)."""

    def __init__(self, path, starter):
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                if not os.path.exists("/proc/" + starter):
                    sys.exit("steps.py: no machine opened " + path)
                time.sleep(0.02)
        self.pending = b""

    def send(self, text):
        body = text.encode()
        self.socket.sendall(b"$" + body + b"#%02x" % (sum(body) & 255))

    def receive(self, seconds):
        """The next packet, or None if none comes in time; without a time, waits for it."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            found = re.search(rb"\$([^#]*)#..", self.pending)
            if found:
                self.pending = self.pending[found.end():]
                self.socket.sendall(b"+")
                return found.group(1).decode()
            rest = None if end is None else end - time.monotonic()
            if rest is not None and rest <= 0:
                return None
            self.socket.settimeout(rest)
            try:
                piece = self.socket.recv(4096)
            except TimeoutError:
                return None
            if not piece:
                sys.exit("steps.py: the machine ended by itself")
            self.pending += piece

    def ask(self, text):
        self.send(text)
        return self.receive(None)

    def instruction(self):
        """Where the processor stands: rip comes behind the 16 general registers."""
        return int.from_bytes(bytes.fromhex(self.ask("g")[256:272]), "little")


def stop_at(stub, address, execution, version):
    """Runs the machine behind an execution of an instruction. False: it did not come there. `version` reads the committed
    version."""
    if stub.ask("Z0,%x,1" % address) != "OK":
        sys.exit("steps.py: no breakpoint at %x" % address)
    first = version()
    for _ in range(execution):
        stub.send("c")
        while stub.receive(0.5) is None:
            if version() > first + PATIENCE_VERSIONS:
                stub.socket.sendall(b"\x03")
                stub.receive(None)
                return False
        stub.ask("s")
    return True


def committed(statistics):
    """The committed version; 0 as long as there is none to be read."""
    found = subprocess.run(statistics, capture_output=True, text=True).stdout
    version = re.search(r'"version" : (\d+)', found)
    return int(version.group(1)) if version else 0


def snapshot(path):
    with open(path, "rb") as file:
        return file.read()


def belongs_outside(offset):
    """Whether the host writes this word: the output ring's `remote`, the input ring (ABI/Ring.swift, StoreLayout.swift)."""
    return offset == 35 * 4096 + 192 or 100 * 4096 <= offset < 117 * 4096


def lose(path, before, choice):
    """Takes back some of the words that changed since a snapshot. Returns how many."""
    lost = 0
    after = snapshot(path)
    with open(path, "r+b") as file:
        for page in range(0, len(after), 4096):
            if after[page:page + 4096] == before[page:page + 4096]:
                continue
            for word in range(page, page + 4096, 8):
                changed = after[word:word + 8] != before[word:word + 8]
                if changed and not belongs_outside(word) and choice.random() < 0.5:
                    file.seek(word)
                    file.write(before[word:word + 8])
                    lost += 1
    return lost


def main():
    kernel, path, starter, seed, memory, tool, store = sys.argv[1:]
    command = [tool, "kill", "--power-loss", store]
    statistics = [tool, "stats", "--json", store]
    choice = random.Random(int(seed))
    steps, fences = persist_steps(kernel)
    if not steps:
        sys.exit("steps.py: no persist step in %s: has it no symbols?" % kernel)
    often = [name for name in sorted(steps) if FREQUENT.search(name)]
    function = choice.choice(often if choice.random() < 0.6 else sorted(steps))
    fence = choice.randrange(len(steps[function]))
    execution = choice.choice([1, 1, 2, choice.randint(1, 4)])
    if function in often:
        execution = choice.choice([1, choice.randint(1, 20), choice.randint(1, 300)])
    instructions = choice.choice([0, choice.randint(1, 200), choice.randint(1, 2000), choice.randint(1, 4000)])
    stub = Stub(path, starter)
    stub.ask("?")
    came = stop_at(stub, steps[function][fence], execution, lambda: committed(statistics))
    before = snapshot(memory) if came and memory != "-" else b""
    done = 0
    # Not over the next fence: what was written back before it would be durable.
    while came and done < instructions and not (before and stub.instruction() in fences):
        stub.ask("s")
        done += 1
    subprocess.run(command, check=True)
    lost = lose(memory, before, choice) if before else 0
    print(f"{function}, fence {fence + 1}, execution {execution}, {done} instructions later, {lost} words lost")
    sys.exit(0 if came else 3)


main()
