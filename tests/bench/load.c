/* SPDX-License-Identifier: Apache-2.0 */

/* load [-c CLIENTS] [-k KEYS] [-s SECONDS] [-w WARMUP] DIR WORKLOAD...
 *
 * The clients of the benchmark: processes that do one thing over and over on a
 * directory, by the system calls that a program would use, and by full path, as
 * programs do. The workloads are the table below. `fill` comes first: it makes
 *
 *     DIR/keys/k000000..   KEYS values of 128 bytes, for put, get, stat, list
 *     DIR/names/r0.a..     one file per client, which rename turns over
 *     DIR/new/             where create puts its files (they stay there)
 *
 * Each measurement prints one line (measure.h). An operation counts when it
 * ends between the end of the warm-up and the end of the window. Any error ends
 * the run with status 1: a benchmark of failing calls is none. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"

enum { VALUE_SIZE = 128, CLIENTS_MAX = 64, NAME_SIZE = 64 };

struct config {
    const char *dir;
    unsigned clients;
    unsigned keys;
    double seconds;
    double warmup;
};

/* What a client hands back, in memory shared with the parent. */
struct result {
    uint64_t ops_total;
    struct hist hist;
};

struct client {
    const struct config *config;
    unsigned index;
    uint64_t random;
    uint64_t run; /* When the run began: makes the names of create unique. */
    uint64_t turn;
    bool renamed; /* The file of rename is now called .b. */
};

/* One operation; 0 or an errno. */
typedef int operation(struct client *c);

static operation do_put, do_get, do_stat, do_create, do_rename, do_list;

/* clang-format off */
static const struct workload {
    const char *name;
    operation *run;
} workloads[] = {
    {"put",    do_put},    /* open (truncate), write, close of a key */
    {"get",    do_get},    /* open, read, close of a key */
    {"stat",   do_stat},   /* stat of a key */
    {"create", do_create}, /* open (exclusive), write, close of a new name */
    {"rename", do_rename}, /* there and back between two names */
    {"list",   do_list},   /* all names of the directory of keys */
};
/* clang-format on */

enum { WORKLOADS = sizeof workloads / sizeof workloads[0] };

/* ---- paths and random keys ---- */

struct path {
    char text[PATH_MAX];
};

