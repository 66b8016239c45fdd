#!/usr/bin/python3
"""An independent checker of Provost's evidence, written from docs/formats/{event,log,checkpoint,bundle,archive}.md
and nothing else: Python's standard library, and Ed25519 from python3-cryptography.

    provost_check.py log DIR KEY-FILE [--pin NOTE-FILE]     prints "VERDICT [eN]"
    provost_check.py bundle FILE KEY-FILE [--quorum N] [WITNESS-KEY-FILE …]
    provost_check.py proof FILE ENTRY-FILE KEY-FILE [--quorum N] [WITNESS-KEY-FILE …]
    provost_check.py archive FILE KEY-FILE

Exit status 0 when all is well, 1 when not, 2 for wrong arguments.
"""

import base64
import binascii
import hashlib
import hmac
import pathlib
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ENTRY_MAX, EVENT_MAX, TAG, WIDTH, SEGMENT, NOTE_MAX = 8224, 8192, 32, 256, 16384, 4096
UNSIGNED_MAX = 8192
SHA = hashlib.sha256


class Bad(Exception):
    """A finding: verdict, and the first event it speaks of."""

    def __init__(self, verdict, seq=None):
        super().__init__(verdict)
        self.verdict, self.seq = verdict, seq


# --- base64, notes, checkpoints (checkpoint.md)

def unbase64(text, size=None):
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if base64.b64encode(raw) != text or (size is not None and len(raw) != size):
        return None
    return raw


NAME = re.compile(rb"[^\x00-\x20\x7f+]{1,127}\Z")


class Key:
    """The public keys of one log, by their hashes, and the sizes at which some were given up."""

    def __init__(self, text):
        self.keys, self.present, self.ends, self.order = {}, None, {}, []
        for line in text.rstrip(b"\n").split(b"\n"):
            self.name, digest, key = line.split(b"+", 2)
            raw = unbase64(key, 33)
            assert raw and raw[0] == 1 and NAME.match(self.name), "not a verifier key"
            self.present = self.present or raw[1:]
            assert digest == self.add(raw[1:]).hex().encode(), "the key does not match its hash"

    @classmethod
    def copy_of(cls, other):
        mine = cls.__new__(cls)
        mine.name, mine.keys, mine.present = other.name, dict(other.keys), other.present
        mine.ends, mine.order = dict(other.ends), list(other.order)
        return mine

    @classmethod
    def one_of(cls, other, public):
        """That key alone, under the name of the others."""
        mine = cls.__new__(cls)
        mine.name, mine.keys, mine.present, mine.ends, mine.order = other.name, {}, public, {}, []
        mine.add(public)
        return mine

    def retire_before(self, note, size):
        """A good checkpoint: whatever is older than its newest signer was given up by then."""
        lines = note[len(note.rpartition(b"\n\n")[0]) + 2 :].splitlines()
        raws = [unbase64(line.split(b" ")[2], 68) for line in lines if line.split(b" ")[1] == self.name]
        signers = {raw[:4] for raw in raws if raw}
        newest = next(n for n, digest in enumerate(self.order) if digest in signers)
        for digest in self.order[newest + 1 :]:
            self.ends[digest] = min(size, self.ends.get(digest, size))

    def hash_of(self, public):
        return SHA(self.name + b"\n\x01" + public).digest()[:4]

    def knows(self, public):
        return self.hash_of(public) in self.keys

    def retire(self, public, size):
        """It was given up with the checkpoint of that size; the present one cannot have been."""
        digest = self.hash_of(public)
        if digest in self.keys and public != self.present:
            self.ends[digest] = min(size, self.ends.get(digest, size))

    def follow(self, public):
        """A key that came after those known becomes the present one."""
        if not self.knows(public):
            self.order.insert(0, self.order.pop(self.order.index(self.add(public))))
            self.present = public

    def add(self, public):
        digest = self.hash_of(public)
        self.keys[digest] = Ed25519PublicKey.from_public_bytes(public)
        if digest not in self.order:
            self.order.append(digest)
        return digest

    def open(self, note):
        """(size, root) of a checkpoint."""
        text, until = note.rpartition(b"\n\n")[0] + b"\n", 0
        signatures = note[len(text) + 1 :]
        if len(note) > NOTE_MAX or text == b"\n" or not signatures.endswith(b"\n") or b"\0" in note:
            raise Bad("bad-checkpoint")
        lines = signatures[:-1].split(b"\n")
        if len(lines) > 16:
            raise Bad("bad-checkpoint")
        for i, line in enumerate(lines):
            m = re.match(rb"\xe2\x80\x94 ([^ ]+) ([^ ]{8,})\Z", line)
            if not m or not NAME.match(m[1]):
                raise Bad("bad-checkpoint")
            raw = unbase64(m[2], 68)
            if not raw or m[1] != self.name or raw[:4] not in self.keys:
                continue
            try:
                self.keys[raw[:4]].verify(raw[4:], text)
            except InvalidSignature:
                raise Bad("bad-signature") from None
            until = max(until, self.ends.get(raw[:4], 1 << 64))
        if not until:
            raise Bad("unknown-key")
        parts = text.split(b"\n")
        if len(parts) < 4 or parts[0] != self.name or not re.match(rb"(0|[1-9]\d{0,18})\Z", parts[1]):
            raise Bad("bad-checkpoint")
        root = unbase64(parts[2], 32)
        if root is None:
            raise Bad("bad-checkpoint")
        if int(parts[1]) > until:
            raise Bad("unknown-key")
        return int(parts[1]), root


