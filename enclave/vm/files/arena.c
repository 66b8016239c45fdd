#include "files/arena.h"

#include "pv/own.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* The sealed bytes; shared by the sealed domain and its clones, on whatever threads they live. */
struct pv_image {
    atomic_uint refs;
    int memfd;
    uint8_t *map; /* read-only */
    uint32_t pages;
};

static void image_drop(struct pv_image *image)
{
    if (!image || atomic_fetch_sub(&image->refs, 1) != 1)
        return;
    if (image->map)
        munmap(image->map, (size_t)image->pages * PV_PAGE);
    if (image->memfd >= 0)
        close(image->memfd);
    free(image);
}
PV_DEFINE_CLEANUP(struct pv_image, image_drop)

static struct pv_alloc *alloc_of(struct pv_arena *a)
{
    return pv_edit(a, 0, 0, sizeof(struct pv_alloc));
}

static const struct pv_alloc *alloc_look(const struct pv_arena *a)
{
    return pv_at(a, 0);
}

void pv_arena_note(struct pv_arena *a, uint32_t page)
{
    uint64_t bit = 1ull << (page % 64);

    assert(page < a->pages);
    a->dirty[page / 64] |= bit;
    a->changed[a->changed_n++] = page;
    if (!(a->own[page / 64] & bit))
        a->own_n++;
    a->own[page / 64] |= bit;
}

