/* SPDX-License-Identifier: Apache-2.0 */

/* Text for people: log lines, and how configurations and progress look in
 * them. The words are fixed by the scenario format, so that the runs of two
 * implementations can be compared line by line. Without a receiver nothing is
 * formatted; arguments that cost something are guarded by trace_on(). */

#ifndef GROVEFS_RAFT_TRACE_H
#define GROVEFS_RAFT_TRACE_H

#include "raft/progress.h"

struct trace {
    raft_log_line *line; /* NULL: off */
    void *context;
};

bool trace_on(const struct trace *t);
void trace_line(const struct trace *t, enum log_level level, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

enum { TEXT_SIZE = 2048, TRACE_LINE_SIZE = 2 * TEXT_SIZE };

/* A piece of text that is cut when it gets too long. */
struct text {
    size_t used;
    char data[TEXT_SIZE];
};

void text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "voters=(1 2)&&(1 3) learners=(4) autoleave" */
struct text text_conf(const struct raft_conf_state *conf);

/* "StateProbe match=3 next=4 paused" */
struct text text_progress(const struct progress *p);

/* "transition:ConfChangeTransitionAuto changes:{...}" */
struct text text_conf_change(const struct raft_conf_change *change);

const char *text_role(enum raft_role role);
const char *text_transition(enum raft_conf_transition transition);

#endif
