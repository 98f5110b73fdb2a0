/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/thread.h"

#include <assert.h>
#include <stdlib.h>

#include "raft/base/mem.h"

void thread_signals_block(sigset_t *ret_saved)
{
    static const int of_crash[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t all;
    int rc;

    (void)sigfillset(&all); /* Cannot fail. */
    for (size_t i = 0; i < ARRAY_SIZE(of_crash); i++)
        (void)sigdelset(&all, of_crash[i]);
    rc = pthread_sigmask(SIG_SETMASK, &all, ret_saved);
    assert(rc == 0);
}

void thread_signals_restore(const sigset_t *saved)
{
    int rc = pthread_sigmask(SIG_SETMASK, saved, NULL);

    assert(rc == 0);
}

/* What a new thread needs to know; it frees it. */
struct start {
    const char *name;
    void *(*run)(void *context);
    void *context;
};

static void *run_named(void *argument)
{
    struct start start = *(struct start *)argument;
    int rc = pthread_setname_np(pthread_self(), start.name);

    assert(rc == 0);
    free(argument);
    return start.run(start.context);
}

void thread_start(pthread_t *ret_thread, const char *name,
                  void *(*run)(void *context), void *context)
{
    struct start *start = mem_zalloc(sizeof *start);
    sigset_t saved;
    int rc;

    *start = (struct start){name, run, context};
    thread_signals_block(&saved);
    rc = pthread_create(ret_thread, NULL, run_named, start);
    thread_signals_restore(&saved);
    assert(rc == 0 && "no more threads");
}
