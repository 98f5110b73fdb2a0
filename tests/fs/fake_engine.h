/* SPDX-License-Identifier: Apache-2.0 */

/* An engine that is one process's memory, for tests of fs/.
 *
 * fake_engine.c  engine.h itself: which requests are answered at once, which
 *                later by a thread, which fail
 * fake_tree.c    the files
 * fake_apply.c   what each kind of request does to them
 * fake_control.c a socket, CTL in the data directory, by which a test gives
 *                orders: faults, and changes that "another node" has made */

#ifndef GROVEFS_TESTS_FS_FAKE_ENGINE_H
#define GROVEFS_TESTS_FS_FAKE_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>

#include "engine/engine.h"

enum { FAULTS_MAX = 16 };

/* What happens to requests of a kind for a name ("*": any). */
struct fault {
    char kind[32];
    char name[NAME_SIZE_MAX + 1];
    int status;          /* this answer instead of the real one */
    unsigned delay_ms;   /* the thread answers so much later */
    bool hang;           /* until canceled or the timeout */
    bool late;           /* the effect is now, the answer after delay_ms */
    unsigned count_left; /* times; 0: always */
};

struct tree;

struct pending {
    struct request *request;
    uint64_t due_ms;
    bool canceled;
    bool applied;
    int status;
    TAILQ_ENTRY(pending) link;
};

struct engine {
    struct engine_config config;
    char *data_dir;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct tree *tree;
    TAILQ_HEAD(, pending) pending;
    struct fault faults[FAULTS_MAX];
    unsigned fault_count;
    bool answer_later; /* nothing is answered inline */
    bool ready;
    unsigned object_count; /* regions, and nodes */
    unsigned event_count;  /* they are numbers, one a line */
    bool stopping;
    bool started;
    char *trace; /* one line for each request */
    size_t trace_size;
    FILE *trace_out;
    pthread_t worker;
    pthread_t control;
    int control_fd;
};

/* ---- fake_apply.c ---- */

/* Does what the request says and fills in its result, but for `status`, which
 * is returned. */
int tree_apply(struct engine *engine, struct request *request);

/* ---- fake_tree.c ---- */

struct tree *tree_new(void);
void tree_free(struct tree *tree);

/* What another node does, by path: "unlink /f", "write /f text", "rename /f
 * /g", "fill /d 1000", "chmod /d 0". Returns an ERR_ code. */
int tree_order(struct engine *engine, const char *verb, const char *path,
               const char *rest);

/* ---- fake_control.c ---- */

int control_start(struct engine *engine);
void control_stop(struct engine *engine);

const char *fake_kind_name(enum request_kind kind);

#endif
