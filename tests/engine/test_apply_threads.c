/* SPDX-License-Identifier: Apache-2.0 */

/* A node of production with several threads that apply, whose regions split
 * and merge while clients write and read. Nothing is said of when things
 * happen: whatever the threads do at the same time, all files must be there
 * afterwards, and the thread sanitizer must have nothing to tell. */

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "tests/engine/temp_dir.h"

enum {
    WORKERS = 3,
    WRITERS = 3,
    FILES = 60, /* of each writer */
    ROUNDS = 3, /* of splits and merges */
    TEXT_SIZE = 4096,
    NAME_SIZE = 16,
    TIMEOUT_MS = 60000
};

struct fixture {
    struct temp_dir dir;
    struct engine *engine;
    uint64_t nsid; /* of the directory with the files */
};

/* ---- requests, one after the other on each thread ---- */

struct ask {
    struct request request;
    sem_t done;
};

static void on_done(struct request *request)
{
    (void)sem_post(&container_of(request, struct ask, request)->done);
}

/* Returns the status; what came back is in the request. */
static int ask(struct fixture *f, struct request *request)
{
    struct ask ask = {.request = *request};

    ask.request.done = on_done;
    ask.request.timeout_ms = TIMEOUT_MS;
    (void)sem_init(&ask.done, 0, 0);
    if (!engine_submit(f->engine, &ask.request))
        (void)sem_wait(&ask.done);
    (void)sem_destroy(&ask.done);
    *request = ask.request;
    return request->status;
}

static int control(struct fixture *f, enum engine_table table, uint64_t object,
                   const char *text)
{
    struct request request = {.kind = REQUEST_CONTROL,
                              .table = table,
                              .object = object,
                              .data = buf_copy(text, strlen(text))};
    int status = ask(f, &request);

    buf_unref(request.data);
    return status;
}

/* ---- the node ---- */

static void on_fatal(void *context, const char *reason)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", reason);
    abort();
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct engine_config config = {.workers = WORKERS, .on_fatal = on_fatal};
    struct request mkdir = {.kind = REQUEST_MKDIR,
                            .dir = NSID_ROOT,
                            .name = "d",
                            .set = {.mode = S_IFDIR | 0755}};

    temp_dir_init(&f->dir);
    config.data_dir = temp_dir_path(&f->dir, "data");
    assert_int_equal(engine_open(&f->engine, &config, NULL), 0);
    assert_int_equal(engine_start(f->engine, NULL), 0);
    assert_int_equal(engine_wait_ready(f->engine, TIMEOUT_MS, NULL), 0);
    assert_int_equal(ask(f, &mkdir), 0);
    f->nsid = nsid_of_ino(mkdir.attr.ino);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    engine_stop(f->engine);
    engine_close(f->engine);
    temp_dir_close(&f->dir);
    free(f);
    return 0;
}

/* ---- clients ---- */

struct client {
    struct fixture *f;
    unsigned number;
    pthread_t thread;
    unsigned failures; /* cmocka's asserts are for the main thread */
};

/* All over the alphabet, so that each region gets some. */
static void name_of(const struct client *client, unsigned file,
                    char name[static NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "%c%u-%u", 'a' + (int)(file * 7 % 26),
                   client->number, file);
}

static int create(struct client *client, const char *name)
{
    struct request request = {.kind = REQUEST_CREATE,
                              .flags = REQUEST_EXCLUSIVE,
                              .dir = client->f->nsid,
                              .name = name,
                              .set = {.mode = S_IFREG | 0644},
                              .data = buf_copy(name, strlen(name))};
    int status = ask(client->f, &request);

    buf_unref(request.data);
    return status;
}

/* A name in another region, often. */
static int rename_to(struct client *client, const char *from, const char *to)
{
    struct request request = {.kind = REQUEST_RENAME,
                              .dir = client->f->nsid,
                              .name = from,
                              .to_dir = client->f->nsid,
                              .to_name = to};

    return ask(client->f, &request);
}

/* What was written under `written_as`. */
static bool has_content(struct fixture *f, const char *name,
                        const char *written_as)
{
    struct request lookup = {
        .kind = REQUEST_LOOKUP, .dir = f->nsid, .name = name};
    struct request read = {
        .kind = REQUEST_READ, .dir = f->nsid, .name = name, .size = TEXT_SIZE};
    bool same = false;

    if (ask(f, &lookup) != 0)
        return false;
    read.ino = lookup.attr.ino;
    if (ask(f, &read) == 0)
        same = read.ret_data->size == strlen(written_as) &&
               memcmp(read.ret_data->data, written_as, strlen(written_as)) == 0;
    buf_unref(read.ret_data);
    return same;
}