class Witness:
    """A witness's public key (checkpoint.md, Cosignatures; C2SP tlog-cosignature)."""

    def __init__(self, text):
        self.name, digest, key = text.rstrip(b"\n").split(b"+", 2)
        raw = unbase64(key, 33)
        assert raw and raw[0] == 4 and NAME.match(self.name), "not a witness's key"
        self.hash = SHA(self.name + b"\n" + raw).digest()[:4]
        assert digest == self.hash.hex().encode(), "the key does not match its hash"
        self.key = Ed25519PublicKey.from_public_bytes(raw[1:])

    def cosigned(self, note):
        """The newest time at which it cosigned the note, or None; a wrong cosignature is none."""
        text, newest = note.rpartition(b"\n\n")[0] + b"\n", None
        for line in note[len(text) + 1 :].split(b"\n"):
            m = re.match(rb"\xe2\x80\x94 ([^ ]+) ([^ ]+)\Z", line)
            raw = m and unbase64(m[2], 76)
            if not raw or m[1] != self.name or raw[:4] != self.hash:
                continue
            stamp = int.from_bytes(raw[4:12], "big")
            try:
                self.key.verify(raw[12:], b"cosignature/v1\ntime %d\n" % stamp + text)
            except InvalidSignature:
                return None
            newest = max(stamp, newest or 0)
        return newest


def demand(note, witnesses, quorum=None):
    if sum(w.cosigned(note) is not None for w in witnesses) < (quorum or len(witnesses)):
        raise Bad("not-witnessed")


# --- the tree (log.md; RFC 6962 section 2.1, RFC 9162 section 2.1.3.2)

def leaf_hash(entry):
    return SHA(b"\0" + entry).digest()


def node_hash(left, right):
    return SHA(b"\1" + left + right).digest()


class Tree:
    """The right-hand frontier of a growing tree."""

    def __init__(self, size=0, nodes=()):
        self.size, self.nodes = size, list(nodes)  # (height, hash), largest first

    def copy(self):
        return Tree(self.size, self.nodes)

    def add(self, leaf):
        height, value = 0, leaf
        while self.nodes and self.nodes[-1][0] == height:
            value = node_hash(self.nodes.pop()[1], value)
            height += 1
        self.nodes.append((height, value))
        self.size += 1

    def root(self):
        if not self.nodes:
            return SHA(b"").digest()
        value = self.nodes[-1][1]
        for _, left in reversed(self.nodes[:-1]):
            value = node_hash(left, value)
        return value


