#!/usr/bin/python3
"""A witness as another process: follows a log over HTTP and as files, cosigns so that other software
accepts it, remembers across kill -9, refuses two histories; and verify demands what it signed."""

import base64
import functools
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from provost_platform import BUILD, PROGRAMS, SOURCE, Platform, free_port, until

sys.path.insert(0, str(SOURCE / "tests" / "checker"))
import provost_check as checker  # noqa: E402

FORK, ROLLBACK, UNKNOWN_KEY, NOT_WITNESSED = 17, 16, 19, 41


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(directory):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


def cosigned_at(note, vkey):
    """Checks a cosignature with software that is not Provost's, from the specification."""
    name, digest, key = vkey.strip().split(b"+", 2)
    key = base64.b64decode(key)
    assert key[0] == 4 and digest.decode() == hashlib.sha256(name + b"\n" + key).hexdigest()[:8]
    text, _, lines = note.rpartition(b"\n\n")
    for line in lines.rstrip(b"\n").split(b"\n"):
        _, who, raw = line.split(b" ")
        raw = base64.b64decode(raw)
        if who == name and raw[:4].hex() == digest.decode():
            stamp = int.from_bytes(raw[4:12], "big")
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(
                raw[12:], b"cosignature/v1\ntime %d\n" % stamp + text + b"\n")
            return stamp, int(text.split(b"\n")[1])
    raise AssertionError("no cosignature")


def consistency(leaves, old):
    """RFC 6962 section 2.1.2, the slow way."""
    def sub(m, d, whole):
        if m == len(d):
            return [] if whole else [checker.root_of(d)]
        k = 1 << (len(d) - 1).bit_length() - 1
        if m <= k:
            return sub(m, d[:k], whole) + [checker.root_of(d[k:])]
        return sub(m - k, d[k:], False) + [checker.root_of(d[:k])]
    return sub(old, leaves, True) if 0 < old < len(leaves) else []


def post(port, body, path="/add-checkpoint", method="POST"):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        c.request(method, path, body=body)
        r = c.getresponse()
        return r.status, r.read(), r.headers.get("Content-Type")
    finally:
        c.close()


def wait_port(port, process):
    for _ in range(200):
        assert process.poll() is None, "the witness ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the witness does not listen")


def requests(p, witness, vkey, log_key):
    """add-checkpoint as any log would use it."""
    port = free_port()
    daemon = subprocess.Popen([BUILD / "bin" / "provost", "witness", "--dir", witness, "--key",
                               log_key, "--listen", str(port)])
    try:
        wait_port(port, daemon)
        log = checker.Log(p.state / "log")
        leaves = [checker.leaf_hash(e) for e, _ in log.entries() if e is not None]
        note = log.file("checkpoint")
        size = int(note.split(b"\n")[1])
        leaves = leaves[:size]
        status, text, kind = post(port, b"old 0\n\n" + note)
        assert (status, kind) == (409, "text/x.tlog.size"), (status, text, kind)
        old = int(text)
        proof = consistency(leaves, old)
        lines = b"".join(base64.b64encode(h) + b"\n" for h in proof)
        assert post(port, b"old %d\n\n" % old + note)[0] == (422 if proof else 200)
        status, line, _ = post(port, b"old %d\n" % old + lines + b"\n" + note)
        assert status == 200, (status, line)
        assert cosigned_at(note + line, vkey)[1] == size
        assert post(port, b"", "/checkpoint", "GET")[1].endswith(line)
        assert post(port, b"old %d\n\n" % size + note.replace(b"provost/", b"another/"))[0] == 404
        assert post(port, b"old %d\n\n" % size + note[:-12] + b"A" * 7 + note[-5:])[0] in (400, 403)
        assert post(port, b"old %d\n\n" % (size + 1) + note)[0] == 400
        assert post(port, b"nonsense")[0] == 400
        assert post(port, b"old 0\n" + b"A" * 100000)[0] == 413
        assert post(port, b"", "/add-checkpoint", "GET")[0] == 405
        assert post(port, b"", "/else", "GET")[0] == 404
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=60) == 0


def crowds(witness, log_key):
    """Connections that never finish a request: they give way, and do not live for ever."""
    port = free_port()
    daemon = subprocess.Popen([BUILD / "bin" / "provost", "witness", "--dir", witness, "--key",
                               log_key, "--listen", str(port)])
    try:
        wait_port(port, daemon)
        before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        held = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(150)]
        for s in held:
            s.sendall(b"POST /add-checkpoint HTTP/1.1\r\n")
        assert post(port, b"", "/checkpoint", "GET")[0] == 200
        held[0].settimeout(5)
        assert held[0].recv(1) == b""  # the oldest had to go
        time.sleep(0.2)
        assert len(os.listdir(f"/proc/{daemon.pid}/fd")) <= before + 64
        for s in held:
            s.close()
        assert post(port, b"", "/checkpoint", "GET")[0] == 200
        until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= before + 1, "closed connections stay")
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=60) == 0


