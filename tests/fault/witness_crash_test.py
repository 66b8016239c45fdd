#!/usr/bin/python3
"""kill -9 of the auditor, twenty times (PV_WITNESS_ROUNDS; ten under a sanitizer), while functions
run: of every acknowledged invocation the log has the outside events (fork, exec, read, write, exit
of its process) exactly once, and as many outside events altogether as the kernel's own counters
say. A function that makes more records than the probes' ring can take while nobody reads waits, and
loses none."""

import collections
import http.client
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from provost_platform import Platform, PROGRAMS, skip, until  # noqa: E402

# a sanitizer's run time makes each start of a role several times as long
ROUNDS = int(os.environ.get("PV_WITNESS_ROUNDS", "10" if os.environ.get("PV_SANITIZE") else "20"))
KILLS_A_RUN = 5  # more of them, and the supervisor's back-off is most of the time
OUTSIDE = ["proc-fork", "proc-exec", "proc-exit", "object", "socket", "open", "read", "write",
           "io-total", "path-op", "connect", "accept", "map-exec", "attempt-denied",
           "interference", "credentials", "foreign-entry", "name-op", "influence"]


def caller(p, stop, acknowledged):
    while not stop.is_set():
        try:
            status, _, headers = p.request("POST", "/function/echo", b"x", timeout=30)
            if status == 200:
                acknowledged.append(headers["X-Call-Id"])
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)


# Each pair of operations leaves 12 KB of records: names of nearly 4 KiB.
FLOOD = """#!/usr/bin/perl
chdir "/tmp"; my $name = "x" x 250;
for (1 .. 14) { mkdir $name or die; chdir $name or die }
for (1 .. %d) { mkdir "d" or die; rmdir "d" or die }
print "flooded";
"""
FLOOD_PAIRS = 4000  # more than the ring takes


def deploy_flood(p, policy):
    script = p.dir / "flood.pl"
    script.write_text(FLOOD % FLOOD_PAIRS)
    script.chmod(0o755)
    p.deploy("flood", script, "--prepare", "exec", "--concurrency", "1", "--prepared", "0",
             "--loss", policy)


killed = set()  # they may still be seen while they die


def running_auditor(p):
    def running():
        pid = p.role("auditor")
        return pid if pid not in killed else None

    return until(running, "the auditor was not started again", 0.01)


def kill_auditor(p, rng):
    time.sleep(rng.uniform(0.05, 0.4))
    pid = running_auditor(p)
    killed.add(pid)
    os.kill(pid, signal.SIGKILL)


def is_held(program):
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == program and rest.split()[0] == "T":
            return True
    return False


def flood_unread(p):
    """Nobody reads, then the auditor is killed: the function waits, and goes on with the next one."""
    answers = []
    pid = running_auditor(p)
    os.kill(pid, signal.SIGSTOP)
    call = threading.Thread(
        target=lambda: answers.append(p.request("POST", "/function/flood", b"", timeout=60)[:2]))
    call.start()
    deadline = time.monotonic() + 25
    while not is_held("flood.pl"):
        assert time.monotonic() < deadline and not answers, f"the function runs on: {answers}"
        time.sleep(0.01)
    time.sleep(0.3)
    assert not answers, f"the function runs on: {answers}"
    killed.add(pid)
    os.kill(pid, signal.SIGKILL)
    call.join()
    assert answers == [(200, b"flooded")], f"the flood: {answers}"


def processes(p):
    """(host pid, start) of a process: its number; what of each kind every number has; its parent."""
    number, parent = {}, {}
    seen = collections.defaultdict(collections.Counter)
    total = 0
    for kind in OUTSIDE:
        for e in p.events(kind):
            total += 1
            f = e["fields"]
            if kind == "proc-fork":
                number[(f["host_pid"], f["start_ticks"])] = f["proc"]
                parent[f["proc"]] = f["parent"]
            if "proc" in f:
                seen[f["proc"]][kind] += 1
    return number, seen, parent, total