static void final_name(const char *name, char other[static NAME_SIZE + 1])
{
    (void)snprintf(other, NAME_SIZE + 1, "%c%s", name[0] < 'm' ? 'z' : 'b',
                   name);
}

static void *run_client(void *context)
{
    struct client *client = context;

    for (unsigned i = 0; i < FILES; i++) {
        char name[NAME_SIZE];
        char other[NAME_SIZE + 1];

        name_of(client, i, name);
        final_name(name, other);
        client->failures += create(client, name) != 0;
        client->failures += !has_content(client->f, name, name);
        client->failures += rename_to(client, name, other) != 0;
        client->failures += !has_content(client->f, other, name);
    }
    return NULL;
}

/* ---- regions ---- */

static size_t regions(struct fixture *f, uint64_t ids[static 8])
{
    struct request request = {.kind = REQUEST_RENDER,
                              .table = TABLE_REGION_IDS};
    char text[TEXT_SIZE];
    size_t count = 0;
    char *at = text;

    assert_int_equal(ask(f, &request), 0);
    (void)snprintf(text, sizeof text, "%.*s", (int)request.ret_data->size,
                   (const char *)request.ret_data->data);
    buf_unref(request.ret_data);
    while (*at != '\0' && count < 8) {
        ids[count++] = strtoull(at, &at, 10);
        at += *at == '\n';
    }
    return count;
}

/* Region 1 becomes three, which different threads apply, and one again. */
static void split_and_merge(struct fixture *f)
{
    uint64_t ids[8];
    char text[32];

    assert_int_equal(control(f, TABLE_REGION_SPLIT, 1, "/d/p\n"), 0);
    assert_int_equal(control(f, TABLE_REGION_SPLIT, 1, "/d/h\n"), 0);
    assert_int_equal(regions(f, ids), 4);
    assert_int_equal(ids[1], 1);
    assert_true(ids[2] % WORKERS != ids[3] % WORKERS);
    /* Of the two new ones the second lies between. */
    (void)snprintf(text, sizeof text, "%" PRIu64 "\n", ids[2]);
    assert_int_equal(control(f, TABLE_REGION_MERGE, ids[3], text), 0);
    (void)snprintf(text, sizeof text, "%" PRIu64 "\n", ids[3]);
    assert_int_equal(control(f, TABLE_REGION_MERGE, 1, text), 0);
    assert_int_equal(regions(f, ids), 2);
}

/* ---- afterwards ---- */

static unsigned count_names(struct fixture *f)
{
    struct request request = {
        .kind = REQUEST_READDIR, .dir = f->nsid, .name = "", .size = 64 * 1024};
    struct dirent_view entry;
    char name[NAME_SIZE_MAX + 1] = "";
    unsigned count = 0;

    do {
        size_t position = 0;

        request.name = name;
        assert_int_equal(ask(f, &request), 0);
        while (dirent_next(request.ret_data, &position, &entry)) {
            (void)snprintf(name, sizeof name, "%s", entry.name);
            count++;
        }
        buf_unref(request.ret_data);
        request.ret_data = NULL;
    } while (!request.at_end);
    return count;
}

static uint32_t entry_count(struct fixture *f)
{
    struct request request = {.kind = REQUEST_GETATTR,
                              .ino = ino_of_nsid(f->nsid)};

    assert_int_equal(ask(f, &request), 0);
    return request.attr.entry_count;
}

static void expect_files(const struct client *client)
{
    assert_int_equal(client->failures, 0);
    for (unsigned i = 0; i < FILES; i++) {
        char name[NAME_SIZE];
        char other[NAME_SIZE + 1];

        name_of(client, i, name);
        final_name(name, other);
        assert_true(has_content(client->f, other, name));
    }
}

static void test_regions_split_and_merge_under_load(void **state)
{
    struct fixture *f = *state;
    struct client clients[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        clients[i] = (struct client){.f = f, .number = i};
        (void)pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        split_and_merge(f);
    for (unsigned i = 0; i < WRITERS; i++)
        (void)pthread_join(clients[i].thread, NULL);
    for (unsigned i = 0; i < WRITERS; i++)
        expect_files(&clients[i]);
    assert_int_equal(count_names(f), WRITERS * FILES);
    assert_int_equal(entry_count(f), WRITERS * FILES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_regions_split_and_merge_under_load,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("apply_threads", tests, NULL, NULL);
}
