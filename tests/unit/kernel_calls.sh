#!/bin/sh
# kernel_calls.sh CC BITS: the system calls of the kernel's headers, as {number, "name"}, lines of C.
set -eu
echo "#include <asm/unistd_$2.h>" | "$1" -E -dM -xc - |
    sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/{\2, "\1"},/p'
