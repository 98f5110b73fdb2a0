/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_zone_audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_ask.h"
#include "tests/sim/sim_history.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone_choice.h"

enum {
    PAGE_SIZE_MIN = 64,
    QUEUE_MAX = 256,
    RETRIES_MAX = 20,
    RETRY_MS = 200,
    TIMEOUT_MS = 10000
};

/* What is still to be read: a directory from a name on, or a name. */
struct item {
    uint64_t dir;
    uint64_t ino;  /* 0: to be looked up */
    bool is_first; /* the name itself comes first */
    char name[NAME_SIZE_MAX + 1];
};

struct reader {
    struct sim_event event; /* first member */
    struct sim_ask ask;
    struct sim_zone_audit *audit;
    struct item queue[QUEUE_MAX];
    size_t queue_count;
    struct item item; /* being read */
    unsigned retries;
    uint64_t sum;
    size_t read_count;
    bool done;
};

struct sim_zone_audit {
    struct sim_cluster *cluster;
    struct reader readers[SIM_NODES_MAX];
};

static struct sim_loop *loop_of(const struct reader *reader)
{
    return reader->audit->cluster->loop;
}

static struct item *add_item(struct reader *reader, uint64_t dir, uint64_t ino,
                             const char *name)
{
    struct item *item = &reader->queue[reader->queue_count++];

    assert(reader->queue_count <= QUEUE_MAX);
    *item = (struct item){.dir = dir, .ino = ino};
    memcpy(item->name, name, strlen(name) + 1);
    return item;
}

/* ---- answers ---- */

static void fold(struct reader *reader, uint64_t what)
{
    reader->sum = sim_mix(reader->sum, what);
}

static void fold_name(struct reader *reader, const char *name)
{
    for (; *name != '\0'; name++)
        fold(reader, (uint64_t)*name);
}

static void take_names(struct reader *reader, const struct request *request)
{
    struct dirent_view entry;
    size_t position = 0;
    char last[NAME_SIZE_MAX + 1] = "";
    struct item more = reader->item;

    while (request->ret_data != NULL &&
           dirent_next(request->ret_data, &position, &entry)) {
        bool is_dir = (entry.ino & INO_DIR_BIT) != 0;

        fold_name(reader, entry.name);
        fold(reader, entry.ino);
        if (strstr(entry.name, "~file-") != NULL)
            sim_seen(SEEN_ZONE_HIDDEN);
        if (is_dir)
            add_item(reader, nsid_of_ino(entry.ino), entry.ino, "");
        else
            add_item(reader, reader->item.dir, entry.ino, entry.name);
        memcpy(last, entry.name, strlen(entry.name) + 1);
    }
    if (request->at_end)
        return;
    more.is_first = last[0] == '\0';
    add_item(reader, more.dir, more.ino,
             more.is_first ? request->ret_next : last)
        ->is_first = more.is_first;
}

static void take_content(struct reader *reader, const struct request *request)
{
    uint64_t content = 0;
    uint32_t first = 0;

    if (request->ret_data != NULL &&
        !sim_fold_content(request->ret_data->data, request->ret_data->size,
                          &content, &first))
        sim_fail(loop_of(reader), "node %zu: what is in %s is damaged",
                 reader->ask.node->number + 1, reader->item.name);
    fold_name(reader, reader->item.name);
    fold(reader, content);
    fold(reader, request->attr.size);
    fold(reader, request->attr.version);
    fold(reader, request->attr.gid);
    fold(reader, (uint64_t)request->attr.mtime_ns);
    reader->read_count++;
}

static void take(struct reader *reader, const struct request *request)
{
    if (request->kind == REQUEST_LOOKUP && request->status == ERR_NOT_FOUND)
        return;
    if (request->status != 0)
        sim_fail(loop_of(reader), "node %zu: an audit of %s fails: %s",
                 reader->ask.node->number + 1, reader->item.name,
                 err_text(request->status));
    if (request->kind == REQUEST_LOOKUP)
        add_item(reader, nsid_of_ino(request->attr.ino), request->attr.ino, "");
    else if (request->kind == REQUEST_READDIR)
        take_names(reader, request);
    else
        take_content(reader, request);
}

static bool is_passing(int status)
{
    return status == ERR_NO_QUORUM || status == ERR_BUSY;
}

static void answered(struct sim_ask *ask)
{
    struct reader *reader = container_of(ask, struct reader, ask);
    uint64_t pause_ns = 1;

    if (is_passing(ask->request.status) && reader->retries++ < RETRIES_MAX) {
        reader->queue[reader->queue_count++] = reader->item;
        pause_ns = RETRY_MS * sim_ms;
    } else {
        take(reader, &ask->request);
    }
    sim_post_in(loop_of(reader), &reader->event, pause_ns);
}

/* ---- questions ---- */

static void next(struct sim_event *event)
{
    struct reader *reader = (struct reader *)event;
    const struct sim_plan *plan = reader->audit->cluster->plan;
    const size_t page_size = plan->page_size > PAGE_SIZE_MIN
                                 ? plan->page_size
                                 : PAGE_SIZE_MIN; /* for one name */
    const struct item *item = &reader->item;
    bool is_dir;

    if (reader->queue_count == 0) {
        reader->done = true;
        return;
    }
    reader->item = reader->queue[--reader->queue_count];
    is_dir = (item->ino & INO_DIR_BIT) != 0;
    reader->ask.request = (struct request){
        .kind = item->ino == 0 ? REQUEST_LOOKUP
                : is_dir       ? REQUEST_READDIR
                               : REQUEST_READ,
        .dir = item->dir,
        .ino = is_dir ? 0 : item->ino,
        .name = item->name,
        .offset = item->is_first,
        .size = is_dir ? page_size : SIM_VALUE_MAX,
        .timeout_ms = TIMEOUT_MS, /* It may lie in many regions. */
    };
    sim_ask(&reader->ask, plan->try_first);
}

/* ---- all of them ---- */

static bool takes_part(const struct reader *reader)
{
    return reader->audit != NULL && !reader->ask.node->removed;
}

struct sim_zone_audit *sim_zone_audit_new(struct sim_cluster *cluster)
{
    struct sim_zone_audit *audit = mem_zalloc(sizeof *audit);

    audit->cluster = cluster;
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct reader *reader = &audit->readers[i];

        reader->event.run = next;
        reader->audit = audit;
        reader->ask.node = &cluster->nodes[i];
        reader->ask.done = answered;
        for (size_t zone = 0; zone < cluster->plan->zones; zone++)
            add_item(reader, NSID_ROOT, 0, sim_zone_root_name(zone));
        if (takes_part(reader))
            sim_post_in(cluster->loop, &reader->event, 1);
    }
    return audit;
}

bool sim_zone_audit_is_done(const struct sim_zone_audit *audit)
{
    for (size_t i = 0; i < audit->cluster->plan->nodes; i++)
        if (takes_part(&audit->readers[i]) && !audit->readers[i].done)
            return false;
    return true;
}

void sim_zone_audit_end(struct sim_zone_audit *audit)
{
    const struct reader *first = NULL;

    for (size_t i = 0; i < audit->cluster->plan->nodes; i++) {
        const struct reader *reader = &audit->readers[i];

        if (!takes_part(reader))
            continue;
        if (first == NULL)
            first = reader;
        if (reader->sum != first->sum)
            sim_fail(audit->cluster->loop,
                     "nodes %zu and %zu show other things in zones: %zu and "
                     "%zu files",
                     first->ask.node->number + 1, reader->ask.node->number + 1,
                     first->read_count, reader->read_count);
    }
    free(audit);
}
