#!/usr/bin/python3
"""When the auditor refuses its log there is a way on: docs/operations.md, as it is written there. What is
put aside stays evidence, the functions stay, and a backup comes back as it was."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess

from provost_platform import SOURCE, Platform, PROGRAMS, until

BPF_CALL, ERRNO_EPERM, ALLOW = 321, 0x00050001, 0x7FFF0000


def commands(heading):
    """What the document has its reader type under a heading."""
    text = (SOURCE / "docs" / "operations.md").read_text()
    return re.search(rf"^## {heading}$.*?^```sh$(.*?)^```$", text, re.M | re.S).group(1)


def follow(p, heading):
    env = dict(os.environ, STATE=str(p.state), BACKUP=str(p.dir / "backup.tar"))
    subprocess.run(["sh", "-euc", commands(heading)], env=env, check=True)


def refused(p):
    """Starts it in vain; what it said."""
    before = (p.dir / "provostd.log").stat().st_size
    p.start(wait=False)
    assert p.process.wait(timeout=60) == 1
    return (p.dir / "provostd.log").read_bytes()[before:].decode()


def without_bpf_calls():
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    filter_ = ctypes.c_void_p(lib.seccomp_init(ALLOW))
    assert lib.seccomp_rule_add(filter_, ERRNO_EPERM, BPF_CALL, 0) == 0
    assert lib.seccomp_load(filter_) == 0


def hung(p):
    """An auditor that takes nothing is not said to be well."""
    assert p.request("POST", "/function/echo", b"hi")[0] == 200
    auditor = p.json("status")["auditor"]
    assert not auditor["stuck"] and auditor["signed_seconds_ago"] < 60, auditor
    pid = p.role("auditor")
    os.kill(pid, signal.SIGSTOP)
    assert p.request("POST", "/function/echo", b"hi")[0] == 200

    def stuck():
        r = p.cli("status", "--json", check=False)
        return r.returncode == 4 and json.loads(r.stdout)["auditor"]

    auditor = until(stuck, "status never says that the auditor is stuck")
    assert auditor["stuck"] and auditor["waiting_bytes"] > 0, auditor
    assert b"STUCK" in p.cli("status", check=False).stdout
    told = p.cli("audit", "reconcile", check=False).stdout.splitlines()[-1]
    assert b"events wait for the auditor" in told, told
    os.kill(pid, signal.SIGCONT)
    until(lambda: p.cli("status", check=False).returncode == 0, "status stays stuck")


def main():
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        key, pin = p.dir / "log.pub", p.dir / "pin"
        p.cli("key", "export-public", "-o", key)

        def work(n):
            for _ in range(n):
                assert p.request("POST", "/function/echo", b"hi")[0] == 200

        work(20)
        p.cli("verify", "--key", key, "--pin", pin)
        p.stop()

        follow(p, "Backup")
        shutil.rmtree(p.state)
        follow(p, "Restore")
        p.start()
        # a quick machine signs many events with one checkpoint
        until(lambda: work(5) or (p.state / "log" / "checkpoints").stat().st_size > 6000,
              "there are too few checkpoints")
        p.cli("verify", "--key", key, "--pin", pin)
        p.stop()

        # signed events whose checkpoints are gone are not cut
        journal = {f.name: f.read_bytes() for f in (p.state / "log" / "journal").iterdir()}
        checkpoints = p.state / "log" / "checkpoints"
        os.truncate(checkpoints, checkpoints.stat().st_size - 3000)
        said = refused(p)
        assert "'checkpoint' signs" in said and "docs/operations.md" in said, said
        assert "without-bpf" not in said, said
        assert journal == {f.name: f.read_bytes() for f in (p.state / "log" / "journal").iterdir()}
        assert p.cli("verify", "--key", key, check=False).returncode == 15

        follow(p, "When the auditor refuses its log")
        p.start()
        work(5)
        p.cli("verify")
        assert p.cli("verify", "--key", key, check=False).returncode == 19  # another log
        kept, = p.dir.glob("state.refused-*")
        r = p.cli("verify", "--state", kept, "--key", key, check=False)
        assert r.returncode == 15, r
        p.cli("audit", "find", "--state", kept, "--kind", "request")
        p.stop()

        # a log that is gone is not begun anew with the key that is still there
        aside = p.dir / "aside"
        shutil.move(p.state / "log", aside)
        assert "keys/ratchets" in refused(p)
        shutil.rmtree(p.state / "log")
        shutil.move(aside, p.state / "log")

        # and what does without BPF is named when that failed
        process = subprocess.run(
            [p.process.args[0], *map(str, p.process.args[1:])], preexec_fn=without_bpf_calls,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        said = process.stderr.decode()
        assert process.returncode == 1 and "; --without-bpf does without" in said, said
        p.start()
        p.cli("verify")
        hung(p)
    print("refused, kept, begun anew; backed up and restored")


main()