def killed(p, witness, log_key, url, vkey):
    """kill -9 at whatever moment: the witness goes on from what it signed last."""
    last = 0
    for i in range(12):
        w = subprocess.Popen([BUILD / "bin" / "provost", "witness", "--dir", witness, "--key",
                              log_key, "--interval", "10ms", url], stdout=subprocess.DEVNULL)
        for k in range(3):
            assert p.request("POST", "/function/echo", b"%d" % k)[0] == 200
        time.sleep(0.03 * i)
        assert w.poll() is None
        w.kill()
        w.wait()
        note = (witness / "checkpoint").read_bytes()
        assert cosigned_at(note, vkey)[1] >= last
        last = cosigned_at(note, vkey)[1]
    return last


def cosigned_evidence(p, call, log_key, cosigned, w_pub):
    """Bundles and proofs carry the cosignatures of a checkpoint; as many as are demanded must hold,
    which both checkers find."""
    key = checker.Key(log_key.read_bytes())
    pubs, notes = [w_pub], [cosigned]
    for name in ("w2", "w3"):
        pubs.append(p.dir / f"{name}.pub")
        notes.append(p.dir / f"{name}.cosigned")
        p.cli("witness", "--dir", p.dir / name, "--generate-key", f"example.org/{name}", "-o",
              pubs[-1])
        p.cli("witness", "--dir", p.dir / name, "--key", log_key, "--once", "-o", notes[-1],
              p.state)
    two = ["--cosigned", notes[0], "--cosigned", notes[1]]
    bundle, proof, entry = p.dir / "bundle", p.dir / "proof", p.dir / "entry"
    p.cli("audit", "bundle", call, "-o", bundle, *two)
    p.cli("audit", "prove", "e3", "-o", proof, "--entry", entry, *two)
    for_bundle = ["--bundle", bundle]
    for_proof = ["--proof", proof, "--entry", entry]

    def judge(what, witnesses, quorum, good):
        args = [x for w in witnesses for x in ("--witness-key", w)]
        args += ["--quorum", str(quorum)] if quorum else []
        r = p.cli("verify", *what, "--key", log_key, "--json", *args, check=False)
        assert r.returncode == (0 if good else NOT_WITNESSED), (what, witnesses, quorum, r)
        said = [checker.Witness(w.read_bytes()) for w in witnesses]
        try:
            if what is for_bundle:
                checker.check_bundle(bundle.read_bytes(), key, said, quorum)
            else:
                checker.check_proof(proof.read_bytes(), entry.read_bytes(), key, said, quorum)
            assert good, (what, witnesses, quorum)
        except checker.Bad as bad:
            assert not good and bad.verdict == "not-witnessed", (what, witnesses, quorum, bad)
        return json.loads(r.stdout)["witnesses"]

    for what in (for_bundle, for_proof):
        names = [w["name"] for w in judge(what, pubs[:2], None, True)]
        assert names == ["example.org/w1", "example.org/w2"], names
        judge(what, pubs[:1], None, True)
        judge(what, pubs, 2, True)
        judge(what, pubs, None, False)
        judge(what, pubs[2:], None, False)
        judge(what, pubs[1:], 2, False)
    assert p.cli("verify", *for_bundle, "--key", log_key, "--witness-key", w_pub, "--witness-key",
                 w_pub, check=False).returncode != 0  # one witness is not two
    # one letter of a cosignature
    raw = bundle.read_bytes()
    at = raw.rindex(b"example.org/w2 ") + 40
    bundle.write_bytes(raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :])
    judge(for_bundle, pubs[:2], None, False)
    judge(for_bundle, pubs[:2], 1, True)
    # the log itself, by several witnesses
    each = [x for w, n in zip(pubs, notes) for x in ("--witness-key", w, "--cosigned", n)]
    r = p.cli("verify", "--key", log_key, "--json", *each)
    assert len(json.loads(r.stdout)["witnesses"]) == 3, r
    some = ["--witness-key", pubs[0], "--witness-key", pubs[1], "--cosigned", notes[1]]
    assert p.cli("verify", "--key", log_key, *some, check=False).returncode == NOT_WITNESSED
    p.cli("verify", "--key", log_key, *some, "--quorum", "1")
    # the log's own file, without being named; and none where it does not cover what is asked for
    p.cli("audit", "bundle", call, "-o", bundle)
    judge(for_bundle, pubs[:1], None, True)
    (p.state / "log" / "checkpoint.cosigned").unlink()
    p.cli("audit", "bundle", call, "-o", bundle)
    judge(for_bundle, pubs[:1], None, False)


