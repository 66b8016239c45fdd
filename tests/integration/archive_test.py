#!/usr/bin/python3
"""Old events move into archives while the platform runs and while it is killed; what is left verifies,
both checkers agree, attached archives bring all of it back, and the graph says what it lacks."""

import json
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import time

from provost_platform import BUILD, PROGRAMS, SOURCE, Platform, until

sys.path.insert(0, str(SOURCE / "tests" / "checker"))
import provost_check as checker  # noqa: E402
from notes import record, signature, signer, split  # noqa: E402


def fill(p, events):
    """A log of that many events, by the same code that keeps the daemon's; quicker than requests."""
    subprocess.run([BUILD / "bin" / "fill_log", p.state, str(events)], check=True)
    owner = (p.state / "log").stat()
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", p.state / "log"], check=True)


def entries_left(p):
    return sum(1 for f in (p.state / "log" / "tile" / "entries").iterdir() if f.is_file())


def thief_is_found_out(p, stolen, *keys):
    """A key that was given up signs the last checkpoint; that the event of its end is archived, and what
    the log keeps of it gone or garbled, helps nobody."""
    name, seed = signer(stolen)
    copy = p.dir / "copy"
    listed = (p.state / "log" / "rotations").read_bytes()
    for rotations in (listed, None, b"rotation AAAA AAAA\n"):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(p.state, copy, ignore=shutil.ignore_patterns("bpf", "*.sock"))
        notes = [r[2:] for r in split((copy / "log" / "checkpoints").read_bytes())]
        text = notes[-1].rpartition(b"\n\n")[0] + b"\n"
        notes[-1] = text + b"\n" + signature(name, seed, text)
        (copy / "log" / "checkpoints").write_bytes(b"".join(map(record, notes)))
        (copy / "log" / "checkpoint").write_bytes(notes[-1])
        (copy / "log" / "rotations").unlink()
        if rotations:
            (copy / "log" / "rotations").write_bytes(rotations)
        for key in keys:
            r = p.cli("verify", "--state", copy, "--key", key, "--json", check=False)
            found = json.loads(r.stdout)["log"]["verdict"]
            other = checker.verify_log(copy / "log", checker.Key(key.read_bytes()))[0]
            assert found == other == "unknown-key", (rotations, key, found, other)


def lists_say_whether_they_are_cut(p):
    for what in (("--kind", "role-start"), ("echo",)):
        whole, cut = (p.json("audit", "find", *what, "--limit", limit) for limit in ("0", "1"))
        rows = "events" if len(what) == 2 else "nodes"
        assert whole["matched"] == len(whole[rows]) > 1 and not whole["basis"]["truncated"], (what, whole)
        assert cut["matched"] == whole["matched"] and len(cut[rows]) == 1, (what, cut)
        assert cut["basis"]["truncated"], (what, cut)
    assert not p.json("status")["basis"]["truncated"]


