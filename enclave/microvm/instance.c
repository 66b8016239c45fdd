#include "claim.h"
#include "microvm.h"

#include "pv/log.h"
#include "pv/own.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define PAGE_BYTES 4096u

static struct pv_microvm_instance *own(struct pv_instance *i)
{
    return (struct pv_microvm_instance *)i;
}

static struct pv_microvm_slot *slot_of(const struct pv_instance *i)
{
    return &((struct pv_microvm_domain *)i->domain)->slots[i->slot];
}

/* --- on the slot's thread --- */

static void make(struct pv_job *job)
{
    struct pv_microvm_instance *i = PV_CONTAINER(job, struct pv_microvm_instance, job);
    struct pv_microvm_slot *slot = slot_of(&i->base);

    pv_claim_upkeep();
    i->rc = pv_microvm_image(slot->domain, &i->why);
    if (i->rc == 0)
        i->rc = pv_vm_new(slot->domain->image, &slot->hooks, &slot->vm, &i->why);
    pv_claim_nothing();
}

static void run(struct pv_job *job)
{
    struct pv_microvm_instance *i = PV_CONTAINER(job, struct pv_microvm_instance, job);

    pv_claim_request(&i->request);
    i->rc = pv_vm_run(slot_of(&i->base)->vm, &i->call, &i->result, &i->why);
    pv_claim_nothing();
}

void pv_microvm_free_job(struct pv_job *job)
{
    struct pv_microvm_slot *slot = PV_CONTAINER(job, struct pv_microvm_slot, reset);

    pv_vm_free(PV_TAKE_PTR(slot->vm));
}

/* The slot will be idle for long. */
static void trim(struct pv_job *job)
{
    pv_microvm_free_job(job);
    (void)malloc_trim(0);
}

/* What the run has put out is still to be taken: a VM that cannot be reset is not freed here. */
static void reset(struct pv_job *job)
{
    struct pv_microvm_slot *slot = PV_CONTAINER(job, struct pv_microvm_slot, reset);
    struct pv_err err = PV_ERR_INIT;

    pv_claim_upkeep();
    int rc = pv_vm_reset(slot->vm, &err);
    pv_claim_nothing();

    slot->spent = rc < 0;
    if (rc < 0 && rc != -ESTALE) /* its run failed or left too much behind */
        pv_log(PV_LOG_WARN, "%s", err.text);
}

/* --- on the owner's --- */

static void give_up(struct pv_microvm_slot *s)
{
    s->spent = false;
    s->reset.run = pv_microvm_free_job;
    pv_worker_post(s->worker, &s->reset);
}

int pv_microvm_prepare(struct pv_domain *domain, unsigned slot, enum pv_mode mode, bool probe,
                       struct pv_instance **ret, struct pv_err *err)
{
    struct pv_microvm_domain *d = (struct pv_microvm_domain *)domain;
    struct pv_microvm_slot *s;

    (void)probe;
    if (slot >= d->n_slots || d->slots[slot].taken)
        return pv_refuse(err, EBUSY, "slot %u is taken", slot);
    s = &d->slots[slot];
    pv_worker_wait(s->worker, &s->reset);
    if (s->spent) {
        give_up(s);
        pv_worker_wait(s->worker, &s->reset);
    }
    s->taken = true;
    s->instance = (struct pv_microvm_instance){
        .base = {.domain = domain,
                 .slot = slot,
                 .mode = mode,
                 .stdin_fd = -1,
                 .stdout_fd = -1,
                 .stderr_fd = -1,
                 .exit_fd = -1,
                 .zygote = {.listener = -1}},
        .why = PV_ERR_INIT,
    };
    pv_buf_reset(&s->errors);
    s->misfit[0] = 0;
    if (s->vm)
        pv_vm_go_on(s->vm); /* one that was told to stop may have ended by itself */
    if (!s->vm) {
        s->instance.fresh = true;
        s->instance.job.run = make;
        pv_worker_post(s->worker, &s->instance.job);
    }
    *ret = &s->instance.base;
    return 0;
}

bool pv_microvm_vacant(struct pv_domain *domain, unsigned slot)
{
    struct pv_microvm_domain *d = (struct pv_microvm_domain *)domain;
    struct pv_microvm_slot *s = slot < d->n_slots ? &d->slots[slot] : NULL;

    if (!s || s->taken || !pv_worker_take(s->worker, &s->reset))
        return false;
    if (!s->spent)
        return true;
    give_up(s);
    return false;
}

bool pv_microvm_trim(struct pv_domain *domain, unsigned slot)
{
    struct pv_microvm_slot *s = &((struct pv_microvm_domain *)domain)->slots[slot];

    if (!pv_microvm_vacant(domain, slot))
        return false;
    if (!s->vm) /* it could not be reset, and is freed by now */
        return true;
    s->reset.run = trim;
    pv_worker_post(s->worker, &s->reset);
    return true;
}

