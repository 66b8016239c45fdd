#include "workers.h"

#include <pthread.h>
#include <stdlib.h>

struct pv_workers {
    pthread_mutex_t lock;
    pthread_cond_t come, done; /* a job came, or the end; a job is done */
    struct pv_job *first, **last;
    bool ending;
    unsigned n;
    pthread_t thread[PV_WORKERS_MAX];
};

/* With the lock held: takes a job out of the queue, NULL when there is none. */
static struct pv_job *take(struct pv_workers *w)
{
    struct pv_job *job = w->first;
    if (!job)
        return NULL;
    w->first = job->next;
    if (!w->first)
        w->last = &w->first;
    return job;
}

/* With the lock held, which is let go while the job runs. */
static void run(struct pv_workers *w, struct pv_job *job)
{
    (void)pthread_mutex_unlock(&w->lock);
    job->run(job);
    (void)pthread_mutex_lock(&w->lock);
    job->done = true;
    (void)pthread_cond_broadcast(&w->done);
}

static void *work(void *arg)
{
    struct pv_workers *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->ending) {
        struct pv_job *job = take(w);
        if (job)
            run(w, job);
        else
            (void)pthread_cond_wait(&w->come, &w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

int pv_workers_new(struct pv_workers **ret, unsigned threads, struct pv_err *err)
{
    struct pv_workers *w = calloc(1, sizeof *w);
    if (!w)
        return pv_fail(err, ENOMEM, "allocate threads");
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->come, NULL);
    (void)pthread_cond_init(&w->done, NULL);
    w->last = &w->first;
    for (; w->n < threads && w->n < PV_WORKERS_MAX; w->n++) {
        int rc = pthread_create(&w->thread[w->n], NULL, work, w);
        if (rc) {
            pv_workers_free(w);
            return pv_fail(err, rc, "start a thread");
        }
    }
    *ret = w;
    return 0;
}

void pv_workers_submit(struct pv_workers *w, struct pv_job *job)
{
    (void)pthread_mutex_lock(&w->lock);
    job->done = false;
    job->next = NULL;
    *w->last = job;
    w->last = &job->next;
    (void)pthread_cond_signal(&w->come);
    (void)pthread_mutex_unlock(&w->lock);
}

void pv_workers_wait(struct pv_workers *w, struct pv_job *job)
{
    (void)pthread_mutex_lock(&w->lock);
    while (!job->done) {
        struct pv_job *other = take(w);
        if (other)
            run(w, other);
        else
            (void)pthread_cond_wait(&w->done, &w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

bool pv_workers_done(struct pv_workers *w, struct pv_job *job)
{
    if (w->n == 0)
        pv_workers_wait(w, job);
    (void)pthread_mutex_lock(&w->lock);
    bool done = job->done;
    (void)pthread_mutex_unlock(&w->lock);
    return done;
}

void pv_workers_free(struct pv_workers *w)
{
    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->ending = true;
    (void)pthread_cond_broadcast(&w->come);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n; i++)
        (void)pthread_join(w->thread[i], NULL);
    (void)pthread_cond_destroy(&w->done);
    (void)pthread_cond_destroy(&w->come);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
