#!/usr/bin/python3
"""`provost audit reconcile` on a platform with both classes of instances: what honest hosts say and
what the outside witness saw agree, to the last connection."""

import contextlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from provost_platform import Platform, PROGRAMS, skip, together, until  # noqa: E402

SECRET = "/var/openfaas/secrets/api-key"
CALL = ("POST /function/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
        "hello")


def reconcile(p, *args):
    r = p.cli("audit", "reconcile", *args, check=False)
    assert r.returncode == 0, (r.returncode, r.stdout, r.stderr)
    return r.stdout.decode()


def deploy(p, kvm):
    p.cli("secret", "create", "api-key", "--from-file", "-", stdin=b"k3y")
    p.deploy("echo", PROGRAMS / "echo", "--class", "process")
    p.deploy("connect", PROGRAMS / "connect", "--allow-call", "echo", "--class", "process")
    p.deploy("first", PROGRAMS / "echo", "--class", "process", "--prepare", "first-read")
    p.script("shell", "cat | tr a-z A-Z; cat /etc/hostname > /tmp/x; (sleep 0.01) & wait\n")
    if kvm:
        p.deploy("show", PROGRAMS / "show", "--secret", "api-key", "--class", "microvm")
        p.deploy("vmconnect", PROGRAMS / "connect", "--allow-call", "echo", "--class", "microvm")
        p.deploy("crash", PROGRAMS / "crash", "--class", "microvm")
    never_deployed(p)


def never_deployed(p):
    """Refused deployments have started processes too; and a host may be stopped while it starts more."""
    shell = p.dir / "list.sh"
    shell.write_text("#!/bin/sh\nls / > /dev/null\ncat\n")
    shell.chmod(0o755)
    for prepare in ("zygote", "first-read"):
        r = p.cli("deploy", "refused", str(shell), "--prepare", prepare, check=False)
        assert r.returncode == 6, (prepare, r)
    for _ in range(5):
        p.deploy("short", PROGRAMS / "echo", "--class", "process", "--concurrency", "8", "--prepared", "8")
        p.cli("remove", "short")


def ask(p, name, body, expect):
    status, answer, _ = p.request("POST", f"/function/{name}", body)
    assert status == 200 and expect in answer, (name, status, answer)


def use(p, kvm, rounds):
    calls = []
    for _ in range(rounds):
        calls += [("echo", "hello", b"hello"), ("first", "hello", b"hello"),
                  ("shell", "hello", b"HELLO"), ("connect", CALL, b"hello")]
        if kvm:
            calls += [("show", SECRET, b"k3y"), ("show", "/etc/hostname-that-is-none", b"(none)"),
                      ("show", "/function/show", b"ELF"), ("vmconnect", CALL, b"hello")]
    together([lambda c=c: ask(p, *c) for c in calls], 4)


def pairs(p):
    found = p.json("audit", "reconcile")
    assert found["found"] == 0 and found["findings"] == [], found
    return found["pairs"]


def findings(p, *args):
    """What does not reconcile, when something must not."""
    r = p.cli("audit", "reconcile", "--json", *args, check=False)
    assert r.returncode == 1, (r.returncode, r.stdout, r.stderr)
    return json.loads(r.stdout)["findings"]


def auditor_may_die(p):
    """The programs and their watch stay; whoever comes takes up what they saw meanwhile."""
    before = p.role("auditor")
    assert before and before > 0, before
    os.kill(before, signal.SIGKILL)
    until(lambda: p.role("auditor") not in (None, before), "the auditor was not started again")


def a_dying_monitor_is_an_alarm(p):
    # the daemon has just started, and 0 is our own group
    pid = until(lambda: p.json("describe", "show")["provost"]["host_pid"], "no host")
    since = p.events("deployment")[-1]["id"]
    os.kill(pid, signal.SIGUSR1)  # not one that a sanitizer takes
    alarms = until(lambda: p.events("monitor-alarm"), "no alarm")
    fields = alarms[0]["fields"]
    assert (fields["what"], fields["arg0"], fields["pid"]) == ("killed", signal.SIGUSR1, pid), alarms
    found = findings(p, "--since", since)
    assert [(f["what"], f["id"]) for f in found] == [("alarm", alarms[0]["id"])], found
    assert "ALARM" in (p.dir / "provostd.log").read_text()


def entries(journal):
    """(offset, length) of each entry; the length stands before it."""
    at = 0
    while at < len(journal):
        (n,) = struct.unpack_from(">H", journal, at)
        if n == 0:
            return
        yield at + 2, n
        at += 2 + n