def root_of(hashes):
    t = Tree()
    for h in hashes:
        t.add(h)
    return t.root()


def consistent(old_size, old_root, size, root, path):
    """RFC 9162 section 2.1.4.2."""
    if old_size == 0 or old_size > size:
        return False
    if old_size == size:
        return not path and old_root == root
    path = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not path:
        return False
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root


def included(index, size, leaf, path, root):
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


# --- events (event.md): the table of kinds is read from the document itself

def read_kinds():
    doc = pathlib.Path(__file__).resolve().parents[2] / "docs" / "formats" / "event.md"
    kinds = {}
    for line in doc.read_text().splitlines():
        m = re.match(r"\| (\d+) \| ([a-z-]+) \| (.*) \|", line)
        if m:
            fields = [f.strip().split(":") for f in m[3].split(",") if ":" in f]
            kinds[int(m[1])] = (m[2], fields)
    return kinds


KINDS = read_kinds()


class Event:
    def __init__(self, raw):
        if len(raw) > EVENT_MAX or len(raw) < 41 or raw[0] != 1:
            raise ValueError("head")
        (self.kind_number, self.domain, self.epoch, self.dseq, self.time, self.invocation) = \
            struct.unpack(">H8sIQQ10s", raw[1:41])
        if self.kind_number not in KINDS:
            raise ValueError("kind")
        self.kind, fields = KINDS[self.kind_number]
        self.fields, at = {}, 41
        for name, kind in fields:
            if at + 4 > len(raw):
                raise ValueError(name)
            n = int.from_bytes(raw[at : at + 4], "big")
            value = raw[at + 4 : at + 4 + n]
            at += 4 + n
            if len(value) != n or (kind == "U" and n != 8) or (kind == "T" and b"\0" in value):
                raise ValueError(name)
            self.fields[name] = int.from_bytes(value, "big") if kind == "U" else value
        if at != len(raw):
            raise ValueError("end")


# --- ratchets (event.md, Tags)

def step(key):
    return SHA(b"\2" + key).digest()


class Domain:
    def __init__(self):
        self.next, self.epoch, self.closed, self.fresh = 0, 0, False, True
        self.commitment, self.key, self.last, self.ended = None, None, 0, 0

    def meet(self, e):
        self.next, self.epoch, self.fresh = e.dseq, e.epoch, False


class Domains:
    def __init__(self, disclosed):
        self.disclosed, self.all, self.from_middle = disclosed, {}, False

    def lose_track(self):
        """Entries are left out: from here on a domain is taken as it is met."""
        self.all, self.from_middle = {}, True

    def take(self, seq, raw, tag, e, signed):
        """None, or the verdict on this event."""
        if e.domain not in self.all and self.from_middle and e.dseq > 0:
            self.all[e.domain] = Domain()
            self.all[e.domain].meet(e)
        d = self.all.setdefault(e.domain, Domain())
        verdict = self.number(d, e)
        d.next, d.last = e.dseq + 1, seq
        if not verdict:
            verdict = self.tag(d, raw, tag, e)
        if e.kind == "epoch-end":
            d.commitment, d.epoch, d.fresh, d.ended = e.fields["next_commitment"], d.epoch + 1, True, seq
        if e.kind == "domain-close" and e.fields["closed_domain"] in self.all:
            self.all[e.fields["closed_domain"]].closed = True
        if not verdict and e.kind == "key-disclosed":
            verdict = self.disclosure(e, signed)
        return verdict

    @staticmethod
    def number(d, e):
        if d.closed:
            return "bad-event"
        if e.dseq != d.next:
            return "gap" if e.dseq > d.next else "bad-event"
        opens = e.kind == "domain-open" and len(e.fields["commitment"]) == 32
        if opens != (d.next == 0) or e.epoch != d.epoch:
            return "bad-event"
        return None

    def tag(self, d, raw, tag, e):
        if d.fresh:
            d.fresh = False
            if e.kind == "domain-open":
                d.commitment = e.fields["commitment"]
            d.key = self.disclosed.get((e.domain, e.epoch))
            if d.key and SHA(d.key).digest() != d.commitment:
                d.key = None
                return "wrong-tag"
        if not d.key:
            return None
        right = hmac.new(d.key, raw, "sha256").digest() == tag
        d.key = step(d.key)
        return None if right else "wrong-tag"

    def disclosure(self, e, signed):
        d, epoch = self.all.get(e.fields["disclosed_domain"]), e.fields["disclosed_epoch"]
        if self.from_middle and (not d or epoch < d.epoch):
            return None
        if not d or epoch > d.epoch or (epoch == d.epoch and not d.closed):
            return "bad-event"
        last = d.last if epoch == d.epoch else d.ended if epoch + 1 == d.epoch else 0
        return None if last < signed else "bad-event"


