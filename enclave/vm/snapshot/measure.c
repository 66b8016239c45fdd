/* The measurement of an image: SHA-256 over all that decides how its clones go on. */
#include "snapshot/snapshot.h"

#include "pv/own.h"

#include <errno.h>
#include <gcrypt.h>
#include <string.h>
#include <sys/mman.h>

enum { POPULATE_READ = 22 /* MADV_POPULATE_READ, Linux 5.14 */ };
static const char label[] = "provost-vm-image-1";

static void add_word(gcry_md_hd_t md, uint64_t v)
{
    uint8_t b[8];

    for (unsigned i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    gcry_md_write(md, b, sizeof b);
}

static void add_limits(gcry_md_hd_t md, const struct pv_vm_image *image)
{
    const struct pv_vm_limits *l = &image->limits;
    const uint64_t words[] = {l->memory_bytes, l->tmp_bytes, l->output_bytes, l->stderr_bytes,
                              l->cpu_ns,       l->calls,     l->threads,      l->descriptors,
                              image->finish,   image->shim,  l->cpu_millis};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        add_word(md, words[i]);
}

static void add_threads(gcry_md_hd_t md, const struct pv_process *p)
{
    add_word(md, p->n_threads);
    add_word(md, p->current);
    for (unsigned i = 0; i < p->n_threads; i++) {
        const struct pv_thread *t = p->threads[i];

        add_word(md, (uint64_t)t->tid);
        gcry_md_write(md, &t->r.general, sizeof t->r.general);
        add_word(md, t->r.fs_base);
        add_word(md, t->r.gs_base);
        gcry_md_write(md, t->xsave, sizeof t->xsave);
    }
}

/* Pages that hold something, with their place; holes of the file are skipped unread. */
static void add_memory(gcry_md_hd_t md, const struct pv_vm_image *image)
{
    static const uint8_t zero[PV_PAGE];
    off_t end = 0;

    for (;;) {
        off_t at = lseek(image->fd, end, SEEK_DATA);
        if (at < 0)
            return;
        end = lseek(image->fd, at, SEEK_HOLE);
        (void)madvise(image->base + at, (size_t)(end - at), POPULATE_READ);
        for (; at < end; at += PV_PAGE) {
            if (!memcmp(image->base + at, zero, PV_PAGE))
                continue;
            add_word(md, (uint64_t)at);
            gcry_md_write(md, image->base + at, PV_PAGE);
        }
    }
}

int pv_snapshot_measure(struct pv_vm_image *image, const uint8_t *root_hash, struct pv_err *err)
{
    uint8_t files[PV_VM_HASH_BYTES];
    static const uint8_t none[PV_VM_HASH_BYTES];
    gcry_md_hd_t md;

    if (!gcry_check_version(NULL) || gcry_md_open(&md, GCRY_MD_SHA256, 0) != 0)
        return pv_refuse(err, EIO, "no SHA-256");
    pv_files_sealed_hash(image->files, files);
    gcry_md_write(md, label, sizeof label);
    gcry_md_write(md, root_hash ? root_hash : none, PV_VM_HASH_BYTES);
    gcry_md_write(md, image->program.exe, strlen(image->program.exe) + 1);
    add_limits(md, image);
    add_threads(md, &image->process);
    gcry_md_write(md, files, sizeof files);
    add_memory(md, image);
    memcpy(image->measurement, gcry_md_read(md, GCRY_MD_SHA256), PV_VM_HASH_BYTES);
    gcry_md_close(md);
    return 0;
}
