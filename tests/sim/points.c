/* SPDX-License-Identifier: Apache-2.0 */

/* sim_points [--seed N] [--every N] [--all] [--twice] [--failures N] [--jobs J]
 *            [SCENE]
 * sim_points [--seed N] [--all] --run NODE.STEP[+][.AGAIN] SCENE
 *
 * Crashes each node of each scene (sim_stage.h), or of one, before and after
 * each of its persisted steps: one run for each point, in a process of its own.
 * With --every N only each Nth point is tried, and which ones depends on the
 * seed. With --all the power fails everywhere at that moment; with --twice the
 * node crashes once more in what it does after that.
 *
 * A point that fails is run again with notes, whose last ones are printed, and
 * named as --run takes it: NODE.STEP before the step, NODE.STEP+ after it;
 * after N failures (5) it ends. The last line is `N passed, N failed`. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim_child.h"
#include "tests/sim/sim_stage.h"

enum { JOBS_MAX = 64, FAILURES_MAX = 5, AGAIN_MAX = 8 };

struct job {
    pid_t pid; /* 0: there is none */
    const struct sim_scene *scene;
    struct sim_point point;
};

struct sweep {
    uint64_t seed;
    uint64_t every;
    uint64_t failures;
    bool all;
    bool twice;
    size_t jobs;
    const char *scene; /* NULL: all */
    const char *run;   /* NULL: all points */
    struct job job[JOBS_MAX];
    uint64_t *counts; /* what a run without a crash has counted, by node */
    uint64_t index;   /* of the next point */
    uint64_t passed;
    uint64_t failed;
};

/* ---- one point ---- */

static void run_child(const struct sweep *s, const struct job *job, bool noting,
                      bool verbose)
{
    struct sim_loop *loop = sim_child_begin(s->seed, noting, verbose);
    struct sim_stage stage;

    sim_stage_init(&stage, job->scene);
    stage.point = job->point;
    (void)sim_run(loop, &stage.play, NULL);
    memcpy(s->counts, stage.point.counts, sizeof stage.point.counts);
    _exit(0);
}

static pid_t start_child(const struct sweep *s, const struct job *job,
                         bool noting, bool verbose)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        run_child(s, job, noting, verbose);
    return pid;
}

static void name_job(const struct job *job, char *text, size_t size)
{
    const struct sim_point *point = &job->point;

    (void)snprintf(text, size, "%zu.%" PRIu64 "%s.%" PRIu64, point->node + 1,
                   point->step, point->after ? "+" : "", point->again);
}

static void explain(const struct sweep *s, const struct job *job)
{
    char name[80];

    name_job(job, name, sizeof name);
    (void)fprintf(stderr, "---- %s: %s failed; once more:\n", job->scene->name,
                  name);
    (void)waitpid(start_child(s, job, true, false), NULL, 0);
    (void)fprintf(
        stderr, "---- replay: sim_points --seed %" PRIu64 "%s --run %s '%s'\n",
        s->seed, s->all ? " --all" : "", name, job->scene->name);
}

static void collect(struct sweep *s, struct job *job, int status)
{
    job->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        s->passed++;
        return;
    }
    s->failed++;
    explain(s, job);
}

/* ---- all of them ---- */

static void collect_one(struct sweep *s)
{
    int status;
    pid_t pid = wait(&status);

    for (size_t i = 0; i < s->jobs; i++)
        if (s->job[i].pid == pid)
            collect(s, &s->job[i], status);
}

static struct job *free_job(struct sweep *s)
{
    for (;;) {
        for (size_t i = 0; i < s->jobs; i++)
            if (s->job[i].pid == 0)
                return &s->job[i];
        collect_one(s);
    }
}

static void collect_all(struct sweep *s)
{
    for (size_t i = 0; i < s->jobs; i++)
        while (s->job[i].pid != 0)
            collect_one(s);
}

static void try_point(struct sweep *s, const struct sim_scene *scene,
                      struct sim_point point)
{
    struct job *job;

