#include "worker.h"

#include "pv/own.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

/* Static thread-local storage is taken from it, too. Pages never touched cost nothing. */
enum { STACK_BYTES = 2 << 20 };

struct pv_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t done;
    sem_t posted;
    struct pv_job *queue, **end;
    bool stopping;
    int bell;
};

static struct pv_job *take_next(struct pv_worker *w, bool *ret_stopping)
{
    struct pv_job *job;

    (void)pthread_mutex_lock(&w->lock);
    *ret_stopping = w->stopping;
    job = w->queue;
    if (job)
        w->queue = job->next;
    if (!w->queue)
        w->end = &w->queue;
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

/* A semaphore, for who wakes from a condition finds its lock marked as wanted by others, and has to
 * ask the kernel to wake them. It is posted once for all that is queued at a time. */
static struct pv_job *next_job(struct pv_worker *w)
{
    bool stopping;

    for (;;) {
        struct pv_job *job = take_next(w, &stopping);

        if (job || stopping)
            return job;
        (void)sem_wait(&w->posted);
    }
}

static void *run(void *ctx)
{
    static const uint64_t one = 1;
    struct pv_worker *w = ctx;
    struct pv_job *job;

    while ((job = next_job(w))) {
        job->run(job);
        (void)pthread_mutex_lock(&w->lock);
        bool rings = !job->quiet;
        job->done = true;
        (void)pthread_cond_broadcast(&w->done);
        (void)pthread_mutex_unlock(&w->lock);
        if (rings) /* without the lock, which whoever wakes by it needs */
            (void)!write(w->bell, &one, sizeof one);
    }
    return NULL;
}

int pv_worker_start(struct pv_worker **ret, int bell, struct pv_err *err)
{
    pv_autofree struct pv_worker *w = calloc(1, sizeof *w);
    pthread_attr_t attr;
    int rc;

    if (!w)
        return pv_fail(err, ENOMEM, "start a worker");
    w->end = &w->queue;
    w->bell = bell;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)sem_init(&w->posted, 0, 0);
    (void)pthread_cond_init(&w->done, NULL);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    rc = pthread_create(&w->thread, &attr, run, w);
    (void)pthread_attr_destroy(&attr);
    if (rc)
        return pv_fail(err, rc, "start a worker");
    *ret = PV_TAKE_PTR(w);
    return 0;
}

static void enqueue(struct pv_worker *w, struct pv_job *job, bool quiet)
{
    job->next = NULL;
    job->under_way = true;
    job->done = false;
    job->quiet = quiet;
    *w->end = job;
    w->end = &job->next;
}

void pv_worker_post(struct pv_worker *w, struct pv_job *job)
{
    pv_worker_post_both(w, job, NULL);
}

void pv_worker_post_both(struct pv_worker *w, struct pv_job *job, struct pv_job *then)
{
    (void)pthread_mutex_lock(&w->lock);
    enqueue(w, job, false);
    if (then)
        enqueue(w, then, true);
    (void)pthread_mutex_unlock(&w->lock);
    (void)sem_post(&w->posted);
}

bool pv_worker_take(struct pv_worker *w, struct pv_job *job)
{
    if (!job->under_way)
        return true;
    (void)pthread_mutex_lock(&w->lock);
    job->under_way = !job->done;
    job->quiet &= job->done;
    (void)pthread_mutex_unlock(&w->lock);
    return !job->under_way;
}

void pv_worker_wait(struct pv_worker *w, struct pv_job *job)
{
    if (!job->under_way)
        return;
    (void)pthread_mutex_lock(&w->lock);
    while (!job->done)
        (void)pthread_cond_wait(&w->done, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
    job->under_way = false;
}

void pv_worker_stop(struct pv_worker *w)
{
    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_mutex_unlock(&w->lock);
    (void)sem_post(&w->posted);
    (void)pthread_join(w->thread, NULL);
    (void)sem_destroy(&w->posted);
    (void)pthread_cond_destroy(&w->done);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
