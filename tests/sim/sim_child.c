/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_child.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "raft/base/log.h"
#include "tests/sim/sim_seen.h"

static struct sim_loop *running;

static void on_fail(const char *text)
{
    sim_print_notes(running);
    (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", running->seed, text);
    _exit(1);
}

static void on_signal(int number)
{
    (void)number;
    on_fail("an assertion failed, or worse");
}

/* What the engine logs says what happened. */
static void on_log_line(enum log_level level, const char *component,
                        const char *line)
{
    /* clang-format off */
    static const struct {
        const char *text;
        enum sim_seen seen;
    } lines[] = {
        {"the log is reset to",                    SEEN_LOG_REPAIRED},
        {"was given up",                           SEEN_SNAPSHOT_FAILED},
        {"this node gets a replica",               SEEN_REPLICA_MADE},
        {"an operator by hand comes first",        SEEN_OPERATOR_GONE},
        {"was removed and erased",                 SEEN_REPLICA_ERASED},
        {"was merged into another one; what",      SEEN_MERGE_RETURNED},
        {"log of a removed replica is erased",     SEEN_LEFTOVER_ERASED},
        {"an unfinished operation was",            SEEN_TXN_ORPHAN},
        {"there is room on the disk again",        SEEN_OP_ROOM_AGAIN},
        {"accepted in eventual directories",       SEEN_REMOVE_KEPT},
        {"was removed by force",                   SEEN_REMOVE_FORCED},
    };
    /* clang-format on */

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        if (level >= LOG_INFO && strstr(line, lines[i].text) != NULL)
            sim_seen(lines[i].seen);
    sim_note(running, "%s %s %s", log_level_name(level), component, line);
}

struct sim_loop *sim_child_begin(uint64_t seed, bool noting, bool verbose)
{
    running = sim_loop_new(seed);
    running->on_fail = on_fail;
    running->noting = noting;
    running->verbose = verbose;
    (void)signal(SIGABRT, on_signal);
    log_set_sink(on_log_line, noting ? LOG_DEBUG : LOG_INFO);
    return running;
}
