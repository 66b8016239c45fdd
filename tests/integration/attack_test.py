#!/usr/bin/python3
"""The attack suite: whatever is done to a copy of the evidence gets a verdict of its own and the place
where it begins; none passes. Each case is also put to the independent checker (tests/checker), which
must come to the same verdict and the same place."""

import json
import shutil
import sqlite3
import subprocess
import sys

from notes import sign, signer, split
from provost_platform import SOURCE, Platform, PROGRAMS

sys.path.insert(0, str(SOURCE / "tests" / "checker"))
import provost_check as checker  # noqa: E402

EXIT = {"ok": 0, "edited": 10, "wrong-tag": 11, "reordered": 12, "deleted": 13, "inserted": 14,
        "truncated": 15, "rollback": 16, "fork": 17, "bad-signature": 18, "unknown-key": 19,
        "bad-checkpoint": 20, "gap": 21, "bad-event": 22, "bad-tile": 23, "unfinished-tail": 24}
GRAPH_DIFFERS = 40


def journal(log):
    return sorted(p for p in (log / "journal").iterdir() if p.suffix == "")[0]


def rewrite(path, change):
    records = split(path.read_bytes())
    where = change(records)
    path.write_bytes(b"".join(records))
    return where


def flip(path, at, bit=1):
    raw = bytearray(path.read_bytes())
    raw[at] ^= bit
    path.write_bytes(bytes(raw))


def middle(log):
    """An entry that another follows under the same checkpoint, near the middle: at the border of two checkpoints a
    deletion or a swap looks like an edit or an insertion, and may be called so."""
    sizes = [0] + [int(note[2:].split(b"\n")[1]) for note in split((log / "checkpoints").read_bytes())]
    half = sizes[-1] // 2
    inside = [a for a, b in zip(sizes, sizes[1:]) if b - a >= 4]
    return min(inside, key=lambda a: abs(a - half)) + 1


# --- single bytes of an event: offsets behind the length (docs/formats/event.md)

CLASSES = {"version": 0, "kind": 2, "domain": 5, "epoch": 14, "dseq": 22, "time": 28,
           "invocation": 36, "field length": 44, "field": 46, "tag": -3}


def edit_class(offset):
    def attack(log):
        i = middle(log)

        def change(records):
            raw = bytearray(records[i])
            raw[2 + offset if offset >= 0 else offset] ^= 1
            records[i] = bytes(raw)
            return i
        return "edited", rewrite(journal(log), change)
    return attack


def break_length(log):
    i = middle(log)

    def change(records):
        records[i] = b"\xff\xff" + records[i][2:]
        return i
    return "edited", rewrite(journal(log), change)


def delete(log):
    i = middle(log)

    def change(records):
        del records[i]
        return i
    return "deleted", rewrite(journal(log), change)


def duplicate(log):
    i = middle(log)

    def change(records):
        records.insert(i, records[i - 5])
        return i
    return "inserted", rewrite(journal(log), change)


def swap(log):
    i = middle(log)

    def change(records):
        records[i], records[i + 1] = records[i + 1], records[i]
        return i
    return "reordered", rewrite(journal(log), change)


def truncate(log):
    def change(records):
        i = len(records) * 2 // 3
        del records[i:]
        return i
    return "truncated", rewrite(journal(log), change)


