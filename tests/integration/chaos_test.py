#!/usr/bin/python3
"""kill -9 of each role at random under load, fifty times (PV_CHAOS_ROUNDS), and of everything at
once now and then: every acknowledged invocation has its events, the log verifies, the graph equals
its rebuild."""

import os
import random
import signal
import threading
import time

from provost_platform import Platform, PROGRAMS, until

ROUNDS = int(os.environ.get("PV_CHAOS_ROUNDS", "50"))


class Load:
    """Clients that call until told to stop, and remember each acknowledged call id."""

    def __init__(self, p):
        self.p = p
        self.acknowledged = []
        self.failed = 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(4)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.stop.is_set():
            try:
                status, body, headers = self.p.request("POST", "/function/echo", b"x", timeout=10)
                if status == 200 and body == b"x":
                    self.acknowledged.append(headers["X-Call-Id"])
                else:
                    self.failed += 1
                    time.sleep(0.02)
            except (OSError, http_error):
                self.failed += 1
                time.sleep(0.02)

    def join(self):
        self.stop.set()
        for t in self.threads:
            t.join()


from http.client import HTTPException as http_error  # noqa: E402


def main():
    seed = int(os.environ.get("PV_CHAOS_SEED", time.time_ns() % 100000))
    print("seed", seed)
    rng = random.Random(seed)
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        load = Load(p)
        killed = {}
        for round_ in range(ROUNDS):
            time.sleep(rng.uniform(0.1, 0.6))
            if round_ % 10 == 9:
                p.kill_all()
                killed["everything"] = killed.get("everything", 0) + 1
                p.start()
                continue
            name = rng.choice(["gateway", "auditor", "stitcher", "host"])
            pid = p.role(name)
            if pid:
                os.kill(pid, signal.SIGKILL)
                killed[name] = killed.get(name, 0) + 1
        enough = len(load.acknowledged) + 50
        until(lambda: len(load.acknowledged) >= enough, "the platform did not recover")
        load.join()
        p.stop()
        p.cli("verify")
        ends = {e["invocation"] for e in p.json("audit", "find", "--kind", "invocation-end", "--limit", "0")["events"]}
        replies = {e["invocation"] for e in p.json("audit", "find", "--kind", "response", "--limit", "0")["events"]}
        begun = {e["invocation"] for e in p.json("audit", "find", "--kind", "invocation-begin", "--limit", "0")["events"]}
        lost = [c for c in load.acknowledged if c not in ends or c not in replies or c not in begun]
        assert not lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged calls lack events: {lost[:5]}"
        before = p.json("graph", "digest")["digest"]
        p.cli("graph", "rebuild")
        assert p.json("graph", "digest")["digest"] == before, "the graph differs from its rebuild"
        print(f"killed {killed}; {len(load.acknowledged)} acknowledged calls, none lost; "
              f"{load.failed} refused or cut off meanwhile")


main()
