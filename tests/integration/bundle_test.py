#!/usr/bin/python3
"""Receipts and bundles: a response names its receipt, the evidence of a workflow fits into one file that a
machine with nothing but the public key can check, and no altered file passes."""

import os
import random
import shutil
import subprocess
import sys

from provost_platform import BUILD, SOURCE, Platform, PROGRAMS

sys.path.insert(0, str(SOURCE / "tests" / "checker"))
import provost_check as checker  # noqa: E402


def main():
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        p.script("front", "curl -s -d \"$(cat)\" http://127.0.0.1:8080/function/echo\n",
                 "--allow-call", "echo")
        status, body, headers = p.request("POST", "/function/front", b"hello")
        assert status == 200, (status, body)
        receipt, call = headers["Provost-Receipt"], headers["X-Call-Id"]
        assert receipt.split(".")[0] == call

        # while the platform runs: the receipt waits for its checkpoint, and must be that very response
        r = p.json("receipt", receipt)
        assert r["ok"] and any(e["kind"] == "response" and e["invocation"] == call
                               for e in r["events"]), r
        assert p.cli("receipt", call).returncode == 0
        domain, dseq = receipt.split(".")[1:]
        assert p.cli("receipt", f"{call}.{domain}.{int(dseq) + 1}", check=False).returncode == 1
        assert p.cli("receipt", "0" * 15 + "1", check=False).returncode == 3

        other = p.request("POST", "/function/echo", b"other")[2]["X-Call-Id"]
        p.stop()
        p.start()  # discloses the last auditor's keys, too
        bundle = p.dir / "evidence.bundle"
        p.cli("audit", "bundle", call, "-o", bundle)

        # the machine that checks it: the file, the key, no state directory
        away = p.dir / "away"
        away.mkdir()
        shutil.copy(p.state / "keys" / "log.pub", away / "log.pub")
        shutil.copy(bundle, away / "b")
        env = {"PATH": os.environ["PATH"], "PROVOST_STATE": "/nonexistent"}

        def check(path, *more):
            return subprocess.run([BUILD / "bin" / "provost", "verify", "--bundle", path, "--key",
                                   away / "log.pub", *more], env=env, cwd=away,
                                  capture_output=True, timeout=60)

        r = check("b")
        text = r.stdout.decode()
        assert r.returncode == 0, text
        for kind in ("deployment", "domain-open", "key-disclosed", "request", "invocation-begin",
                     "invocation-end", "response", "call"):
            assert f" {kind} " in text, f"no {kind} in the bundle"
        assert other not in text
        assert " 0 tags" not in text
        print(text.strip().splitlines()[-2])
        print(text.strip().splitlines()[-1].strip())

        raw = bundle.read_bytes()
        key = checker.Key((away / "log.pub").read_bytes())

        def other(data):
            """What the independent checker says."""
            try:
                return checker.check_bundle(data, key)
            except (checker.Bad, ValueError, KeyError):
                return None

        items, rechecked = other(raw)
        assert f" {rechecked} tags" in text, (items, rechecked)
        rng = random.Random(7)
        victims = sorted(rng.sample(range(len(raw)), 250)) + list(range(40))
        for at in victims:
            changed = bytearray(raw)
            changed[at] ^= 1 << rng.randrange(8)
            (away / "b").write_bytes(bytes(changed))
            assert check("b").returncode == 1, f"a flip at {at} passed: {raw[at - 20:at + 20]}"
            assert other(bytes(changed)) is None, f"the checker lets a flip at {at} pass"
        lines = raw.split(b"\n")
        first = next(i for i, line in enumerate(lines) if line[:1].isdigit())
        for what, changed in [("swapped", lines[:first] + [lines[first + 1], lines[first]] +
                               lines[first + 2:]),
                              ("doubled", lines[:first] + [lines[first]] + lines[first:]),
                              ("cut", lines[: len(lines) // 2])]:
            (away / "b").write_bytes(b"\n".join(changed))
            assert check("b").returncode == 1, f"{what} lines passed"
            assert other(b"\n".join(changed)) is None, f"the checker lets {what} lines pass"
        assert check("missing").returncode == 3
    print(f"none of {len(victims) + 3} altered bundles passed")


main()