int pv_microvm_made(struct pv_instance *instance, struct pv_err *err)
{
    struct pv_microvm_instance *i = own(instance);

    if (!pv_worker_take(slot_of(instance)->worker, &i->job))
        return 0;
    if (i->rc < 0) {
        *err = i->why;
        return i->rc;
    }
    return 1;
}

int pv_microvm_begin(struct pv_instance *instance, const struct pv_invocation *v,
                     struct pv_err *err)
{
    struct pv_microvm_instance *i = own(instance);
    struct pv_microvm_slot *slot = slot_of(instance);

    if (i->begun)
        return pv_refuse(err, EINVAL, "the instance cannot take this request");
    i->begun = true;
    i->body = (struct iovec){(void *)(uintptr_t)v->body, v->body_len};
    i->call = (struct pv_vm_call){.env = v->env,
                                  .env_len = slot->domain->facts.without_variables ? 0 : v->env_len,
                                  .body = &i->body,
                                  .n_body = v->body_len ? 1 : 0,
                                  .deadline_ns = v->deadline_ns};
    i->request = v->call;
    i->job.run = run;
    slot->reset.run = reset;
    pv_worker_post_both(slot->worker, &i->job, &slot->reset);
    return 0;
}

bool pv_microvm_fresh(struct pv_instance *instance)
{
    return own(instance)->fresh;
}

bool pv_microvm_finished(struct pv_instance *instance)
{
    struct pv_microvm_instance *i = own(instance);

    return i->begun && pv_worker_take(slot_of(instance)->worker, &i->job);
}

void pv_microvm_kill(struct pv_instance *instance)
{
    struct pv_microvm_instance *i = own(instance);

    if (i->begun && !pv_worker_take(slot_of(instance)->worker, &i->job))
        pv_vm_stop(slot_of(instance)->vm);
}

static void add_errors(struct pv_microvm_slot *slot, const char *text)
{
    pv_buf_raw(&slot->errors, text, strlen(text));
    pv_buf_raw(&slot->errors, "\n", 1);
}

/* How a VM's end looks for who knows processes. */
static void translate(const struct pv_vm_result *r, struct pv_instance_end *ret)
{
    switch (r->end) {
    case PV_VM_EXITED:
    case PV_VM_FINISHED:
        ret->exited = true;
        ret->exit_code = (uint32_t)r->code;
        return;
    case PV_VM_SIGNALED:
        ret->signal = (uint32_t)r->signal;
        return;
    case PV_VM_DEADLINE:
    case PV_VM_CPU:
        ret->stopped = PV_OUT_TIMEOUT;
        return;
    case PV_VM_MEMORY:
        ret->oom_kills = 1;
        ret->signal = SIGKILL;
        return;
    case PV_VM_OUTPUT:
        ret->stopped = PV_OUT_OUTPUT;
        return;
    case PV_VM_STOPPED:
        ret->stopped = PV_OUT_CANCELLED;
        return;
    case PV_VM_CALLS:
    case PV_VM_STUCK:
    case PV_VM_BROKEN:
        break;
    }
    ret->start_failed = true;
    (void)snprintf(ret->start_error, sizeof ret->start_error, "the function was stopped: %.220s",
                   r->text[0] ? r->text : pv_vm_end_name(r->end));
}

int pv_microvm_reap(struct pv_instance *instance, struct pv_instance_end *ret, struct pv_err *err)
{
    struct pv_microvm_instance *i = own(instance);
    struct pv_microvm_slot *slot = slot_of(instance);
    const struct pv_vm_result *r = &i->result;

    pv_worker_wait(slot->worker, &i->job);
    if (i->rc < 0) {
        *err = i->why;
        return i->rc;
    }
    *ret = (struct pv_instance_end){.cpu_ns = r->stats.cpu_ns,
                                    .peak_bytes = r->stats.frames * PAGE_BYTES};
    translate(r, ret);
    memcpy(ret->misfit, slot->misfit, sizeof ret->misfit);
    if (r->text[0])
        add_errors(slot, r->text);
    ret->output = r->out;
    ret->output_len = r->out_len;
    ret->errors = slot->errors.data;
    ret->errors_len = slot->errors.len;
    return 0;
}

void pv_microvm_destroy(struct pv_instance *instance)
{
    struct pv_microvm_instance *i = own(instance);
    struct pv_microvm_slot *slot;

    if (!i)
        return;
    slot = slot_of(instance);
    pv_microvm_kill(instance);
    pv_worker_wait(slot->worker, &i->job);
    pv_microvm_forget(slot);
    slot->taken = false;
}
