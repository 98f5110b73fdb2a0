/* SPDX-License-Identifier: Apache-2.0 */

/* sim [--seed N] [--seeds COUNT] [--failures N] [--jobs J] [--verbose]
 *     [--history DIR]
 *
 * Runs COUNT seeds from N on (one, a fresh one, by default), each in a process
 * of its own, and every eighth of them (the only one always) twice, to see
 * that both do the same. A seed that fails is run again with notes, whose last
 * ones are printed; after N failures (5) it ends. The last line is
 * `N passed, N failed`.
 *
 * --history writes each seed's history to DIR/SEED.jsonl: sim_lincheck.h. */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim_child.h"
#include "tests/sim/sim_run.h"
#include "tests/sim/sim_seen.h"

enum {
    JOBS_MAX = 64,
    TWICE_EVERY = 8,
    CAMPAIGN_SEEDS = 1000, /* that many must have reached what is rare */
    FAILURES_MAX = 5
};

/* Written by a child, read by the parent. */
struct slot {
    pid_t pid;
    uint64_t seed;
    bool done;
    struct sim_result result;
    uint64_t seen[SIM_SEEN_COUNT];
};

struct options {
    uint64_t seed;
    uint64_t seeds;
    uint64_t failures;
    size_t jobs;
    bool verbose;
    const char *history; /* folder, or NULL */
};

struct campaign {
    struct options options;
    struct slot *slots;
    uint64_t passed;
    uint64_t failed;
    uint64_t ops;
    uint64_t virtual_ns;
    uint64_t seen[SIM_SEEN_COUNT];
};

/* ---- one seed, in a child ---- */

static FILE *open_history(const char *folder, uint64_t seed)
{
    char path[4096];
    FILE *file;

    if (folder == NULL)
        return NULL;
    (void)snprintf(path, sizeof path, "%s/%" PRIu64 ".jsonl", folder, seed);
    file = fopen(path, "w");
    if (file == NULL) {
        (void)fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        _exit(2);
    }
    return file;
}

static void run_child(struct slot *slot, const struct options *o, bool twice,
                      bool noting)
{
    FILE *history = open_history(o->history, slot->seed);
    struct sim_loop *loop = sim_child_begin(slot->seed, noting, o->verbose);
    struct sim_result again;

    slot->result = sim_run(loop, NULL, history);
    if (history != NULL && fclose(history) != 0)
        sim_fail(loop, "the history cannot be written");
    memcpy(slot->seen, sim_seen_counts, sizeof slot->seen);
    if (twice) {
        loop = sim_child_begin(slot->seed, noting, false);
        again = sim_run(loop, NULL, NULL);
        if (again.hash != slot->result.hash)
            sim_fail(loop,
                     "two runs differ: after %" PRIu64 " and %" PRIu64 " steps",
                     slot->result.steps, again.steps);
    }
    slot->done = true;
    _exit(0);
}

static void start_child(struct slot *slot, const struct options *o,
                        uint64_t seed, bool twice, bool noting)
{
    pid_t pid;

    *slot = (struct slot){.seed = seed};
    (void)fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        run_child(slot, o, twice, noting);
    slot->pid = pid;
}

/* ---- many ---- */

static void explain(struct campaign *c, uint64_t seed)
{
    struct slot *slot = &c->slots[JOBS_MAX];

    (void)fprintf(stderr, "---- seed %" PRIu64 " failed; once more:\n", seed);
    start_child(slot, &c->options, seed, false, true);
    (void)waitpid(slot->pid, NULL, 0);
    (void)fprintf(stderr, "---- replay: sim --seed %" PRIu64 " --verbose\n",
                  seed);
}