def a_forged_log_is_found_out(p):
    """Whoever can write the files makes the outside account of one connection that of another."""
    events = {e["seq"]: e for e in p.events("connect")
              if e["fields"]["addr"] == "127.0.0.1" and e["fields"]["port"] == 8080}
    seq = max(events)
    path = sorted((p.state / "log" / "journal").glob("0*[0-9]"))[0]
    honest = path.read_bytes()
    journal = bytearray(honest)
    offset, length = list(entries(journal))[seq - int(path.name) * 16384]
    old = struct.pack(">IQ", 8, 8080)
    where = journal.index(old, offset, offset + length)
    journal[where : where + len(old)] = struct.pack(">IQ", 8, 8081)
    path.write_bytes(journal)
    found = findings(p)
    path.write_bytes(honest)
    assert [f["what"] for f in found] == ["connection-unseen"], found
    told = next(e for e in p.events("connection") if e["id"] == found[0]["id"])
    assert told["invocation"] == found[0]["call"], (told, found)


@contextlib.contextmanager
def btrfs_subvolume(p):
    """A directory that is a subvolume, whose files have another device in stat(2) than in the kernel; or None."""
    image, top = p.dir / "btrfs.img", p.dir / "btrfs"
    top.mkdir()
    with open(image, "wb") as f:
        f.truncate(128 << 20)
    run = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "check": False}
    subprocess.run(["mkfs.btrfs", "-q", image], **{**run, "check": True})
    mounted = subprocess.run(["mount", "-o", "loop", image, top], **run)
    if mounted.returncode != 0:
        print("btrfs is left out:", mounted.stdout.decode().strip())
        yield None
        return
    try:
        subprocess.run(["btrfs", "subvolume", "create", top / "root"], **{**run, "check": True})
        yield top / "root"
    finally:
        subprocess.run(["umount", top], check=True)


def files_on_btrfs_are_found(p):
    with btrfs_subvolume(p) as root:
        if not root:
            return
        (root / "etc").mkdir()
        (root / "etc/data").write_text("on btrfs")
        assert (root / "etc/data").stat().st_dev != root.parent.stat().st_dev
        before = pairs(p)["opens"]
        p.start()
        p.deploy("far", PROGRAMS / "show", "--class", "microvm", "--root", str(root))
        ask(p, "far", "/etc/data", b"on btrfs")
        p.cli("remove", "far")
        p.stop()
        told = reconcile(p)
        assert "the two accounts agree" in told, told
        assert pairs(p)["opens"] == before + 1, (before, told)


def what_is_being_made_is_told_of(p):
    """A stop, and a request too large for what is being made, in the midst of it."""
    for _ in range(2):
        p.start()
        p.deploy("short", PROGRAMS / "echo", "--class", "process", "--concurrency", "8", "--prepared", "8")
        p.stop()
        reconcile(p)
    p.start()
    big = {"X-Big": "a" * 9000}
    answers = together([lambda i=i: p.request("POST", "/function/short", "x", big if i % 2 else {})[0]
                        for i in range(24)], 24)
    assert answers == [200] * 24, answers
    assert [p.request("POST", "/function/short", "x")[0] for _ in range(16)] == [200] * 16
    p.cli("remove", "short")
    p.stop()
    reconcile(p)


def main():
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    if kvm and "thread" in os.environ.get("PV_SANITIZE", ""):
        print("micro-VMs are left out: ThreadSanitizer gives a monitor a thread that makes calls of its own")
        kvm = False
    rounds = 6
    with Platform() as p:
        deploy(p, kvm)
        use(p, kvm, rounds)
        if kvm:
            p.request("POST", "/function/crash", "x")
        reconcile(p)  # while the daemon runs
        auditor_may_die(p)
        use(p, kvm, rounds)
        p.stop()
        told = reconcile(p)
        assert "the two accounts agree" in told, told
        n = pairs(p)
        print(n)
        # of a process: what was asked for, and the callee of each that calls
        assert n["answers"] == (12 if kvm else 10) * rounds <= n["instances"], n
        assert n["connections"] == 2 * rounds, n
        assert n["calls"] == (4 if kvm else 2) * rounds, n
        assert n["opens"] == (4 if kvm else 0) * rounds, n
        late = p.events("log-open")[0]["id"]
        assert "agree" in reconcile(p, "--since", late)
        bad = p.cli("audit", "reconcile", "--since", "yesterday", check=False)
        assert bad.returncode == 2, bad
        a_forged_log_is_found_out(p)
        what_is_being_made_is_told_of(p)
        if kvm:
            files_on_btrfs_are_found(p)
            p.start()
            a_dying_monitor_is_an_alarm(p)
            p.stop()
            p.cli("verify")


if __name__ == "__main__":
    main()
