#!/usr/bin/python3
"""Software that nobody here wrote reads the log: Go's golang.org/x/mod/sumdb checks the checkpoint, all
tiles and entries, and proofs; and refuses each of them when altered."""

import os
import pathlib
import shutil
import subprocess

from provost_platform import SOURCE, Platform, PROGRAMS, skip

GOPATH = pathlib.Path("/usr/share/gocode")


def build_checker(work):
    if not shutil.which("go") or not (GOPATH / "src/golang.org/x/mod/sumdb/note").is_dir():
        skip("needs golang-go and golang-golang-x-mod-dev")
    env = dict(os.environ, GO111MODULE="off", GOPATH=str(GOPATH), GOFLAGS="",
               GOCACHE=str(work / "gocache"))
    binary = work / "sumdb"
    subprocess.run(["go", "build", "-o", binary, "main.go"], check=True, env=env,
                   cwd=SOURCE / "tests" / "integration" / "sumdb")
    return binary


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


def main():
    with Platform() as p:
        checker = build_checker(p.dir)
        p.deploy("echo", PROGRAMS / "echo")
        for i in range(200):
            assert p.request("POST", "/function/echo", b"%d" % i)[0] == 200
        p.cli("audit", "find", "echo")
        p.stop()
        key = p.dir / "log.pub"
        shutil.copy(p.state / "keys" / "log.pub", key)
        log = p.state / "log"

        def accepts(*args):
            r = subprocess.run([checker, key, *args], capture_output=True, timeout=60)
            return r.returncode == 0, (r.stdout + r.stderr).decode().strip()

        ok, text = accepts(log)
        assert ok, text
        print("Go accepts the log:", text)
        size = int(text.split()[0])
        assert size > 512, "too short to have full tiles"

        for victim, at in [("checkpoint", 30), ("checkpoint", -10), ("tile/0/000", 100),
                           ("tile/0/001", 8000), ("tile/entries/000", 500),
                           ("tile/entries/001", 40), (f"tile/1/000.p/{size // 256}", 3)]:
            copy = p.dir / "copy"
            shutil.copytree(log, copy)
            flip(copy / victim, at)
            ok, text = accepts(copy)
            assert not ok, f"Go accepted an altered {victim}"
            print(f"Go refuses an altered {victim}: {text}")
            shutil.rmtree(copy)

        proof, entry = p.dir / "proof", p.dir / "entry"
        for seq in [0, 1, size // 2, size - 2, size - 1]:
            p.cli("audit", "prove", f"e{seq}", "-o", proof, "--entry", entry)
            ok, text = accepts("-proof", proof, entry)
            assert ok, f"e{seq}: {text}"
            p.cli("verify", "--proof", proof, "--entry", entry, "--key", key)
            flip(entry, 5)
            assert not accepts("-proof", proof, entry)[0]
            assert p.cli("verify", "--proof", proof, "--entry", entry, "--key", key,
                         check=False).returncode == 1
            flip(entry, 5)
            flip(proof, 40)
            assert not accepts("-proof", proof, entry)[0]
            assert p.cli("verify", "--proof", proof, "--entry", entry, "--key", key,
                         check=False).returncode == 1
        assert p.cli("audit", "prove", f"e{size}", check=False).returncode == 3
    print("Go and provost agree")


main()