# --- the log on disk (log.md)

def tile_path(level, n, width=WIDTH):
    parts = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        parts.insert(0, f"x{n % 1000:03d}")
    return f"tile/{level}/" + "/".join(parts) + (f".p/{width}" if width < WIDTH else "")


def frames(raw, limit):
    """Yields (bytes, None); at the end (None, what): '' clean, 'torn' or 'bad'."""
    at = 0
    while True:
        if len(raw) - at < 2:
            yield None, "torn" if at < len(raw) else ""
            return
        n = int.from_bytes(raw[at : at + 2], "big")
        if n == 0 or n > limit:
            yield None, "bad"
            return
        if len(raw) - at - 2 < n:
            yield None, "torn"
            return
        yield raw[at + 2 : at + 2 + n], None
        at += 2 + n


class Log:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        numbers = [int(p.name) for p in (self.path / "journal").glob("*")
                   if re.fullmatch(r"\d{6,}", p.name)]
        self.journal = min(numbers, default=0) * SEGMENT

    def file(self, name):
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def entries(self, start=0):
        """Yields (entry, None), at the end (None, what) as frames does."""
        seq = start
        while True:
            raw, size = self.file(f"journal/{seq // SEGMENT:06d}"), SEGMENT
            if raw is None:
                raw, size = self.file(tile_path("entries", seq // WIDTH)), WIDTH
            skip, end = seq % size, seq - seq % size + size
            if raw is None and (archive := self.archive(seq)):
                first, end, raw = archive
                skip = seq - first
            if raw is None:
                yield None, ""
                return
            for entry, what in frames(raw, ENTRY_MAX):
                if entry is None:
                    yield None, what
                    return
                if skip:
                    skip -= 1
                    continue
                if len(entry) <= TAG:
                    yield None, "bad"
                    return
                yield entry, None
                seq += 1
                if seq == end:
                    break

    def detached(self):
        raw = self.file("detached")
        return int(raw) if raw is not None else 0

    def archive(self, seq):
        """(first, end, bytes of the entries' frames) of an attached archive, or None."""
        for p in (self.path / "archive").glob("*-*"):
            first, end = map(int, p.name.split("-"))
            if first <= seq < end:
                raw = p.read_bytes()
                at = raw.index(b"\ncheckpoint ") + 12
                line_end = raw.index(b"\n", at)
                return first, end, raw[line_end + 1 + int(raw[at:line_end]) :]
        return None

    def leaf(self, i):
        """The stored hash of a leaf, or None."""
        tile = self.file(tile_path(0, i // WIDTH))
        if tile is not None and len(tile) >= WIDTH * 32:
            return tile[i % WIDTH * 32 :][:32]
        raw = self.file(f"journal/{i // SEGMENT:06d}.leaves") or b""
        h = raw[i % SEGMENT * 32 :][:32]
        return h if len(h) == 32 else None


class TileCheck:
    def __init__(self, log):
        self.log, self.size, self.bundle = log, 0, b""
        self.levels = [[] for _ in range(8)]
        self.tiles = [0] * 8

    def wrong(self, level, n, width, want, may_lack):
        have = self.log.file(tile_path(level, n, width))
        return not may_lack if have is None else have != want

    def add(self, entry, leaf):
        stored = self.log.leaf(self.size) if self.size >= self.log.journal else None
        self.size += 1
        self.levels[0].append(leaf)
        if entry is not None:
            self.bundle += struct.pack(">H", len(entry)) + entry
        may_lack, bad, level = self.size > self.log.journal, False, 0
        while len(self.levels[level]) == WIDTH:
            n = self.tiles[level]
            if level == 0 and may_lack:
                bad = bad or self.wrong("entries", n, WIDTH, self.bundle, True)
            bad = bad or self.wrong(level, n, WIDTH, b"".join(self.levels[level]), may_lack)
            self.levels[level + 1].append(root_of(self.levels[level]))
            self.levels[level] = []
            self.tiles[level] += 1
            level += 1
        if not self.levels[0]:
            self.bundle = b""
        return bad or stored not in (None, leaf)

    def partial(self):
        if self.levels[0] and self.wrong("entries", self.tiles[0], len(self.levels[0]),
                                         self.bundle, True):
            return True
        return any(hashes and self.wrong(level, self.tiles[level], len(hashes),
                                         b"".join(hashes), True)
                   for level, hashes in enumerate(self.levels))


def judge_stretch(log, good, size, root):
    """What was done to the entries behind a good tree so that they do not give the signed root."""
    now, damaged = [], False
    for entry, what in log.entries(good.size):
        if entry is None:
            damaged = what == "bad"
            break
        now.append(leaf_hash(entry))
        if len(now) > size - good.size:
            break
    stored, tree = [], good.copy()
    while len(stored) < size - good.size:
        h = log.leaf(good.size + len(stored))
        if h is None:
            break
        stored.append(h)
        tree.add(h)
    if tree.size != size or tree.root() != root:
        raise Bad("truncated" if len(now) < size - good.size else "edited", good.size)
    i = 0
    while i < min(len(now), len(stored)) and now[i] == stored[i]:
        i += 1
    seq = good.size + i
    if i == len(now):
        raise Bad("edited" if damaged else "truncated", seq)
    later = now[i] in stored[i + 1 :]
    moved = i < len(stored) and stored[i] in now[i + 1 :]
    raise Bad({(True, True): "reordered", (True, False): "deleted", (False, True): "inserted"}
              .get((later, moved), "edited"), seq)


def listed_rotations(text):
    found = {}
    for line in text.split(b"\n")[:-1]:
        parts = line.split(b" ")
        entry = unbase64(parts[1]) if len(parts) == 3 else None
        try:
            e = Event((entry or b"")[:-TAG])
        except ValueError:
            continue
        if e.kind == "key-rotation" and len(e.fields["new_key"]) == len(e.fields["old_key"]) == 32:
            found[leaf_hash(entry)] = e.fields["old_key"], e.fields["new_key"]
    return found


class Verifier:
    def __init__(self, log, key, pinned=None):
        self.log, self.key, self.pinned = log, Key.copy_of(key), pinned
        self.given = key
        self.rotation = None  # (seq, old, new key) of an event that no checkpoint covers yet
        self.tree, self.good = Tree(), Tree()
        self.notes = frames(log.file("checkpoints") or b"", NOTE_MAX)
        self.next, self.anomaly, self.latest = None, None, 0
        self.good_checkpoints = 0
        self.detached, self.said, self.said_next = log.detached(), 0, 0
        self.skipped = []
        # (old, new key) by the hash of the event: one that is archived counts where its hash stands
        self.listed = listed_rotations(log.file("rotations") or b"")

    def open(self, note):
        try:
            return self.key.open(note)
        except Bad as bad:
            raise Bad(bad.verdict, self.good.size) from None

    def next_checkpoint(self):
        note, what = next(self.notes, (None, ""))
        self.next = None
        if note is None:
            if what == "bad":
                raise Bad("bad-checkpoint", self.good.size)
            return
        size, root = self.open(note)
        if size < self.good.size:
            raise Bad("bad-checkpoint", size)
        self.next, self.note = (size, root), note

    def suspect(self, verdict, seq):
        self.anomaly = self.anomaly or Bad(verdict, seq)

    def reach(self):
        if self.pinned and self.pinned[0] == self.tree.size and self.pinned[1] != self.tree.root():
            raise Bad("fork", 0)
        while self.next and self.next[0] == self.tree.size:
            if self.next[1] != self.tree.root():
                if self.good.size == self.tree.size:
                    raise Bad("fork", 0)
                self.judge_stretch()
            if self.anomaly:
                raise self.anomaly
            self.good = self.tree.copy()
            self.said = self.said_next
            self.good_checkpoints += 1
            self.adopt_key()
            self.key.retire_before(self.note, self.good.size)
            self.next_checkpoint()

    def adopt_key(self):
        """The first checkpoint over the event decides: signed by both, else it was cut short."""
        if not self.rotation or self.rotation[0] >= self.good.size:
            return
        _, old, new = self.rotation
        self.rotation = None
        try:
            Key.one_of(self.key, new).open(self.note)
        except Bad:
            if not self.given.knows(new):
                return
        self.key.follow(new)
        self.key.retire(old, self.good.size)

    def judge_stretch(self):
        if self.skipped and self.skipped[-1] >= self.good.size:
            if self.tree.size < self.next[0]:
                raise Bad("truncated", self.tree.size)
            raise Bad("bad-tile", self.good.size)
        judge_stretch(self.log, self.good, *self.next)

    def entries(self):
        """As the log's, but (None, leaf) for each entry of a bundle that only an archive has."""
        seq = 0
        while True:
            what = ""
            for entry, what in self.log.entries(seq):
                if entry is None:
                    break
                yield entry, None
                seq += 1
            if seq >= self.detached or seq % WIDTH or what:
                yield None, what
                return
            for _ in range(WIDTH):
                leaf = self.log.leaf(seq)
                if leaf is None:
                    yield None, ""
                    return
                yield None, leaf
                seq += 1

    def skip(self, leaf):
        seq = self.tree.size
        self.skipped = [self.skipped[0] if self.skipped else seq, seq]
        if leaf in self.listed:
            self.rotation = seq, *self.listed[leaf]
        if seq % WIDTH == 0:
            self.domains.lose_track()
        self.tree.add(leaf)
        bad = self.tiles.add(None, leaf)
        if bad or (self.tree.size == self.latest and self.tiles.partial()):
            self.suspect("bad-tile", seq)

    def disclosed(self):
        keys = {}
        for entry, leaf in self.entries():
            if entry is None and isinstance(leaf, bytes):
                continue
            if entry is None:
                return keys
            try:
                e = Event(entry[:-TAG])
            except ValueError:
                continue
            if e.kind == "key-disclosed":
                keys.setdefault((e.fields["disclosed_domain"], e.fields["disclosed_epoch"]),
                                e.fields["key"])
        return keys

    def take(self, seq, entry):
        leaf = leaf_hash(entry)
        self.tree.add(leaf)
        bad = self.tiles.add(entry, leaf)
        if not bad and self.tree.size == self.latest:
            bad = self.tiles.partial()
        if bad:
            self.suspect("bad-tile", seq)
        try:
            e = Event(entry[:-TAG])
        except ValueError:
            self.suspect("bad-event", seq)
            return
        if e.kind == "log-detached":
            self.said_next = max(self.said_next, e.fields["first"] + e.fields["count"])
        if e.kind == "key-rotation" and len(e.fields["new_key"]) == len(e.fields["old_key"]) == 32:
            self.rotation = seq, e.fields["old_key"], e.fields["new_key"]
        verdict = self.domains.take(seq, entry[:-TAG], entry[-TAG:], e, self.good.size)
        if verdict:
            self.suspect(verdict, seq)

    def run(self):
        self.newest = self.log.file("checkpoint")
        if self.newest is not None:
            try:
                self.latest = self.open(self.newest)[0]
            except Bad as bad:
                claimed = re.match(rb"[^\n]*\n(0|[1-9]\d*)\n", self.newest)
                if bad.verdict != "unknown-key" or not claimed:
                    raise
                self.latest = int(claimed[1])
        self.tiles, self.domains = TileCheck(self.log), Domains(self.disclosed())
        self.next_checkpoint()
        what = ""
        for entry, what in self.entries():
            self.reach()
            if entry is None and isinstance(what, bytes):
                self.skip(what)
                continue
            if entry is None:
                if self.next:
                    self.judge_stretch()
                if what == "bad":
                    self.suspect("unfinished-tail", self.tree.size)
                break
            self.take(self.tree.size, entry)
        self.end(what)

    def end(self, what):
        signed = self.good.size if self.good_checkpoints else 0
        if self.newest is not None:
            self.open(self.newest)  # with all keys, and their ends
        if self.latest > signed:
            raise Bad("truncated", signed)
        if self.pinned and self.pinned[0] > signed:
            raise Bad("rollback", signed)
        if self.skipped and self.said <= self.skipped[1]:
            raise Bad("deleted", max(self.skipped[0], self.said))
        if self.tree.size - self.good.size > UNSIGNED_MAX:
            raise Bad("truncated", self.good.size)
        if self.anomaly:
            raise self.anomaly
        if what == "torn":
            raise Bad("unfinished-tail", self.tree.size)


# --- bundles and proofs (bundle.md, log.md)

def followed(key, lines):
    """The keys that a list of changes leads to, and the ends of those before (checkpoint.md)."""
    key = Key.copy_of(key)
    for line in lines:
        entry, proof = (unbase64(part) for part in line.split(b" ")[1:])
        fields = Event(entry[:-TAG]).fields
        old, new = fields["old_key"], fields["new_key"]
        if key.present == old:
            seq = check_proof(proof, entry, Key.one_of(key, old))
            key.follow(new)
            key.retire(old, seq + 1)
        elif key.knows(old) and key.knows(new):
            try:
                seq = [check_proof(proof, entry, Key.one_of(key, k)) for k in (old, new)][0]
            except Bad:
                continue
            key.retire(old, seq + 1)
    return key


def check_bundle(raw, key, witnesses=(), quorum=None):
    head, sep, note = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    if not sep or lines[0] != b"provost-bundle@v1" or len(raw) > 64 << 20:
        raise Bad("not a bundle")
    rotations = [line for line in lines[1:] if line.startswith(b"rotation ")]
    size, root = followed(key, rotations).open(note)
    demand(note, witnesses, quorum)
    calls, items, last = [], [], -1
    for line in lines[1:]:
        if line.startswith(b"call ") and not items:
            calls.append(line[5:])
            continue
        if line.startswith(b"rotation ") and not items:
            continue
        seq, entry, *path = line.split(b" ")
        entry, path = unbase64(entry), [unbase64(h, 32) for h in path]
        if not re.match(rb"(0|[1-9]\d*)\Z", seq) or not entry or None in path or int(seq) <= last:
            raise Bad("malformed")
        last = int(seq)
        if not included(last, size, leaf_hash(entry), path, root):
            raise Bad("not in the log", last)
        items.append((last, entry, Event(entry[:-TAG])))
    commitments, keys = {}, {}
    for _, _, e in items:
        if e.kind == "domain-open" and e.dseq == 0:
            commitments.setdefault((e.domain, 0), (0, e.fields["commitment"]))
        if e.kind == "epoch-end":
            commitments.setdefault((e.domain, e.epoch + 1),
                                   (e.dseq + 1, e.fields["next_commitment"]))
        if e.kind == "key-disclosed":
            keys.setdefault((e.fields["disclosed_domain"], e.fields["disclosed_epoch"]),
                            e.fields["key"])
    rechecked = 0
    for seq, entry, e in items:
        k = keys.get((e.domain, e.epoch))
        if k is None:
            continue
        first, commitment = commitments.get((e.domain, e.epoch), (None, None))
        if commitment != SHA(k).digest() or e.dseq < first or e.dseq - first > 1 << 20:
            raise Bad("wrong key", seq)
        for _ in range(e.dseq - first):
            k = step(k)
        if hmac.new(k, entry[:-TAG], "sha256").digest() != entry[-TAG:]:
            raise Bad("wrong-tag", seq)
        rechecked += 1
    alphabet = b"0123456789abcdefghjkmnpqrstvwxyz"
    for call in calls:
        value = 0
        if len(call) != 16 or any(c not in alphabet for c in call):
            raise Bad("malformed")
        for c in call:
            value = value << 5 | alphabet.index(c)
        if not any(e.invocation == value.to_bytes(10, "big") for _, _, e in items):
            raise Bad("a call without events")
    return len(items), rechecked


def check_proof(raw, entry, key, witnesses=(), quorum=None):
    head, _, note = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    if lines[0] != b"c2sp.org/tlog-proof@v1":
        raise Bad("not a proof")
    size, root = key.open(note)
    demand(note, witnesses, quorum)
    index, path = int(lines[1].removeprefix(b"index ")), [unbase64(h, 32) for h in lines[2:]]
    if None in path or not included(index, size, leaf_hash(entry), path, root):
        raise Bad("not in the log")
    return index


def check_archive(raw, key):
    """(first, end) of an archive that stands alone (archive.md)."""
    head, _, rest = raw.partition(b"\n\n")
    proof, _, rest = (b"\n" + rest).partition(b"\n\n")
    title, entries, *before = head.split(b"\n")
    m, n = re.match(rb"entries (\d+) (\d+)\Z", entries), re.match(rb"checkpoint (\d+)\n", rest)
    before = [unbase64(h, 32) for h in before]
    path = [unbase64(h, 32) for h in proof.split(b"\n") if h]
    if title != b"provost-archive@v1" or not m or not n or None in before + path:
        raise Bad("not an archive")
    first, end = int(m[1]), int(m[2])
    levels = [level for level in range(64) if first >> level & 1]
    if first >= end or first % WIDTH or end % WIDTH or len(levels) != len(before):
        raise Bad("not an archive")
    size, root = key.open(rest[n.end() : n.end() + int(n[1])])
    tree = Tree(first, reversed(list(zip(levels, before))))
    what = ""
    for entry, what in frames(rest[n.end() + int(n[1]) :], ENTRY_MAX):
        if entry is not None:
            tree.add(leaf_hash(entry))
    if what or tree.size != end or not consistent(end, tree.root(), size, root, path):
        raise Bad("not in the log")
    return first, end


def verify_log(directory, key, pinned=None):
    """(verdict, first event or None)."""
    try:
        Verifier(Log(directory), key, pinned).run()
    except Bad as bad:
        return bad.verdict, bad.seq
    return "ok", None


def main(args):
    least = {"log": 3, "bundle": 3, "proof": 4, "archive": 3}
    if len(args) < least.get(args[0] if args else "", 1 << 10):
        print(__doc__, file=sys.stderr)
        return 2
    read = lambda name: pathlib.Path(name).read_bytes()
    try:
        if args[0] == "log":
            key = Key(read(args[2]))
            pinned = key.open(read(args[4])) if args[3:4] == ["--pin"] else None
            verdict, seq = verify_log(args[1], key, pinned)
            print(verdict if seq is None else f"{verdict} e{seq}")
            return verdict != "ok"
        if args[0] == "archive":
            print("ok: e%d to e%d" % check_archive(read(args[1]), Key(read(args[2]))))
            return 0
        files, more = (args[1:3], args[3:]) if args[0] == "bundle" else (args[1:4], args[4:])
        quorum = int(more[1]) if more[:1] == ["--quorum"] else None
        witnesses = [Witness(read(f)) for f in (more[2:] if quorum else more)]
        *files, key = map(read, files)
        if args[0] == "bundle":
            print("ok: %d entries, %d tags rechecked" %
                  check_bundle(*files, Key(key), witnesses, quorum))
        else:
            print("ok: e%d" % check_proof(*files, Key(key), witnesses, quorum))
        return 0
    except (Bad, ValueError) as bad:
        print("bad:", bad)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