def check_calls(p, acknowledged):
    prepared = {(e["domain"], e["fields"]["instance"]): (e["fields"]["pid"], e["fields"]["start_ticks"])
                for e in p.events("instance-prepared")}
    begun = {e["invocation"]: (e["domain"], e["fields"]["instance"])
             for e in p.events("invocation-begin")}
    number, seen, parent, total = processes(p)
    for call in acknowledged:
        proc = number.get(prepared[begun[call]])
        assert proc is not None, f"call {call}: no proc-fork of its process"
        has = seen[proc]
        for kind in ("proc-fork", "proc-exit"):
            assert has[kind] == 1, f"call {call}: {has[kind]} {kind} events of process {proc}"
        # a zygote has executed for all its forks
        execs = has["proc-exec"] + seen[parent[proc]]["proc-exec"]
        assert execs == 1, f"call {call}: {execs} proc-exec events of process {proc} and its parent"
        for kind in ("read", "write"):
            assert has[kind] >= 1, f"call {call}: no {kind} event of process {proc}"
    return total


def counters(p):
    last = {e["fields"]["cpu"]: e["fields"] for e in p.events("witness-counters")}
    return (sum(f["emitted"] for f in last.values()), sum(f["lost"] for f in last.values()),
            sum(e["fields"]["count"] for e in p.events("gap")))


def check_counters(p, total):
    emitted, lost, gaps = counters(p)
    assert emitted == total, f"the probes emitted {emitted} records, the log has {total}"
    assert lost == gaps == 0, f"{lost} records did not fit, gap events say {gaps}"


def run(rng, kills, waiting):
    acknowledged = []
    stop = threading.Event()
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo", "--class", "process")
        deploy_flood(p, "freeze")
        if any(e["fields"]["witness"].startswith("missing") for e in p.events("log-open")):
            skip("the outside witness is missing here")
        callers = [threading.Thread(target=caller, args=(p, stop, acknowledged)) for _ in range(4)]
        for t in callers:
            t.start()
        try:
            for _ in range(kills - 1 if waiting else kills):
                kill_auditor(p, rng)
            if waiting:
                flood_unread(p)
            enough = len(acknowledged) + 50
            until(lambda: len(acknowledged) >= enough, "the platform did not recover")
        finally:
            stop.set()
            for t in callers:
                t.join()
        p.stop()
        p.cli("verify")
        p.cli("graph", "rebuild")
        total = check_calls(p, acknowledged)
        check_counters(p, total)
    print(f"{kills} kills{', one while a function waited' if waiting else ''}; {len(acknowledged)} acknowledged calls with all their outside events; "
          f"{total} outside events, as many as the probes emitted", flush=True)


def run_dropping():
    """With `drop` nobody waits, and what does not fit is told exactly."""
    with Platform() as p:
        deploy_flood(p, "drop")
        pid = running_auditor(p)
        os.kill(pid, signal.SIGSTOP)
        answer = p.request("POST", "/function/flood", b"", timeout=60)[:2]
        os.kill(pid, signal.SIGCONT)
        assert answer == (200, b"flooded"), f"the flood: {answer}"
        p.stop()
        p.cli("verify")
        p.cli("graph", "rebuild")
        emitted, lost, gaps = counters(p)
        total = sum(len(p.events(kind)) for kind in OUTSIDE)
        assert 0 < lost == gaps and emitted == total, f"{lost} {gaps} {emitted} {total}"
    print(f"with drop {lost} records are lost and said to be", flush=True)


def main():
    seed = int(os.environ.get("PV_CHAOS_SEED", time.time_ns() % 100000))
    print("seed", seed, flush=True)
    rng = random.Random(seed)
    for done in range(0, ROUNDS, KILLS_A_RUN):
        run(rng, min(KILLS_A_RUN, ROUNDS - done), done == 0)
    run_dropping()


main()
