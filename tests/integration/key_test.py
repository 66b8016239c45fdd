#!/usr/bin/python3
"""The log's key is changed while the platform works, and while it is killed: whoever holds the first public
key can follow, a verifier that never saw a change takes the exported keys, and another key is none."""

import json
import random
import shutil
import sys
import time

from provost_platform import SOURCE, Platform, PROGRAMS

sys.path.insert(0, str(SOURCE / "tests" / "checker"))
import provost_check as checker  # noqa: E402


def main():
    rng = random.Random(3)
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        first, exported, pin = p.dir / "first.pub", p.dir / "all.pub", p.dir / "pin"
        p.cli("key", "export-public", "-o", first)
        assert p.cli("verify", "--key", first, "--pin", pin).returncode == 0

        def work(n):
            for i in range(n):
                assert p.request("POST", "/function/echo", b"%d" % i)[0] == 200

        def check(keys):
            p.cli("verify", "--key", first, "--pin", pin)
            p.cli("key", "export-public", "-o", exported)
            p.cli("verify", "--key", exported)
            shown = p.json("key", "show")
            assert len(shown["older"]) == keys - 1, shown
            assert (p.state / "log" / "rotations").read_bytes().count(b"\n") == keys - 1
            for file in (first, exported):
                found = checker.verify_log(p.state / "log", checker.Key(file.read_bytes()))
                assert found == ("ok", None), found

        work(5)
        before = p.json("key", "show")
        p.cli("key", "rotate")
        after = p.json("key", "show")
        assert after["log"] == before["log"] and after["older"] == [before["fingerprint"]], after
        assert (p.state / "keys" / "log.key").stat().st_mode & 0o7777 == 0o600
        work(5)
        p.cli("key", "rotate")
        work(3)
        p.cli("audit", "find", "--kind", "key-rotation")
        # no proof of before the change is lost, and each needs a key that was in force
        p.cli("audit", "prove", "e1", "-o", p.dir / "proof", "--entry", p.dir / "entry")
        p.cli("key", "export-public", "-o", exported)
        p.cli("verify", "--proof", p.dir / "proof", "--entry", p.dir / "entry", "--key", exported)
        call = json.loads(p.cli("audit", "find", "--kind", "request", "--json").stdout)
        call = call["events"][0]["fields"] and call["events"][0].get("call") or \
            call["events"][0].get("invocation")
        p.cli("audit", "bundle", call, "-o", p.dir / "bundle")

        # the first key alone is enough: the changes stand in the bundle, and in a file for the rest
        changes = p.state / "log" / "rotations"
        assert changes.read_bytes().count(b"\n") == 2
        proof = ["verify", "--proof", p.dir / "proof", "--entry", p.dir / "entry", "--key", first]
        assert p.cli(*proof, check=False).returncode == 1
        p.cli(*proof, "--rotations", changes)
        p.cli("verify", "--bundle", p.dir / "bundle", "--key", first)
        checker.check_bundle((p.dir / "bundle").read_bytes(), checker.Key(first.read_bytes()))
        lines = changes.read_bytes().splitlines(keepends=True)
        (p.dir / "part").write_bytes(lines[1])  # the change before it is not known
        assert p.cli(*proof, "--rotations", p.dir / "part", check=False).returncode == 1
        for at in range(12, lines[0].rindex(b" "), 23):
            raw = bytearray(changes.read_bytes())
            raw[at] = ord("A") if raw[at] != ord("A") else ord("B")
            (p.dir / "part").write_bytes(raw)
            r = p.cli(*proof, "--rotations", p.dir / "part", check=False)
            assert r.returncode not in (0, 134, 139), (at, r)
        # a witness that knows the first key follows, too
        p.cli("witness", "--dir", p.dir / "w", "--generate-key", "w", "-o", p.dir / "w.pub")
        p.cli("witness", "--dir", p.dir / "w", "--key", first, "--once", p.state, "-o", p.dir / "c")
        p.cli("verify", "--key", first, "--witness-key", p.dir / "w.pub", "--cosigned", p.dir / "c")
        p.stop()
        check(3)

        # asked for without a daemon; and killed at whatever moment
        p.cli("key", "rotate")
        p.start()
        work(2)
        p.stop()
        check(4)
        changed = 4
        for _ in range(4):
            p.start()
            (p.state / "keys" / "rotate").touch()
            time.sleep(rng.random() * 0.8)
            p.kill_all()
            p.start()
            work(1)
            deadline = time.monotonic() + 10
            while (p.state / "keys" / "rotate").exists():
                assert time.monotonic() < deadline, "the request is never done"
                time.sleep(0.05)
            p.stop()
            changed += 1  # one for each request, wherever it was cut short
            check(changed)

        # a list of keys with another log's among them is refused, and so is another key alone
        with Platform() as q:
            q.cli("key", "export-public", "-o", q.dir / "k", check=False)
            shutil.copy(q.state / "keys" / "log.pub", p.dir / "other.pub")
        assert p.cli("verify", "--key", p.dir / "other.pub", check=False).returncode == 19
    print(f"followed {changed - 1} changes of the key")


main()