__attribute__((format(printf, 2, 3))) static struct path
path_of(const struct config *config, const char *format, ...)
{
    struct path path;
    char name[NAME_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (snprintf(path.text, sizeof path.text, "%s/%s", config->dir, name) >=
        (int)sizeof path.text)
        die("the path is too long");
    return path;
}

/* xorshift64: a key per operation without a lock or a system call. */
static struct path path_random_key(struct client *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return path_of(c->config, "keys/k%06u",
                   (unsigned)(c->random % c->config->keys));
}

/* ---- operations ---- */

static int write_value(const char *path, int flags, char letter)
{
    char value[VALUE_SIZE];
    int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0644);

    if (fd < 0)
        return errno;
    memset(value, letter, sizeof value);

    ssize_t size = write(fd, value, sizeof value);
    int error = size == VALUE_SIZE ? 0 : size < 0 ? errno : EIO;

    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

static int do_put(struct client *c)
{
    struct path path = path_random_key(c);

    return write_value(path.text, O_TRUNC, (char)('a' + c->turn % 26));
}

static int do_get(struct client *c)
{
    struct path path = path_random_key(c);
    char value[4096];
    int fd = open(path.text, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;

    ssize_t size = read(fd, value, sizeof value);
    int error = size == VALUE_SIZE ? 0 : size < 0 ? errno : EIO;

    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

static int do_stat(struct client *c)
{
    struct path path = path_random_key(c);
    struct stat st;

    if (stat(path.text, &st) != 0)
        return errno;
    return st.st_size == VALUE_SIZE ? 0 : EIO;
}

static int do_create(struct client *c)
{
    struct path path = path_of(c->config, "new/%" PRIx64 ".%u.%" PRIu64, c->run,
                               c->index, c->turn);

    return write_value(path.text, O_CREAT | O_EXCL, 'n');
}

static int do_rename(struct client *c)
{
    struct path a = path_of(c->config, "names/r%u.a", c->index);
    struct path b = path_of(c->config, "names/r%u.b", c->index);
    const char *from = c->renamed ? b.text : a.text;
    const char *to = c->renamed ? a.text : b.text;

    if (rename(from, to) != 0)
        return errno;
    c->renamed = !c->renamed;
    return 0;
}

static int do_list(struct client *c)
{
    struct path path = path_of(c->config, "keys");
    DIR *dir = opendir(path.text);
    unsigned count = 0;

    if (dir == NULL)
        return errno;
    errno = 0;
    while (readdir(dir) != NULL)
        count++;

    int error = errno;

    if (closedir(dir) != 0 && error == 0)
        error = errno;
    if (error != 0)
        return error;
    return count == c->config->keys + 2 ? 0 : EIO; /* and "." and ".." */
}

/* ---- clients ---- */

static struct client client_init(const struct config *config, unsigned index,
                                 uint64_t run)
{
    struct client c = {.config = config, .index = index, .run = run};
    struct path b = path_of(config, "names/r%u.b", index);

    c.random = (run ^ ((uint64_t)index + 1) * 0x9e3779b97f4a7c15u) | 1;
    c.renamed = access(b.text, F_OK) == 0;
    return c;
}

static void client_run(struct client *c, const struct workload *workload,
                       uint64_t begin_ns, struct result *result)
{
    uint64_t count_ns = begin_ns + (uint64_t)(c->config->warmup * 1e9);
    uint64_t end_ns = count_ns + (uint64_t)(c->config->seconds * 1e9);
    uint64_t before_ns = clock_ns();

    while (before_ns < end_ns) {
        int error = workload->run(c);
        uint64_t now_ns = clock_ns();

        if (error != 0)
            die("%s in %s: %s", workload->name, c->config->dir,
                strerror(error));
        if (now_ns >= count_ns && now_ns < end_ns)
            hist_add(&result->hist, now_ns - before_ns);
        c->turn++;
        before_ns = now_ns;
    }
    result->ops_total = c->turn;
}

/* The first client's share of filling is the whole of names/; the keys are
 * split among all. */
static void client_fill(struct client *c)
{
    const struct config *config = c->config;
    int error = 0;

    for (unsigned i = c->index; i < config->keys && error == 0;
         i += config->clients) {
        struct path path = path_of(config, "keys/k%06u", i);

        error = write_value(path.text, O_CREAT | O_TRUNC, 'k');
    }
    for (unsigned i = 0; i < CLIENTS_MAX && c->index == 0 && error == 0; i++) {
        struct path path = path_of(config, "names/r%u.a", i);

        error = write_value(path.text, O_CREAT | O_TRUNC, 'r');
    }
    if (error != 0)
        die("fill %s: %s", config->dir, strerror(error));
}

/* Runs the clients as processes and waits for them; `workload` NULL fills. */
static void clients_run(const struct config *config,
                        const struct workload *workload, struct result *results)
{
    uint64_t run = clock_ns();
    uint64_t begin_ns = run + 20000000; /* Until all are there. */
    bool failed = false;

    for (unsigned i = 0; i < config->clients; i++) {
        pid_t parent = getpid();
        pid_t child = fork();

        if (child < 0)
            die("fork: %s", strerror(errno));
        if (child > 0)
            continue;
        /* A killed parent takes its clients with it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
            _exit(1);

        struct client c = client_init(config, i, run);

        if (workload == NULL)
            client_fill(&c);
        else
            client_run(&c, workload, begin_ns, &results[i]);
        _exit(0);
    }
    for (unsigned i = 0; i < config->clients; i++) {
        int status = 0;

        if (wait(&status) < 0 || status != 0)
            failed = true;
    }
    if (failed)
        die("a client failed");
}

/* ---- commands ---- */

static void fill(const struct config *config)
{
    static const char *const dirs[] = {"keys", "names", "new"};

    for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        struct path path = path_of(config, "%s", dirs[i]);

        if (mkdir(path.text, 0755) != 0 && errno != EEXIST)
            die("mkdir '%s': %s", path.text, strerror(errno));
    }
    clients_run(config, NULL, NULL);
}

static void measure(const struct config *config,
                    const struct workload *workload)
{
    static struct hist all;
    uint64_t ops_total = 0;
    size_t size = sizeof(struct result) * config->clients;
    struct result *results = mmap(NULL, size, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (results == MAP_FAILED)
        die("mmap: %s", strerror(errno));
    clients_run(config, workload, results);
    memset(&all, 0, sizeof all);
    for (unsigned i = 0; i < config->clients; i++) {
        hist_merge(&all, &results[i].hist);
        ops_total += results[i].ops_total;
    }
    measure_print(workload->name, config->clients, &all, config->seconds,
                  ops_total);
    fflush(stdout); /* The next fork must not inherit the line. */
    munmap(results, size);
}

static void command_run(const struct config *config, const char *name)
{
    if (strcmp(name, "fill") == 0) {
        fill(config);
        return;
    }
    for (unsigned i = 0; i < WORKLOADS; i++) {
        if (strcmp(name, workloads[i].name) == 0) {
            measure(config, &workloads[i]);
            return;
        }
    }
    die("no workload '%s'", name);
}

static unsigned parse_count(const char *text, unsigned max)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || count == 0 || count > max)
        die("'%s' is not a number from 1 to %u", text, max);
    return (unsigned)count;
}

static double parse_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 3600))
        die("'%s' is not a time in seconds", text);
    return seconds;
}

static struct config parse_options(int argc, char **argv)
{
    struct config config = {
        .clients = 1, .keys = 1000, .seconds = 1.5, .warmup = 0.3};
    int option;

    while ((option = getopt(argc, argv, "c:k:s:w:")) != -1) {
        if (option == 'c')
            config.clients = parse_count(optarg, CLIENTS_MAX);
        else if (option == 'k')
            config.keys = parse_count(optarg, 1000000);
        else if (option == 's')
            config.seconds = parse_seconds(optarg);
        else if (option == 'w')
            config.warmup = parse_seconds(optarg);
        else
            exit(1);
    }
    if (argc - optind < 2)
        die("usage: load [-c CLIENTS] [-k KEYS] [-s SECONDS] [-w WARMUP] "
            "DIR fill|put|get|stat|create|rename|list...");
    config.dir = argv[optind++];
    return config;
}

int main(int argc, char **argv)
{
    struct config config = parse_options(argc, argv);

    for (int i = optind; i < argc; i++)
        command_run(&config, argv[i]);
    return 0;
}
