/* ELF files: checked headers, segments into a fresh address space (gABI chapter 5; as Linux's
 * fs/binfmt_elf.c does it). */
#pragma once
#include "memory/space.h"

enum { PV_ELF_SEGMENTS_MAX = 64, PV_ELF_INTERP_BYTES = 256 };

struct pv_elf {
    bool fixed;       /* ET_EXEC: addresses are not ours to choose */
    uint64_t entry;   /* as in the file */
    uint64_t headers; /* address of the program headers, as in the file; 0: not loaded */
    unsigned n_segments, n_headers;
    struct pv_elf_segment {
        uint64_t at, offset, file_len, len; /* as in the file */
        int prot;
    } segments[PV_ELF_SEGMENTS_MAX];
    uint64_t start, end;              /* pages that the segments span */
    char interp[PV_ELF_INTERP_BYTES]; /* "": none */
    bool exec_stack;
};

/* Reads and checks the headers of fd (borrowed); name is for messages. */
PV_MUST_CHECK int pv_elf_read(struct pv_elf *e, int fd, const char *name, struct pv_err *err);
/* Maps and fills the segments at base (added to the file's addresses). */
PV_MUST_CHECK int pv_elf_load(const struct pv_elf *e, int fd, const char *name, uint64_t base,
                              struct pv_space *s, struct pv_err *err);
