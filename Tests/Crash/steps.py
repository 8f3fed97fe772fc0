#!/usr/bin/env python3
"""Stops a machine at a persist step of its kernel, and cuts its power there.

usage: steps.py KERNEL SOCKET SEED FILE COMMAND...

KERNEL is the linked kernel with its symbols, SOCKET that of QEMU's gdb stub, whose machine has not started yet. A persist step
is a store fence in a function of the store or the kernel. The seed chooses a function, one of its fences, at which of
its executions to stop, and how many instructions later. COMMAND cuts the power while the machine stands there.

FILE is the store's memory if its lines must be written back, else "-". What was stored there behind the fence is not certain
to be durable: of these words each keeps its new value or gets its old one back, by chance. (One processor only: another one would
have fences of its own.)

Prints "function, fence, execution, instructions" and how many words were taken back. Status 3: the machine did not come there in time; its power is cut anyway.
"""
import random
import re
import socket
import struct
import subprocess
import sys
import time

FENCE = b"\x0f\xae\xf8"  # sfence
PATIENCE_SECONDS = 8
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

    def __init__(self, path):
        end = time.monotonic() + 30
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    sys.exit("steps.py: no machine opened " + path)
                time.sleep(0.02)
        self.pending = b""

    def send(self, text):
        body = text.encode()
        self.socket.sendall(b"$" + body + b"#%02x" % (sum(body) & 255))

    def receive(self, seconds):
        """The next packet, or None if none comes in time."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(rb"\$([^#]*)#..", self.pending)
            if found:
                self.pending = self.pending[found.end():]
                self.socket.sendall(b"+")
                return found.group(1).decode()
            rest = end - time.monotonic()
            if rest <= 0:
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
        answer = self.receive(10)
        if answer is None:
            sys.exit("steps.py: no answer to " + text)
        return answer

    def instruction(self):
        """Where the processor stands: rip comes behind the 16 general registers."""
        return int.from_bytes(bytes.fromhex(self.ask("g")[256:272]), "little")


def stop_at(stub, address, execution):
    """Runs the machine behind an execution of an instruction. False: it did not come there in time."""
    if stub.ask("Z0,%x,1" % address) != "OK":
        sys.exit("steps.py: no breakpoint at %x" % address)
    end = time.monotonic() + PATIENCE_SECONDS
    for _ in range(execution):
        stub.send("c")
        if stub.receive(max(0.1, end - time.monotonic())) is None:
            stub.socket.sendall(b"\x03")
            stub.receive(10)
            return False
        stub.ask("s")
    return True


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
    kernel, path, seed, memory, *command = sys.argv[1:]
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
    stub = Stub(path)
    stub.ask("?")
    came = stop_at(stub, steps[function][fence], execution)
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
