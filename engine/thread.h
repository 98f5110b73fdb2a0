/* SPDX-License-Identifier: Apache-2.0 */

/* Starting threads that no signal reaches: signals are for main(). */

#ifndef GROVEFS_ENGINE_THREAD_H
#define GROVEFS_ENGINE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Blocks, on the calling thread, all signals but those of a crash, so that
 * threads that are started meanwhile never get any. */
void thread_signals_block(sigset_t *ret_saved);
void thread_signals_restore(const sigset_t *saved);

/* Starts `run` on a thread of that name (at most 15 letters, not copied).
 * Aborts when there is none to be had. */
void thread_start(pthread_t *ret_thread, const char *name,
                  void *(*run)(void *context), void *context);

#endif