def cut_checkpoints(log):
    rewrite(log / "checkpoints", lambda records: records.__delitem__(slice(len(records) // 2, None)))
    return "truncated", None


def edit_without_hashes(log):
    """The careful attacker also drops the stored leaf hashes, so that only the tree can tell."""
    verdict, _ = edit_class(46)(log)
    shutil.rmtree(log / "tile")
    for p in (log / "journal").glob("*.leaves"):
        p.unlink()
    return verdict, None


def flip_file(name, at, verdict="bad-tile"):
    def attack(log):
        flip(log / name(log) if callable(name) else log / name, at)
        return verdict, None
    attack.__name__ = f"flip {name if isinstance(name, str) else name.__name__} at {at}"
    return attack


def missing_bundle(log):
    (log / "tile" / "entries" / "000").write_bytes(b"")
    return "bad-tile", 255


def leaves(log):
    return f"journal/{journal(log).name}.leaves"


def partial_tile(log):
    return max((log / "tile" / "0").rglob("*.p/*"), key=lambda p: int(p.name)).relative_to(log)


def partial_bundle(log):
    return max((log / "tile" / "entries").rglob("*.p/*"),
               key=lambda p: int(p.name)).relative_to(log)


def line_of_note(name, line, at, verdict):
    """Changes a character in one line of the newest published note or of a stored one."""
    def attack(log):
        path = log / name
        raw = bytearray(path.read_bytes())
        start = 0 if name == "checkpoint" else sum(map(len, split(bytes(raw))[:5])) + 2
        for _ in range(line):
            start = raw.index(b"\n", start) + 1
        raw[start + at] = ord("7") if raw[start + at] != ord("7") else ord("8")
        path.write_bytes(bytes(raw))
        return verdict, None
    attack.__name__ = f"{name}: line {line} of a note"
    return attack


def torn_tail(log):
    with journal(log).open("ab") as f:
        f.write(b"\0\x50half an entry")
    return "unfinished-tail", None


# --- with the log's own key: what its thief could do, and what the pin is for

def resign(state, log, change):
    """Changes entries and makes all the rest consistent with the log's key: a perfect forgery."""
    where = rewrite(journal(log), change)
    records = split(journal(log).read_bytes())
    tree = checker.root_of([checker.leaf_hash(r[2:]) for r in records])
    note = sign(*signer(state / "keys" / "log.key"), len(records), tree)
    (log / "checkpoints").write_bytes(len(note).to_bytes(2, "big") + note)
    (log / "checkpoint").write_bytes(note)
    shutil.rmtree(log / "tile")
    (log / leaves(log)).write_bytes(b"".join(checker.leaf_hash(r[2:]) for r in records))
    return where


def forged_event(state, log):
    """A tag whose key is disclosed can be recomputed, but not a content for an old tag."""
    def change(records):
        for i, r in enumerate(records):
            e = checker.Event(r[2:-32])
            if e.kind == "request":
                raw = bytearray(r)
                raw[-40] ^= 1
                records[i] = bytes(raw)
                return i
        raise AssertionError("no request")
    return "wrong-tag", resign(state, log, change)


def hole(state, log):
    def change(records):
        del records[next(i for i, r in enumerate(records)
                         if checker.Event(r[2:-32]).kind == "invocation-end")]
    resign(state, log, change)
    return "gap", None


def rewritten(state, log):
    """Everything after a point is dropped and the rest signed anew: only a pin can tell."""
    def change(records):
        del records[len(records) // 2 :]
    resign(state, log, change)
    return "rollback", None


def other_branch(state, log):
    def change(records):
        del records[len(records) // 2 :]
        records += records[:1] * (size_of(state) + 10 - len(records))
    resign(state, log, change)
    return "fork", 0


def size_of(state):
    return len(split(journal(state / "log").read_bytes()))


# --- rows of the graph

def edit_row(sql, table):
    def attack(state):
        db = sqlite3.connect(state / "graph" / "graph.db")
        rows = db.execute(sql).rowcount
        assert rows > 0 or sql.split()[0] in ("CREATE", "DROP"), sql
        db.commit()
        db.close()
        return table
    attack.__name__ = f"graph: {sql.split(' WHERE')[0].split(' where')[0]}"
    return attack


ROWS = [
    edit_row("UPDATE event SET time_ns = time_ns + 1 WHERE seq = 20", "e20"),
    edit_row("UPDATE event SET back = back + 1 WHERE seq = 21", "e21"),
    edit_row("UPDATE event SET chain = zeroblob(32) WHERE seq = 22", "e22"),
    edit_row("UPDATE event SET entry = substr(entry, 1, length(entry) - 1)"
             " || CASE substr(entry, -1) WHEN x'00' THEN x'01' ELSE x'00' END WHERE seq = 23", "e23"),
    edit_row("CREATE TRIGGER t AFTER INSERT ON obj BEGIN DELETE FROM edge; END", "trigger t"),
    edit_row("DROP INDEX obj_inv", "index obj_inv"),
    edit_row("DROP TABLE edge", "table edge"),
    edit_row("DELETE FROM event WHERE seq = 30", "e30"),
    edit_row("UPDATE checkpoint SET root = zeroblob(32)", "checkpoint"),
    edit_row("UPDATE checkpoint SET note = replace(note, char(10), ' ')", "checkpoint"),
    edit_row("UPDATE inv SET status = 201 WHERE id = 1", "inv id=1 "),
    edit_row("UPDATE obj SET seq = seq + 1 WHERE id = 3", "obj id=3 "),
    edit_row("UPDATE obj SET type = type + 1 WHERE id = 2", "obj id=2 "),
    edit_row("UPDATE str SET text = text || 'x' WHERE id = 2", "str"),
    edit_row("DELETE FROM edge WHERE (src, seq, dst) IN (SELECT src, seq, dst FROM edge LIMIT 1)",
             "edge"),
]

FILES = ([edit_class(offset) for offset in CLASSES.values()] +
         [break_length, delete, duplicate, swap, truncate, cut_checkpoints, edit_without_hashes,
          missing_bundle, torn_tail,
          flip_file("tile/0/000", 100), flip_file("tile/entries/000", 100),
          flip_file("tile/0/001", 8191), flip_file(partial_tile, 7), flip_file(partial_bundle, 9),
          flip_file("tile/1/000.p/2", 40), flip_file(leaves, -5),
          line_of_note("checkpoint", 1, 0, "bad-signature"),
          line_of_note("checkpoint", 2, 5, "bad-signature"),
          line_of_note("checkpoint", 0, 10, "bad-signature"),
          line_of_note("checkpoint", 4, 45, "bad-signature"),
          line_of_note("checkpoint", 4, 8, "unknown-key"),
          line_of_note("checkpoint", 3, 0, "bad-checkpoint"),
          line_of_note("checkpoints", 1, 0, "bad-signature"),
          line_of_note("checkpoints", 2, 9, "bad-signature"),
          line_of_note("checkpoints", 4, 50, "bad-signature")])


class Suite:
    def __init__(self, platform):
        self.p = platform
        self.copy = platform.dir / "copy"
        self.pin = platform.dir / "pin"
        self.key_file = platform.dir / "log.pub"
        shutil.copy(platform.state / "keys" / "log.pub", self.key_file)
        self.key = checker.Key(self.key_file.read_bytes())

    def verify(self, state, *options):
        r = self.p.cli("verify", "--state", state, "--key", self.key_file, "--json", *options,
                       check=False)
        return r.returncode, (r.stdout or r.stderr).decode()

    def judge(self, name, verdict, where, pinned=False):
        """The copy must get that verdict (or one of them) at that place, from both checkers."""
        code, text = self.verify(self.copy, *(["--pin", self.pin] if pinned else []))
        got = json.loads(text)["log"]
        expected = {verdict} if isinstance(verdict, str) else verdict
        assert got["verdict"] in expected, f"{name}: {got}"
        assert code == EXIT[got["verdict"]], f"{name}: exit {code}: {got}"
        if where is not None:
            assert got["first_bad_event"] == f"e{where}", f"{name}: e{where} is not named: {got}"
        pin = self.key.open(self.pin.read_bytes()) if pinned else None
        other = checker.verify_log(self.copy / "log", self.key, pin)
        place = got.get("first_bad_event")
        assert other == (got["verdict"], int(place[1:]) if place else None), \
            f"{name}: the independent checker says {other}, provost {got}"
        print(f"{name}: {got['verdict']} at {place}: {got['text']}")

    def fresh(self):
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.p.state, self.copy, ignore=shutil.ignore_patterns("bpf", "*.sock"))


def main():
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        for i in range(500):
            assert p.request("POST", "/function/echo", b"%d" % i)[0] == 200
            if i % 5 == 0 and json.loads(p.cli("status", "--json").stdout)["log_size"] > 540:
                break
        p.cli("audit", "find", "echo")
        p.stop()
        p.start()  # discloses what the first auditor could not
        p.stop()
        s = Suite(p)
        assert p.cli("verify", "--key", s.key_file, "--pin", s.pin).returncode == 0
        s.fresh()
        s.judge("untouched", "ok", None, pinned=True)
        assert 512 < size_of(p.state) < 768, size_of(p.state)
        classes = list(CLASSES) + [""] * len(FILES)
        for name, attack in zip(classes, FILES):
            s.fresh()
            verdict, where = attack(s.copy / "log")
            s.judge(f"{attack.__name__} {name}".strip(), verdict, where)
        for attack in (forged_event, hole, rewritten, other_branch):
            s.fresh()
            verdict, where = attack(s.copy, s.copy / "log")
            s.judge(attack.__name__, verdict, where, pinned=attack in (rewritten, other_branch))
        for attack in ROWS:
            s.fresh()
            row = attack(s.copy)
            code, text = s.verify(s.copy)
            assert code == GRAPH_DIFFERS and row in text, f"{attack.__name__}: {code}: {text}"
            print(f"{attack.__name__}: the graph differs at {row}")

        # everything replaced from genesis on: another log, whole in itself, but of another key
        with Platform() as q:
            q.deploy("echo", PROGRAMS / "echo")
            q.stop()
            s.fresh()
            shutil.rmtree(s.copy / "log")
            shutil.copytree(q.state / "log", s.copy / "log")
            s.judge("another log in its place", "unknown-key", 0)

        # an older state of the log itself, whole: only the pin can tell; and a real daemon that goes on
        # from there makes a second history, which the reader of the first one notices
        s.fresh()
        older = p.dir / "older"
        subprocess.run(["cp", "-a", p.state, older], check=True)
        p.start()
        assert p.request("POST", "/function/echo", b"later")[0] == 200
        p.stop()
        assert p.cli("verify", "--key", s.key_file, "--pin", s.pin).returncode == 0
        s.judge("rolled back", "rollback", None, pinned=True)
        for part in ("log", "keys", "graph"):
            shutil.rmtree(p.state / part)
            subprocess.run(["cp", "-a", older / part, p.state / part], check=True)
        p.start()
        for _ in range(20):
            assert p.request("POST", "/function/echo", b"another history")[0] == 200
        p.stop()
        s.fresh()
        s.judge("two histories", "fork", 0, pinned=True)
    print("every change was noticed, and both checkers agree")


main()
