/* The list of threads, signals to them, and the loop that runs them. */
#pragma once
#include "guest.h"

/* A further thread with everything zero but its tid; NULL with errno: EAGAIN at the limit, ENOMEM.
 */
struct pv_thread *pv_threads_add(struct pv_vm *vm);
void pv_threads_remove(struct pv_vm *vm, struct pv_thread *t);
struct pv_thread *pv_threads_find(struct pv_vm *vm, int tid);
void pv_threads_done(struct pv_process *p);
/* Makes p's threads copies of from's. */
PV_MUST_CHECK int pv_threads_copy(struct pv_process *p, const struct pv_process *from,
                                  struct pv_err *err);
/* The running thread; NULL when none is left. */
struct pv_thread *pv_threads_current(struct pv_vm *vm);

/* Runs threads until the run has ended or, while starting, the first read is reached. */
PV_MUST_CHECK int pv_threads_run(struct pv_vm *vm, struct pv_err *err);

/* ---- futexes ---- */

/* Wakes up to n threads that wait at the address with a common bit: how many. */
int pv_futex_wake(struct pv_vm *vm, uint64_t at, unsigned n, uint32_t bits);
/* Moves up to n waiters to another address: how many. */
int pv_futex_requeue(struct pv_vm *vm, uint64_t at, unsigned n, uint64_t to);
/* What Linux does when a thread ends: its robust list, its clear_tid address. */
void pv_futex_thread_ends(struct pv_vm *vm, struct pv_thread *t);

/* ---- signals ---- */

#define PV_SIGNAL_BIT(n) (1ull << ((n)-1))
/* Sends to one thread, or with t NULL to the process. Ignored signals vanish. */
void pv_signal_send(struct pv_vm *vm, struct pv_thread *t, int signal,
                    const struct pv_signal_info *info);
/* A fault of the running thread: cannot be blocked or ignored. text names it for the log. */
void pv_signal_force(struct pv_vm *vm, struct pv_thread *t, int signal,
                     const struct pv_signal_info *info, const char *text);
/* Delivers what is pending and not blocked before the thread runs on. Returns whether the thread
 * was changed. */
bool pv_signal_deliver(struct pv_vm *vm, struct pv_thread *t);
/* Whether something deliverable is pending that would interrupt a wait. */
bool pv_signal_interrupts(const struct pv_vm *vm, const struct pv_thread *t);
/* Takes the lowest pending signal out of set: its number and info, 0 when there is none. */
int pv_signal_take(struct pv_vm *vm, struct pv_thread *t, uint64_t set, struct pv_signal_info *ret);
/* The two words behind si_code. */
void pv_signal_words(const struct pv_vm *vm, const struct pv_signal_info *info, uint64_t ret[2]);
/* "SIGSEGV" and the like. */
const char *pv_signal_name(int signal);
/* Ends a call that waits with -EINTR, or lets it begin again behind the handler. */
void pv_signal_break_wait(struct pv_vm *vm, struct pv_thread *t);

/* ---- CPU time ---- */

/* CPU time of the calling thread. */
uint64_t pv_cpu_now_ns(void);
/* Whether the run is held to a share of a CPU. */
bool pv_share_holds(const struct pv_vm *vm);
/* How long it may compute before it has to wait. */
uint64_t pv_share_left_ns(const struct pv_vm *vm);
/* Waits if its share is used up: until the next period, the deadline or a stop. Returns the time.
 */
uint64_t pv_share_wait(struct pv_vm *vm, uint64_t now);

/* ---- timers ---- */

/* Sends the signals of timers that have expired by now (CLOCK_MONOTONIC). */
void pv_timers_check(struct pv_vm *vm, uint64_t now);
/* When the next one does; 0: none will. */
uint64_t pv_timers_next(const struct pv_process *p);
/* Timers stand still for so long. */
void pv_timers_shift(struct pv_process *p, uint64_t by_ns);

/* Pushes the frame of a handler and points the thread at it; -EFAULT: there is no stack for it. */
int pv_frame_push(struct pv_vm *vm, struct pv_thread *t, int signal,
                  const struct pv_signal_action *action, const struct pv_signal_info *info);
/* rt_sigreturn; -EFAULT: the frame makes no sense. */
int pv_frame_pop(struct pv_vm *vm, struct pv_thread *t);

/* An exception of the running thread: a page that was due, or a signal. */
void pv_fault(struct pv_vm *vm, struct pv_thread *t, const struct pv_exit *e);
