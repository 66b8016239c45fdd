#!/usr/bin/env python3
"""Whether the probes' chains of functions fit what kernels before 6.13 allow: 512 bytes of stack
together, each function rounded up to 32, and eight calls. Later kernels, on which they are usually
run, do not say when one does not."""
import collections
import os
import re
import shutil
import subprocess
import sys

STACK_MAX, CALLS_MAX, ROUND = 512, 8, 32
KFUNCS = {"bpf_rdonly_cast"}  # no frame of its own


def disassemble(path):
    objdump = shutil.which("llvm-objdump") or shutil.which("llvm-objdump-14")
    if not objdump:
        print("llvm-objdump is not to be had here")
        sys.exit(77)
    return subprocess.run([objdump, "-dr", path], capture_output=True, text=True,
                          check=True).stdout.splitlines()


class Program:
    """Stack used and functions called, by function; roots are what the kernel calls."""

    def __init__(self, lines):
        self.depth = collections.defaultdict(int)
        self.calls = collections.defaultdict(set)
        self.roots = []
        self.names = {}  # in .text, by instruction
        for section, name, address, _, _ in self.walk(lines):
            if section == ".text":
                self.names[address // 8] = name
        for section, name, address, line, following in self.walk(lines):
            if line is None and section != ".text":
                self.roots.append(name.removesuffix("_512"))
            elif line is not None:
                self.read(name, line, following)

    @staticmethod
    def walk(lines):
        section = name = address = None
        for i, line in enumerate(lines):
            if m := re.match(r"Disassembly of section (.*):", line):
                section = m[1]
            elif m := re.match(r"([0-9a-f]+) <(.+)>:$", line):
                if not m[2].startswith("LBB"):
                    name, address = m[2], int(m[1], 16)
                    yield section, name, address, None, None
            elif name:
                yield section, name, address, line, lines[i + 1] if i + 1 < len(lines) else ""

    def read(self, name, line, following):
        for m in re.finditer(r"r10 - (0x[0-9a-f]+|\d+)", line):
            self.depth[name] = max(self.depth[name], int(m[1], 0))
        if (m := re.search(r"\tr\d+ \+= -(\d+)$", line)) and int(m[1]) <= STACK_MAX:
            self.depth[name] = max(self.depth[name], int(m[1]))
        m = re.match(r"\s*(\d+):\s+85 10 00 00 ((?:[0-9a-f]{2} ?){4})", line)
        if not m:
            return
        offset = int.from_bytes(bytes.fromhex(m[2]), "little", signed=True)
        target = re.search(r"R_BPF_64_32\s+(\S+)", following)
        if target and target[1] != ".text":
            self.calls[name].add(target[1])
        else:
            self.calls[name].add(self.names[offset + 1 + (0 if target else int(m[1]))])

    def too_deep(self, name, chain=(), used=0):
        used += (max(self.depth[name], 1) + ROUND - 1) // ROUND * ROUND
        chain += (f"{name} {self.depth[name]}",)
        if used > STACK_MAX or len(chain) > CALLS_MAX:
            yield used, chain
        for callee in sorted(self.calls[name] - KFUNCS):
            yield from self.too_deep(callee, chain, used)


def main():
    path = os.path.join(os.environ["PV_BUILD"], "bpf/provost.bpf.o")
    program = Program(disassemble(path))
    # of twins only one is for kernels that give less
    roots = [f"{r}_512" if program.roots.count(r) == 2 else r for r in set(program.roots)]
    assert len(roots) >= 8 and "on_sys_exit_512" in roots, roots
    bad = sorted((c for root in roots for c in program.too_deep(root)), reverse=True)
    for used, chain in bad[:10]:
        print(used, " > ".join(chain))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