def main():
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        for i in range(40):
            assert p.request("POST", "/function/echo", b"%d" % i)[0] == 200
        log_key, witness, w_pub = p.dir / "log.pub", p.dir / "witness", p.dir / "w.pub"
        cosigned = p.dir / "cosigned"
        p.cli("key", "export-public", "-o", log_key)
        p.cli("witness", "--dir", witness, "--generate-key", "example.org/w1", "-o", w_pub)
        vkey = w_pub.read_bytes()
        assert (witness / "witness.key").stat().st_mode & 0o7777 == 0o600
        assert p.cli("witness", "--dir", witness, "--generate-key", "x", check=False).returncode == 6

        def follow(log, *more, check=True):
            return p.cli("witness", "--dir", witness, "--key", log_key, "--once", "-o", cosigned,
                         log, *more, check=check)

        def verify(*more):
            r = p.cli("verify", "--key", log_key, "--witness-key", w_pub, "--json", *more,
                      check=False)
            return r.returncode, json.loads(r.stdout)

        # not witnessed yet, by any name
        assert verify("--cosigned", cosigned)[0] == NOT_WITNESSED
        assert verify()[0] == NOT_WITNESSED
        server, url = serve(p.state / "log")
        follow(url)
        first = cosigned_at(cosigned.read_bytes(), vkey)[1]
        assert cosigned.read_bytes() == (witness / "checkpoint").read_bytes()
        code, said = verify("--cosigned", cosigned)
        assert code == 0 and said["witnesses"][0]["events"] == first, said
        shutil.copy(cosigned, p.state / "log" / "checkpoint.cosigned")
        assert verify()[0] == 0
        # the log's own signature is not enough, nor a cosignature on something else
        shutil.copy(p.state / "log" / "checkpoint", p.dir / "plain")
        assert verify("--cosigned", p.dir / "plain")[0] == NOT_WITNESSED
        changed = cosigned.read_bytes().replace(b"\n%d\n" % first, b"\n%d\n" % (first + 1))
        (p.dir / "changed").write_bytes(changed)
        assert verify("--cosigned", p.dir / "changed")[0] == NOT_WITNESSED
        # both checkers take a note with a cosignature
        assert checker.Key(log_key.read_bytes()).open(cosigned.read_bytes())[0] == first

        call = p.request("POST", "/function/echo", b"to be cosigned")[2]["X-Call-Id"]
        last = killed(p, witness, log_key, url, vkey)
        assert last > first
        p.stop()
        requests(p, witness, vkey, log_key)
        crowds(witness, log_key)
        follow(p.state)  # files, by the state directory
        follow(p.state / "log")
        p.cli("verify", "--key", log_key, "--witness-key", w_pub, "--cosigned", cosigned)
        shutil.copy(cosigned, p.state / "log" / "checkpoint.cosigned")
        cosigned_evidence(p, call, log_key, cosigned, w_pub)

        # another log, a server that lacks it, no server
        assert follow(url + "/tile", check=False).returncode == 3
        server.shutdown()
        server.server_close()
        assert follow(url, check=False).returncode == 4
        with Platform() as q:
            q.stop()
            assert follow(q.state, check=False).returncode == UNKNOWN_KEY

        # two histories: the second one grows longer than the first, so that only a proof can tell
        older = p.dir / "older"
        subprocess.run(["cp", "-a", p.state, older], check=True)
        p.start()
        for _ in range(5):
            assert p.request("POST", "/function/echo", b"what was")[0] == 200
        p.stop()
        follow(p.state)
        shutil.copy(cosigned, p.dir / "cosigned.first")
        for part in ("log", "keys", "graph"):
            shutil.rmtree(p.state / part)
            subprocess.run(["cp", "-a", older / part, p.state / part], check=True)
        r = follow(p.state, check=False)
        assert r.returncode == ROLLBACK, r
        code, said = verify("--cosigned", cosigned)
        assert code == ROLLBACK, said
        assert not (witness / "conflict").exists()  # that is kept for a fork
        p.start()
        for _ in range(25):
            assert p.request("POST", "/function/echo", b"what shall have been")[0] == 200
        p.stop()
        r = follow(p.state, check=False)
        assert r.returncode == FORK and b"forked" in r.stderr, r
        assert cosigned.read_bytes() == (p.dir / "cosigned.first").read_bytes()
        code, said = verify("--cosigned", cosigned)
        assert code == FORK and "witness" in said["log"]["text"], said
        assert p.cli("verify", "--key", log_key).returncode == 0  # alone it looks fine
        seen, refused = (witness / "conflict.seen").read_bytes(), (witness / "conflict").read_bytes()
        key = checker.Key(log_key.read_bytes())
        assert key.open(seen)[0] < key.open(refused)[0]  # both signed by the log: its own evidence
        # one that runs on ends by itself, with the same verdict
        w = subprocess.run([BUILD / "bin" / "provost", "witness", "--dir", witness, "--key", log_key,
                            "--interval", "50ms", p.state], stderr=subprocess.PIPE, timeout=20)
        assert w.returncode == FORK and b"forked" in w.stderr, w
    print(f"cosigned up to e{last}; rollback and fork refused")


main()
