#!/usr/bin/python3
"""The log's key is changed while the platform works, and while it is killed: whoever holds the first public
key can follow, a verifier that never saw a change takes the exported keys, and another key is none."""

import json
import random
import shutil
import sys
import time

from notes import record, signature, signer, split
from provost_platform import SOURCE, Platform, PROGRAMS, until

sys.path.insert(0, str(SOURCE / "tests" / "checker"))
import provost_check as checker  # noqa: E402


def by_thief(p, first, every, stolen, rotated):
    """What a key that was given up signs, and a change that its next key does not sign: both checkers
    come to the same verdict, and the same place. stolen: the first secret key; rotated: entries under
    the checkpoint that ended it; every: a file with all keys."""
    copy = p.dir / "copy"
    name, seed = signer(stolen)

    def judge(change, keys, *expected):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(p.state, copy, ignore=shutil.ignore_patterns("bpf", "*.sock"))
        notes = [r[2:] for r in split((copy / "log" / "checkpoints").read_bytes())]
        notes = [change(int(n.split(b"\n")[1]), n) for n in notes]
        (copy / "log" / "checkpoints").write_bytes(b"".join(map(record, notes)))
        (copy / "log" / "checkpoint").write_bytes(notes[-1])
        r = p.cli("verify", "--state", copy, "--key", keys, "--json", check=False)
        got = json.loads(r.stdout)["log"]
        place = got.get("first_bad_event")
        found = got["verdict"], int(place[1:]) if place else None
        assert found == expected, (change.__name__, keys, found, expected)
        other = checker.verify_log(copy / "log", checker.Key(keys.read_bytes()))
        assert other == found, (change.__name__, keys, other, found)

    sizes = [int(r.split(b"\n")[1]) for r in split((p.state / "log" / "checkpoints").read_bytes())]
    before_last, last = sizes[-2:]

    def resigned(text, note, keep):
        return text + b"\n" + (note[len(text) + 1 :] if keep else b"") + signature(name, seed, text)

    def text_of(note):
        return note.rpartition(b"\n\n")[0] + b"\n"

    def old_key_alone(size, note):
        return resigned(text_of(note), note, False) if size == last else note

    def old_key_too(size, note):
        return resigned(text_of(note), note, True) if size == last else note

    def next_key_missing(size, note):
        return resigned(text_of(note), note, False) if size == rotated else note

    for keys in (first, every):
        judge(lambda size, note: note, keys, "ok", None)
        judge(old_key_alone, keys, "unknown-key", before_last)
        judge(old_key_too, keys, "ok", None)
    # the change did not take place, so what the next key signed counts only for who knows it already
    judge(next_key_missing, first, "unknown-key", rotated)
    judge(next_key_missing, every, "ok", None)


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
            # from there on, with nothing but the first key: the changes lie before what is looked at
            p.cli("verify", "--key", first, "--since", pin)
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
        stolen = p.dir / "stolen.key"
        shutil.copy(p.state / "keys" / "log.key", stolen)
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
        rotated = json.loads(p.cli("audit", "find", "--kind", "key-rotation", "--json").stdout)
        by_thief(p, first, exported, stolen, 1 + min(
            int(e["id"].removeprefix("e")) for e in rotated["events"]))

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
            until(lambda: not (p.state / "keys" / "rotate").exists(), "the request is never done")
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