    if (s->index++ % s->every != s->seed % s->every || s->failed >= s->failures)
        return;
    point.all = s->all;
    if (s->twice)
        point.again = 1 + s->index % AGAIN_MAX;
    job = free_job(s);
    job->scene = scene;
    job->point = point;
    job->pid = start_child(s, job, false, false);
}

static void try_scene(struct sweep *s, const struct sim_scene *scene)
{
    const uint64_t before = s->passed;
    uint64_t counts[SIM_NODES_MAX];
    uint64_t total = 0;
    struct job *job;

    collect_all(s);
    memset(s->counts, 0, SIM_NODES_MAX * sizeof *s->counts);
    job = free_job(s);
    *job = (struct job){.scene = scene};
    job->pid = start_child(s, job, false, false);
    collect_all(s);
    memcpy(counts, s->counts, sizeof counts);
    for (size_t node = 0; node < scene->nodes; node++) {
        total += counts[node];
        for (uint64_t i = 0; i < 2 * counts[node]; i++)
            try_point(s, scene,
                      (struct sim_point){.node = node,
                                         .step = 1 + i / 2,
                                         .after = i % 2 == 1});
    }
    collect_all(s);
    (void)printf("%-20s %6" PRIu64 " steps %6" PRIu64 " runs passed\n",
                 scene->name, total, s->passed - before);
}

static void try_all(struct sweep *s)
{
    for (size_t i = 0; i < sim_scene_count; i++)
        if (s->scene == NULL || strcmp(s->scene, sim_scenes[i].name) == 0)
            try_scene(s, &sim_scenes[i]);
}

static bool read_point(struct sim_point *point, const char *text)
{
    char *end;

    point->node = strtoull(text, &end, 10) - 1;
    if (*end != '.')
        return false;
    point->step = strtoull(end + 1, &end, 10);
    point->after = *end == '+';
    if (point->after)
        end++;
    if (*end == '.')
        point->again = strtoull(end + 1, &end, 10);
    return *end == '\0' && point->node < SIM_NODES_MAX;
}

static bool run_one(struct sweep *s)
{
    struct job *job = &s->job[0];

    for (size_t i = 0; i < sim_scene_count; i++)
        if (s->scene != NULL && strcmp(s->scene, sim_scenes[i].name) == 0)
            job->scene = &sim_scenes[i];
    if (job->scene == NULL || !read_point(&job->point, s->run))
        return false;
    job->point.all = s->all;
    job->pid = start_child(s, job, true, true);
    collect_all(s);
    return true;
}

static bool read_options(struct sweep *s, int argc, char **argv)
{
    *s = (struct sweep){
        .seed = 1, .every = 1, .failures = FAILURES_MAX, .jobs = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0)
            s->all = true;
        else if (strcmp(argv[i], "--twice") == 0)
            s->twice = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            s->seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc)
            s->every = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--failures") == 0 && i + 1 < argc)
            s->failures = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            s->jobs = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--run") == 0 && i + 1 < argc)
            s->run = argv[++i];
        else if (argv[i][0] != '-' && s->scene == NULL)
            s->scene = argv[i];
        else
            return false;
    }
    return s->every > 0 && s->jobs > 0 && s->jobs <= JOBS_MAX;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim_points [--seed N] [--every N] [--all] "
                          "[--twice] [--failures N] [--jobs J] [SCENE]\n"
                          "       sim_points [--seed N] [--all] --run "
                          "NODE.STEP[+][.AGAIN] SCENE\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct sweep s;

    if (!read_options(&s, argc, argv))
        return usage();
    s.counts = mmap(NULL, SIM_NODES_MAX * sizeof *s.counts,
                    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(s.counts != MAP_FAILED);
    if (s.run == NULL)
        try_all(&s);
    else if (!run_one(&s))
        return usage();
    (void)printf("%" PRIu64 " passed, %" PRIu64 " failed\n", s.passed,
                 s.failed);
    return s.failed == 0 && s.passed > 0 ? 0 : 1;
}