static void collect(struct campaign *c, struct slot *slot, int status)
{
    slot->pid = 0;
    if (!slot->done || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        c->failed++;
        (void)printf("seed %" PRIu64 " FAILED (%s %d)\n", slot->seed,
                     WIFSIGNALED(status) ? "signal" : "status",
                     WIFSIGNALED(status) ? WTERMSIG(status)
                                         : WEXITSTATUS(status));
        if (c->options.verbose)
            return;
        explain(c, slot->seed);
        return;
    }
    c->passed++;
    c->ops += slot->result.ops;
    c->virtual_ns += slot->result.virtual_ns;
    for (size_t i = 0; i < SIM_SEEN_COUNT; i++)
        c->seen[i] += slot->seen[i];
    if (c->options.seeds == 1)
        (void)printf("seed %" PRIu64 ": trace %016" PRIx64 ", %" PRIu64
                     " steps, %" PRIu64 " operations\n",
                     slot->seed, slot->result.hash, slot->result.steps,
                     slot->result.ops);
}

static void collect_one(struct campaign *c)
{
    int status;
    pid_t pid = wait(&status);

    for (size_t i = 0; i < c->options.jobs; i++)
        if (c->slots[i].pid == pid) {
            collect(c, &c->slots[i], status);
            return;
        }
}

static void run_all(struct campaign *c)
{
    const struct options *o = &c->options;
    uint64_t started = 0;
    size_t running_count = 0;

    while (started < o->seeds || running_count > 0) {
        bool more = started < o->seeds && c->failed < o->failures;

        if (!more && running_count == 0)
            return;
        if (more && running_count < o->jobs) {
            struct slot *slot = c->slots;

            while (slot->pid != 0)
                slot++;
            start_child(slot, o, o->seed + started,
                        o->seeds == 1 || started % TWICE_EVERY == 0,
                        o->verbose);
            started++;
            running_count++;
            continue;
        }
        collect_one(c);
        running_count--;
    }
}

/* Returns how many required states were never reached. */
static unsigned print_seen(const struct campaign *c)
{
    static const struct {
        const char *text;
        bool required;
    } rows[] = {
#define SIM_SEEN_ROW(name, required, text) {text, required},
        SIM_SEEN(SIM_SEEN_ROW)
#undef SIM_SEEN_ROW
    };
    unsigned missing = 0;

    for (size_t i = 0; i < SIM_SEEN_COUNT; i++) {
        bool bad = c->seen[i] == 0 && rows[i].required &&
                   c->options.seeds >= CAMPAIGN_SEEDS;

        missing += bad;
        (void)printf("%10" PRIu64 "  %s%s\n", c->seen[i], rows[i].text,
                     bad ? "  NEVER REACHED" : "");
    }
    return missing;
}

static uint64_t fresh_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)time(NULL);
    return seed % 1000000000;
}

static bool read_options(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .seed = fresh_seed(), .seeds = 1, .failures = FAILURES_MAX, .jobs = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            o->verbose = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            o->seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            o->seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--failures") == 0 && i + 1 < argc)
            o->failures = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--history") == 0 && i + 1 < argc)
            o->history = argv[++i];
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            o->jobs = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return o->failures > 0 && o->jobs > 0 && o->jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
    struct campaign c = {0};
    unsigned missing;

    if (!read_options(&c.options, argc, argv)) {
        (void)fprintf(stderr, "usage: sim [--seed N] [--seeds COUNT] "
                              "[--failures N] [--jobs J] [--verbose] "
                              "[--history DIR]\n");
        return 2;
    }
    (void)printf("seeds %" PRIu64 " to %" PRIu64 "\n", c.options.seed,
                 c.options.seed + c.options.seeds - 1);
    c.slots = mmap(NULL, (JOBS_MAX + 1) * sizeof *c.slots,
                   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(c.slots != MAP_FAILED);
    run_all(&c);
    missing = c.passed > 0 ? print_seen(&c) : 0;
    (void)printf("%" PRIu64 " operations in %" PRIu64 " virtual seconds\n",
                 c.ops, c.virtual_ns / 1000000000);
    (void)printf("%" PRIu64 " passed, %" PRIu64 " failed\n", c.passed,
                 c.failed + missing);
    return c.failed + missing == 0 ? 0 : 1;
}