def main():
    rng = random.Random(5)
    with Platform("--without-bpf") as p:
        p.deploy("echo", PROGRAMS / "echo")
        old = p.dir / "old.pub"
        p.cli("key", "export-public", "-o", old)
        shutil.copy(p.state / "keys" / "log.key", p.dir / "stolen")
        p.cli("key", "rotate")  # among what is archived
        p.stop()
        fork = p.dir / "fork"  # another history by the same key
        subprocess.run(["cp", "-a", p.state, fork], check=True)
        subprocess.run([BUILD / "bin" / "fill_log", fork, "50000"], check=True)
        shutil.rmtree(fork / "graph")  # it would be waited for
        subprocess.run([BUILD / "bin" / "provost", "--state", fork, "audit", "archive",
                        p.dir / "fork.archive"], check=True)
        fill(p, 50000)
        p.start()
        key = p.dir / "log.pub"
        p.cli("key", "export-public", "-o", key)

        def agree(both=True, **wanted):
            r = p.cli("verify", "--key", key, "--json", check=False)
            got = json.loads(r.stdout)["log"]
            place = got.get("first_bad_event")
            if both:  # the other checker takes seconds
                found = checker.verify_log(p.state / "log", checker.Key(key.read_bytes()))
                assert found == (got["verdict"], int(place[1:]) if place else None), (found, got)
            for name, value in wanted.items():
                assert got[name] == value, (name, value, got)
            return json.loads(r.stdout)

        before = entries_left(p)
        first, second = p.dir / "1.archive", p.dir / "2.archive"
        p.cli("audit", "prove", "e40", "-o", p.dir / "proof", "--entry", p.dir / "entry")
        r = p.cli("audit", "archive", p.dir / "fork.archive", check=False)
        assert r.returncode == 6 and b"not those of this log" in r.stderr, r
        r = p.cli("audit", "archive", p.state / "log" / "checkpoint", check=False)
        assert r.returncode == 6 and b"exists already" in r.stderr, r
        assert not (p.state / "log" / "detached").exists()
        p.cli("audit", "archive", "--keep", "45000", first)
        said = json.loads(p.cli("audit", "archive", "--json", second).stdout)
        assert 4000 < said["first"] < 5500 and said["end"] == 16384 and said["detached"], said
        end = said["end"]
        for file in first, second:  # what the log's directory hides is hidden there, too
            assert stat.S_IMODE(file.stat().st_mode) == 0o640, oct(file.stat().st_mode)
            assert file.stat().st_gid == (p.state / "log").stat().st_gid
        again = json.loads(p.cli("audit", "archive", "--json", second).stdout)  # it is done
        assert again == said, again
        until(lambda: entries_left(p) <= before - end // 256, "the bundles stay")
        r = p.cli("audit", "archive", "--keep", "60000", p.dir / "3", check=False)
        assert r.returncode == 6 and f" {end} are archived already".encode() in r.stderr, r
        assert not (p.dir / "3").exists()
        assert p.request("POST", "/function/echo", b"later")[0] == 200
        p.cli("verify", "--proof", p.dir / "proof", "--entry", p.dir / "entry", "--key", key)
        p.cli("audit", "prove", "e40", "-o", p.dir / "proof2")
        assert p.cli("audit", "prove", "e40", "--entry", p.dir / "x", check=False).returncode == 3
        for file in (first, second):
            p.cli("verify", "--archive", file, "--key", key)
            assert checker.check_archive(file.read_bytes(), checker.Key(key.read_bytes()))[1] <= end
            alone = p.cli("verify", "--archive", file, "--key", old, check=False)
            assert alone.returncode == 1 and b"--rotations FILE" in alone.stderr, alone
            p.cli("verify", "--archive", file, "--key", old, "--rotations",
                  p.state / "log" / "rotations")
        (p.dir / "bad").write_bytes(first.read_bytes()[:-3] + b"bad")
        assert p.cli("verify", "--archive", p.dir / "bad", "--key", key, check=False).returncode == 1
        assert p.cli("audit", "attach", p.dir / "bad", check=False).returncode == 1
        for file in (p.dir / "bad", p.dir / "fork.archive"):
            try:
                checker.check_archive(file.read_bytes(), checker.Key(key.read_bytes()))
                assert file.name != "bad"  # the fork is whole in itself, by the same key
            except checker.Bad as bad:
                assert file.name == "bad" and bad.verdict == "not in the log", (file, bad)
        lists_say_whether_they_are_cut(p)
        basis = p.cli("audit", "find", "echo").stderr.decode()
        assert f"first {end} events in archives" in basis, basis
        p.stop()
        whole = agree(verdict="ok", detached_events=end)
        assert whole["graph"]["verdict"] == "ok", whole
        for _ in range(2):  # the first key follows a change that is in an archive
            p.cli("verify", "--key", old, "--pin", p.dir / "pin")
        found = checker.verify_log(p.state / "log", checker.Key(old.read_bytes()))
        assert found == ("ok", None), found
        thief_is_found_out(p, p.dir / "stolen", old, key)

        # a graph made now begins behind the archives and says so; with them it is whole again
        digest = p.cli("graph", "digest").stdout
        made = p.cli("graph", "rebuild", "--json")
        assert json.loads(made.stdout)["first_event"] == end and b"audit attach" in made.stderr, made
        found = json.loads(p.cli("audit", "find", "--kind", "log-open", "--json").stdout)
        assert found["basis"]["first_event"] == end, found["basis"]
        assert agree(both=False, verdict="ok")["graph"]["verdict"] == "ok"
        p.cli("audit", "attach", first)
        agree(verdict="ok", detached_events=end - said["first"])
        moved = second.rename(p.dir / "moved")
        r = p.cli("audit", "attach", moved)
        assert b"graph rebuild" in r.stderr, r
        agree(both=False, verdict="ok", detached_events=0)
        moved.rename(second)
        r = p.cli("verify", check=False)
        assert r.returncode == 3 and f"'{moved}'".encode() in r.stderr, r
        assert json.loads(p.cli("audit", "attach", "--json", second).stdout)["graph_lacks_them"]
        with sqlite3.connect(p.state / "graph" / "graph.db") as db:  # of an older version
            db.execute("PRAGMA user_version = 1")
        r = p.cli("audit", "attach", "--json", second)
        assert json.loads(r.stdout)["graph_lacks_them"] and b"cannot be read" in r.stderr, r
        made = p.cli("graph", "rebuild", "--json")
        assert json.loads(made.stdout)["first_event"] == 0 and made.stderr == b"", made
        assert p.cli("graph", "digest").stdout == digest
        p.cli("audit", "prove", "e40", "-o", p.dir / "proof", "--entry", p.dir / "entry2")
        assert (p.dir / "entry2").read_bytes() == (p.dir / "entry").read_bytes()

        # what was archived and then edited is found behind the link, too
        raw = bytearray(second.read_bytes())
        raw[len(raw) // 2] ^= 1
        second.write_bytes(raw)
        agree(both=False, verdict="edited")
        raw[len(raw) // 2] ^= 1
        second.write_bytes(raw)

        # asked for without a daemon, and killed at whatever moment
        for i in range(1):
            fill(p, 17000)
            name = p.dir / f"k{i}.archive"
            p.cli("audit", "archive", name)
            p.start(wait=False)
            time.sleep(0.1 + rng.random() * 0.6)
            p.kill_all()
            p.start()
            until(lambda: not (p.state / "keys" / "detach").exists(), "the request is never done")
            p.stop()
            p.cli("verify", "--archive", name, "--key", key)
        last = agree(both=False, verdict="ok")
        assert last["log"]["detached_events"] > 0 and last["graph"]["verdict"] == "ok", last
        # nothing else may be missing
        shutil.rmtree(p.state / "log" / "archive")
        gone = last["log"]["detached_events"] + end
        (p.state / "log" / "tile" / "entries" / f"{gone // 256 % 1000:03d}").unlink()
        agree(both=False, verdict="truncated", first_bad_event=f"e{gone}")
    print(f"{gone} events in three archives")


main()