static int reserve(struct pv_arena *a, uint32_t pages, uint32_t kept_max, struct pv_err *err)
{
    size_t words = (pages + 63) / 64;
    void *base = NULL;

    *a = (struct pv_arena){.pages = pages, .kept_max = kept_max};
    a->dirty = calloc(words, sizeof *a->dirty);
    a->own = calloc(words, sizeof *a->own);
    a->changed = calloc(pages, sizeof *a->changed);
    if (!a->dirty || !a->own || !a->changed)
        return pv_fail(err, ENOMEM, "allocate the lists of a domain's files");
    base = mmap(NULL, (size_t)pages * PV_PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return pv_fail(err, errno, "reserve memory for a domain's files");
    a->base = base;
    return 0;
}

int pv_arena_init(struct pv_arena *a, uint64_t bytes, uint64_t kept_bytes, struct pv_err *err)
{
    uint64_t pages = (bytes + PV_PAGE - 1) / PV_PAGE;
    uint64_t kept = kept_bytes / PV_PAGE;
    int rc;

    if (pages < 1 || pages > UINT32_MAX / (PV_PAGE / PV_ARENA_UNIT))
        return pv_refuse(err, EINVAL, "limits of a domain's files are too large");
    rc = reserve(a, (uint32_t)pages, (uint32_t)(kept < pages ? kept : pages), err);
    if (rc < 0) {
        pv_arena_done(a);
        return rc;
    }
    alloc_of(a)->next_page = 1;
    return 0;
}

void pv_arena_done(struct pv_arena *a)
{
    if (a->base)
        munmap(a->base, (size_t)a->pages * PV_PAGE);
    image_drop(a->image);
    free(a->dirty);
    free(a->own);
    free(a->changed);
    *a = (struct pv_arena){0};
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, data + done, len - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int pv_arena_seal(struct pv_arena *a, struct pv_err *err)
{
    __attribute__((cleanup(image_drop_cleanup_))) struct pv_image *image = calloc(1, sizeof *image);
    size_t len = (size_t)alloc_look(a)->next_page * PV_PAGE;
    void *map;
    int rc;

    if (!image)
        return pv_fail(err, ENOMEM, "allocate the image of a domain's files");
    atomic_init(&image->refs, 1);
    image->memfd = memfd_create("provost-files", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (image->memfd < 0)
        return pv_fail(err, errno, "create the image of a domain's files");
    rc = write_all(image->memfd, a->base, len);
    if (rc < 0)
        return pv_fail(err, rc, "write the image of a domain's files");
    if (fcntl(image->memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) <
        0)
        return pv_fail(err, errno, "seal the image of a domain's files");
    map = mmap(NULL, len, PROT_READ, MAP_SHARED, image->memfd, 0);
    if (map == MAP_FAILED)
        return pv_fail(err, errno, "map the image of a domain's files");
    image->map = map;
    image->pages = (uint32_t)(len / PV_PAGE);
    a->image = PV_TAKE_PTR(image);
    return 0;
}

static int view(struct pv_arena *a, struct pv_err *err)
{
    void *map = mmap(a->base, (size_t)a->image->pages * PV_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, a->image->memfd, 0);

    if (map == MAP_FAILED)
        return pv_fail(err, errno, "map a clone of a domain's files");
    return 0;
}

int pv_arena_clone(const struct pv_arena *from, struct pv_arena *a, struct pv_err *err)
{
    int rc = reserve(a, from->pages, from->kept_max, err);

    assert(from->image);
    if (rc == 0) {
        atomic_fetch_add(&from->image->refs, 1);
        a->image = from->image;
        rc = view(a, err);
    }
    if (rc < 0)
        pv_arena_done(a);
    return rc;
}

/* Gives the page's memory back; the next access finds the image's page, or zeroes. */
static bool forget(struct pv_arena *a, uint32_t page)
{
    if (a->own_n <= a->kept_max ||
        madvise(a->base + (size_t)page * PV_PAGE, PV_PAGE, MADV_DONTNEED) < 0)
        return false;
    a->own[page / 64] &= ~(1ull << (page % 64));
    a->own_n--;
    return true;
}

void pv_arena_reset(struct pv_arena *a)
{
    assert(a->image);
    while (a->changed_n > 0) {
        uint32_t page = a->changed[--a->changed_n];
        uint8_t *here = a->base + (size_t)page * PV_PAGE;

        a->dirty[page / 64] &= ~(1ull << (page % 64));
        if (forget(a, page))
            continue;
        if (page < a->image->pages)
            memcpy(here, a->image->map + (size_t)page * PV_PAGE, PV_PAGE);
        else
            memset(here, 0, PV_PAGE);
    }
}

const uint8_t *pv_arena_image(const struct pv_arena *a, size_t *ret_len)
{
    *ret_len = a->image ? (size_t)a->image->pages * PV_PAGE : 0;
    return a->image ? a->image->map : NULL;
}

static uint32_t page_new(struct pv_arena *a)
{
    const struct pv_alloc *look = alloc_look(a);
    uint32_t page = look->free_page;

    if (page) {
        uint8_t *here = pv_edit(a, page * (PV_PAGE / PV_ARENA_UNIT), 0, PV_PAGE);

        memcpy(&alloc_of(a)->free_page, here, sizeof(uint32_t));
        memset(here, 0, PV_PAGE);
        return page;
    }
    if (look->next_page >= a->pages)
        return 0;
    return alloc_of(a)->next_page++;
}

static unsigned class_of(size_t size)
{
    unsigned class = 0;

    assert(size > 0 && size <= PV_PAGE);
    while (((size_t)PV_ARENA_UNIT << class) < size)
        class ++;
    return class;
}

/* Cuts a fresh page into objects of the class and chains all of them. */
static bool refill(struct pv_arena *a, unsigned class)
{
    size_t size = (size_t)PV_ARENA_UNIT << class;
    pv_ref first = page_new(a) * (PV_PAGE / PV_ARENA_UNIT);

    if (!first)
        return false;
    for (size_t off = PV_PAGE; off >= size; off -= size) {
        pv_ref ref = first + (pv_ref)((off - size) / PV_ARENA_UNIT);

        *(pv_ref *)pv_edit(a, ref, 0, sizeof ref) = alloc_look(a)->free_object[class];
        alloc_of(a)->free_object[class] = ref;
    }
    return true;
}

pv_ref pv_arena_new(struct pv_arena *a, size_t size)
{
    unsigned class = class_of(size);
    pv_ref ref = 0;
    void *object;

    if (class == PV_ARENA_CLASSES - 1)
        return page_new(a) * (PV_PAGE / PV_ARENA_UNIT);
    if (!alloc_look(a)->free_object[class] && !refill(a, class))
        return 0;
    ref = alloc_look(a)->free_object[class];
    object = pv_edit(a, ref, 0, (size_t)PV_ARENA_UNIT << class);
    alloc_of(a)->free_object[class] = *(pv_ref *)object;
    memset(object, 0, (size_t)PV_ARENA_UNIT << class);
    return ref;
}

/* Sanitizers do not see inside the arena: in their builds, what was given up holds no sensible
 * reference any more. */
static void spoil(struct pv_arena *a, pv_ref ref, size_t size)
{
#ifdef PV_SANITIZED
    memset(pv_edit(a, ref, 0, size), 0xdd, size);
#else
    (void)a;
    (void)ref;
    (void)size;
#endif
}

void pv_arena_drop(struct pv_arena *a, pv_ref ref, size_t size)
{
    unsigned class = class_of(size);
    struct pv_alloc *alloc = alloc_of(a);

    assert(ref);
    spoil(a, ref, (size_t)PV_ARENA_UNIT << class);
    if (class == PV_ARENA_CLASSES - 1) {
        *(uint32_t *)pv_edit(a, ref, 0, sizeof(uint32_t)) = alloc->free_page;
        alloc->free_page = ref / (PV_PAGE / PV_ARENA_UNIT);
        return;
    }
    *(pv_ref *)pv_edit(a, ref, 0, sizeof ref) = alloc->free_object[class];
    alloc->free_object[class] = ref;
}

pv_ref pv_arena_run(struct pv_arena *a, uint32_t n)
{
    struct pv_alloc *alloc = alloc_of(a);
    uint32_t page = alloc->next_page;

    if (n > a->pages - page)
        return 0;
    alloc->next_page += n;
    return page * (PV_PAGE / PV_ARENA_UNIT);
}
