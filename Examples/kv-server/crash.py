#!/usr/bin/env python3
"""Kills the server under load, again and again, and checks that no acknowledged write is lost.

crash.py SERVER [KILLS [SEED]]

The kills are shared among the three domains of persistence, each with a heap of its own. A round starts the server
on what the last one left, reads everything back, writes through several connections in pipelines, and kills the
server (SIGKILL) at a random moment after a random number of acknowledged writes, so that a slow host does not kill an idle one. A write that was sent but not acknowledged may be there or not; one that was
acknowledged must be. HEAP_KILL_FOLDER names the folder for the heaps.
"""
import collections
import os
import random
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from resp import Error, Gone, start_ours

# Domains, and the longest time in seconds before a kill, once enough was acknowledged: a commit that waits for a disk takes longer.
DOMAINS = {"file": 0.4, "cache-line": 0.08, "process": 0.08}
CLIENTS = 3


class Ledger:
    """What may be found: for each place its acknowledged value, then those on their way, oldest first."""

    def __init__(self, number, rng):
        self.number, self.rng = number, rng
        self.places = collections.defaultdict(lambda: [None])
        self.pushed = self.pushing = 0
        self.acknowledged = 0

    def write(self):
        """A command, and what to do when it is acknowledged."""
        rng = self.rng
        kind = rng.choice("ssssdhzl")
        if kind == "l":
            self.pushing += 1
            return ("RPUSH", f"list:{self.number}", self.pushed + self.pushing - 1), self.push_done
        name = f"{self.number}:{rng.randrange(700)}"
        value = str(rng.randrange(10**9)) * rng.choice((1, 1, 1, 4, 30))
        place = ("s" if kind == "d" else kind, name)
        if kind == "z":
            value = str(rng.randrange(10**6))
        command = {
            "s": ("SET", f"key:{name}", value), "d": ("DEL", f"key:{name}"),
            "h": ("HSET", f"hash:{self.number}", name, value), "z": ("ZADD", f"sorted:{self.number}", value, name),
        }[kind]
        self.places[place].append(None if kind == "d" else value.encode())
        return command, lambda: self.places[place].pop(0)

    def push_done(self):
        self.pushed += 1
        self.pushing -= 1

    def reading(self, place):
        kind, name = place
        return {"s": ("GET", f"key:{name}"), "h": ("HGET", f"hash:{self.number}", name),
                "z": ("ZSCORE", f"sorted:{self.number}", name)}[kind]

    def check(self, client):
        """Reads everything back; what is found becomes what is certain."""
        places = sorted(self.places)
        for first in range(0, len(places), 500):
            part = places[first : first + 500]
            client.send(*[self.reading(place) for place in part])
            for place in part:
                found = client.reply()
                if found not in self.places[place]:
                    sys.exit(f"LOST: {place} holds {found!r}, allowed are {self.places[place]}")
                self.places[place] = [found]
        found = client.call("LRANGE", f"list:{self.number}", 0, -1)
        if not self.pushed <= len(found) <= self.pushed + self.pushing:
            sys.exit(f"LOST: a list of {len(found)} elements, {self.pushed} were acknowledged")
        if found != [str(n).encode() for n in range(len(found))]:
            sys.exit("LOST: a list with other elements than were pushed")
        self.pushed, self.pushing = len(found), 0


class Campaign:
    """One domain's heap, and what is known of it."""

    def __init__(self, binary, folder, domain, rng):
        self.binary, self.domain, self.rng = binary, domain, rng
        self.heap = os.path.join(folder, f"{domain}.heap")
        self.ledgers = [Ledger(number, rng) for number in range(CLIENTS)]
        self.replayed = 0
        self.opening = []

    def start_and_check(self):
        began = time.monotonic()
        server = start_ours(self.binary, self.heap, self.domain)
        client = server.client()
        info = client.call("INFO").decode()
        self.opening.append(time.monotonic() - began)
        self.replayed += int(info.split("heap_replayed_transactions:")[1].split()[0])
        for ledger in self.ledgers:
            ledger.check(client)
        client.close()
        return server

    def round(self):
        server = self.start_and_check()
        clients = [server.client() for _ in self.ledgers]
        delay = self.rng.uniform(0, DOMAINS[self.domain])
        killer = threading.Timer(delay, server.process.kill)
        before = sum(ledger.acknowledged for ledger in self.ledgers)
        wanted = self.rng.choice((0, 1, self.rng.randrange(300)))
        try:
            while True:
                if not killer.ident and sum(ledger.acknowledged for ledger in self.ledgers) >= before + wanted:
                    killer.start()
                waiting = []
                for client, ledger in zip(clients, self.ledgers):
                    writes = [ledger.write() for _ in range(self.rng.choice((1, 3, 30)))]
                    waiting.append((client, ledger, [done for _, done in writes]))
                    client.send(*[command for command, _ in writes])
                for client, ledger, actions in waiting:
                    for done in actions:
                        answer = client.reply()
                        if isinstance(answer, Error):
                            sys.exit(f"a write failed: {answer}")
                        done()
                        ledger.acknowledged += 1
        except Gone:
            pass
        killer.join()
        server.kill()
        for client in clients:
            client.close()


def main():
    binary = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=os.environ.get("HEAP_KILL_FOLDER")) as folder:
        campaigns = [Campaign(binary, folder, domain, rng) for domain in DOMAINS]
        for number in range(kills):
            campaigns[number % len(campaigns)].round()
        for campaign in campaigns:
            campaign.start_and_check().kill()
            opening = sorted(campaign.opening)[len(campaign.opening) // 2]
            print(
                f"{campaign.domain}: {len(campaign.opening) - 1} kills,"
                f" {sum(ledger.acknowledged for ledger in campaign.ledgers)} acknowledged writes,"
                f" {campaign.replayed} transactions replayed at start,"
                f" median from start to first reply {opening * 1000:.0f} ms")
    print(f"{kills} kills under load (seed {seed}): no acknowledged write lost")


if __name__ == "__main__":
    main()
