#include "../process/identity.h"
#include "microvm.h"

#include "pv/clock.h"
#include "pv/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Of a host: its own, and room for requests; of a VM, beside its files. */
enum { HOST_DESCRIPTORS = 512, VM_DESCRIPTORS = 12, DESCRIPTORS_MIN = 16, DESCRIPTORS_MAX = 256 };

/* What a program holds open may be open in the host as well. So that all slots together leave the
 * host what it needs, each gets its part. */
static unsigned descriptors_each(const struct pv_microvm_domain *d)
{
    struct rlimit l = {0};
    rlim_t each;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur <= HOST_DESCRIPTORS)
        return DESCRIPTORS_MIN;
    each = (l.rlim_cur - HOST_DESCRIPTORS) / d->n_slots;
    each = each > VM_DESCRIPTORS ? each - VM_DESCRIPTORS : 0;
    return each > DESCRIPTORS_MAX   ? DESCRIPTORS_MAX
           : each < DESCRIPTORS_MIN ? DESCRIPTORS_MIN
                                    : (unsigned)each;
}

static void describe(struct pv_microvm_domain *d)
{
    struct pv_snapshot_facts *f = &d->facts;
    size_t len = 0;

    memcpy(f->measurement, d->report.measurement, sizeof f->measurement);
    f->bytes = d->report.image_bytes;
    f->threads = d->report.threads;
    f->start_ns = d->report.start_ns;
    f->accesses = d->start.v;
    f->n_accesses = d->start.n;
    for (unsigned i = 0; i < d->report.n_unknown && len < sizeof f->unknown; i++) {
        const char *name = pv_vm_call_name(d->report.unknown[i]);

        len += (size_t)snprintf(f->unknown + len, sizeof f->unknown - len, "%s%s", len ? " " : "",
                                name ? name : "?");
    }
}

static int make(struct pv_microvm_domain *d, const struct pv_vm_spec *spec, struct pv_err *err)
{
    struct pv_vm_hooks hooks;
    int rc;

    pv_microvm_start_forget(d);
    pv_microvm_start_hooks(d, &hooks);
    rc = pv_vm_image_make(spec, &hooks, &d->image, &d->report, err);
    if (rc == -ECANCELED && d->report.why_not[0])
        return pv_refuse(err, ENOTSUP, "%.255s", d->report.why_not);
    /* what cannot be recorded is not to be a function's past */
    if (rc == 0 && d->start.lost) {
        pv_vm_image_free(PV_TAKE_PTR(d->image));
        return pv_refuse(err, ENOTSUP,
                         "it uses too many files before it reads stdin to tell of all");
    }
    return rc;
}

int pv_microvm_image(struct pv_microvm_domain *d, struct pv_err *err)
{
    const struct pv_spec *s = d->spec;

    if (d->image)
        return 0;
    struct pv_vm_spec spec = {
        .root_fd = d->root,
        .root_hash = s->package, /* the runtime directories are the machine's, as for processes */
        .program = d->argv[0],
        .argv = (const char *const *)d->argv,
        .env = (const char *const *)d->environment.envp,
        .cwd = "/function",
        .env_bytes = PV_REQUEST_ENV_MAX,
        .env_count = PV_ENV_POINTERS_MAX - PV_ENV_MAX,
        .env_names = pv_environment_likely,
        .env_numbers = pv_environment_lengths,
        .uid = PV_INNER_UID,
        .gid = PV_INNER_UID,
        .limits = {.memory_bytes = s->memory_bytes,
                   .tmp_bytes = s->tmp_bytes,
                   .output_bytes = s->output_bytes,
                   .cpu_millis = s->cpu_millis,
                   .threads = s->processes,
                   .descriptors = descriptors_each(d)},
        .finish = (enum pv_vm_finish)s->finish,
        /* where it may be something else, that is not to wait for long */
        .start_ns = s->class == PV_CLASS_AUTO ? PV_NS_PER_S : 0,
    };

    if (s->class == PV_CLASS_AUTO && pv_microvm_starts_programs(d->root, d->argv[0]))
        return pv_refuse(err, ENOTSUP, "it can start other programs");
    PV_TRY(make(d, &spec, err));
    if (d->report.env_taken && s->class == PV_CLASS_AUTO)
        return pv_refuse(err, ENOTSUP, "it has made use of its environment before it reads stdin");
    if (d->report.env_taken) {
        /* it would go on showing the placeholders */
        pv_vm_image_free(PV_TAKE_PTR(d->image));
        spec.env_bytes = spec.env_count = 0;
        PV_TRY(make(d, &spec, err));
        d->facts.without_variables = true;
    }
    if (d->report.wanted_process && s->class == PV_CLASS_AUTO)
        return pv_refuse(err, ENOTSUP, "it tried to start another program before it reads stdin");
    describe(d);
    d->facts.without_programs = d->report.wanted_process;
    return 0;
}
