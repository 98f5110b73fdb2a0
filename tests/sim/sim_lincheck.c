/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_lincheck.h"

#include <inttypes.h>
#include <stdlib.h>

/* Value of a directory, and of an empty file. */
#define DIRECTORY "\"/\""
#define EMPTY "\"\""
#define ABSENT "null"

enum { VALUE_SIZE = 24 };

/* A place in the tree: a key there. */
struct place {
    uint64_t dir;
    uint8_t name;
    size_t group; /* index of another place of the same group, or its own */
    bool left_out;
};

struct writer {
    FILE *out;
    struct place *places;
    size_t count;
    size_t count_max;
};

/* ---- groups: places that renames tie together ---- */

static size_t find_place(struct writer *w, uint64_t dir, uint8_t name)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->places[i].dir == dir && w->places[i].name == name)
            return i;
    w->places =
        mem_grow(w->places, sizeof *w->places, &w->count_max, w->count + 1);
    w->places[w->count] =
        (struct place){.dir = dir, .name = name, .group = w->count};
    return w->count++;
}

static size_t group_of(const struct writer *w, size_t place)
{
    while (w->places[place].group != place)
        place = w->places[place].group;
    return place;
}

/* Whether it may have changed something. */
static bool may_count(const struct sim_op *op)
{
    return op->outcome == SIM_OP_OK || op->outcome == SIM_OP_UNKNOWN;
}

static void tie(struct writer *w, const struct sim_op *op)
{
    size_t a = group_of(w, find_place(w, op->dir, op->name));
    size_t b = group_of(w, find_place(w, op->to_dir, op->to_name));
    bool left_out = w->places[a].left_out || w->places[b].left_out ||
                    (op->flags & REQUEST_EXCHANGE) != 0;

    w->places[a].group = b;
    w->places[b].left_out = left_out;
}

static void make_groups(struct writer *w, const struct sim_history *history)
{
    for (size_t i = 0; i < history->count; i++)
        if (history->ops[i].kind == REQUEST_RENAME &&
            may_count(&history->ops[i]))
            tie(w, &history->ops[i]);
}

static bool is_left_out(struct writer *w, const struct sim_op *op)
{
    size_t place = find_place(w, op->dir, op->name);

    return w->places[group_of(w, place)].left_out;
}

/* ---- lines ---- */

static void put_times(struct writer *w, const struct sim_op *op,
                      const char *result)
{
    (void)fprintf(w->out, ",\"start_ns\":%" PRIu64 ",\"end_ns\":", op->call_ns);
    if (op->return_ns == UINT64_MAX)
        (void)fprintf(w->out, "null");
    else
        (void)fprintf(w->out, "%" PRIu64, op->return_ns);
    (void)fprintf(w->out, ",\"result\":\"%s\"}\n",
                  op->outcome == SIM_OP_UNKNOWN ? "unknown" : result);
}

static void put(struct writer *w, const struct sim_op *op, const char *name,
                const char *value, const char *more, const char *result)
{
    (void)fprintf(w->out,
                  "{\"client\":%u,\"op\":\"%s\",\"key\":\"%" PRIx64 "/%s\","
                  "\"value\":%s%s",
                  op->client, name, op->dir, sim_name(op->name), value, more);
    put_times(w, op, result);
}

/* The name is there, whatever it stands for. */
static void put_exists(struct writer *w, const struct sim_op *op)
{
    put(w, op, "create", EMPTY, ",\"err\":\"EEXIST\"", "fail");
}

static const char *value_of(uint32_t tag, char text[VALUE_SIZE])
{
    if (tag == 0)
        return EMPTY;
    (void)snprintf(text, VALUE_SIZE, "\"%u\"", tag);
    return text;
}

static bool is_absence(const struct sim_op *op)
{
    return op->status == ERR_NOT_FOUND || op->status == ERR_STALE;
}

/* ---- operations ---- */

static void put_lookup(struct writer *w, const struct sim_op *op)
{
    bool absent = op->outcome == SIM_OP_REFUSED;

    if (absent && op->kind == REQUEST_GETATTR)
        return; /* The handle is stale; another file may be there. */
    if (absent)
        put(w, op, "read", ABSENT, "", "ok");
    else if (op->kind == REQUEST_GETATTR && (op->ino & INO_DIR_BIT) != 0)
        return; /* By number, wherever it is. */
    else if ((op->ret_ino & INO_DIR_BIT) != 0)
        put(w, op, "read", DIRECTORY, "", "ok");
    else if (op->ret_size == 0)
        put(w, op, "read", EMPTY, "", "ok");
    else
        put_exists(w, op);
}

static void put_read(struct writer *w, const struct sim_op *op)
{
    char text[VALUE_SIZE];

    if (op->outcome == SIM_OP_OK)
        put(w, op, "read", value_of(op->first_tag, text), "", "ok");
}

static void put_create(struct writer *w, const struct sim_op *op)
{
    char text[VALUE_SIZE];

    if (op->outcome == SIM_OP_REFUSED && op->status != ERR_EXISTS)
        return;
    if (op->outcome == SIM_OP_REFUSED ||
        (op->outcome == SIM_OP_OK && !op->created))
        put_exists(w, op);
    else
        put(w, op, "create", value_of(op->piece_size > 0 ? op->tag : 0, text),
            "", "ok");
}

static void put_write(struct writer *w, const struct sim_op *op)
{
    char text[VALUE_SIZE];

    if (op->outcome == SIM_OP_REFUSED)
        return;
    if ((op->flags & REQUEST_TRUNCATE) != 0)
        put(w, op, "overwrite", value_of(op->tag, text), "", "ok");
    else
        put(w, op, "cas", value_of(op->tag, text), ",\"expect\":" EMPTY,
            op->ret_offset == 0 ? "ok" : "fail");
}

static void put_mkdir(struct writer *w, const struct sim_op *op)
{
    if (may_count(op))
        put(w, op, "create", DIRECTORY, "", "ok");
    else if (op->status == ERR_EXISTS)
        put_exists(w, op);
}

static void put_delete(struct writer *w, const struct sim_op *op)
{
    if (may_count(op))
        put(w, op, "delete", ABSENT, "", "ok");
    else if (is_absence(op))
        put(w, op, "delete", ABSENT, ",\"err\":\"ENOENT\"", "fail");
}

static void put_rename(struct writer *w, const struct sim_op *op)
{
    char more[80];
    struct sim_op to = *op;
    bool same_dir = op->dir == op->to_dir;

    (void)snprintf(more, sizeof more, ",\"key2\":\"%" PRIx64 "/%s\"",
                   op->to_dir, sim_name(op->to_name));
    to.dir = op->to_dir;
    to.name = op->to_name;
    if (may_count(op))
        put(w, op, "rename", ABSENT, more, "ok");
    else if (op->status == ERR_EXISTS && !is_left_out(w, &to))
        put_exists(w, &to);
    else if (is_absence(op) && same_dir && (op->flags & REQUEST_EXCHANGE) == 0)
        put(w, op, "delete", ABSENT, ",\"err\":\"ENOENT\"", "fail");
}

static void put_op(struct writer *w, const struct sim_op *op)
{
    switch (op->kind) {
    case REQUEST_LOOKUP:
    case REQUEST_GETATTR:
        put_lookup(w, op);
        break;
    case REQUEST_READ:
        put_read(w, op);
        break;
    case REQUEST_CREATE:
        put_create(w, op);
        break;
    case REQUEST_WRITE:
        put_write(w, op);
        break;
    case REQUEST_MKDIR:
        put_mkdir(w, op);
        break;
    case REQUEST_UNLINK:
    case REQUEST_RMDIR:
        put_delete(w, op);
        break;
    case REQUEST_RENAME:
        put_rename(w, op);
        break;
    default:
        break;
    }
}

/* Whether it has seen or perhaps changed something. */
static bool has_happened(const struct sim_op *op, const struct sim_watch *watch)
{
    if (op->outcome == SIM_OP_UNKNOWN && watch != NULL)
        return sim_watch_tag(watch, op->tag).committed;
    return op->outcome != SIM_OP_FAILED;
}

void sim_lincheck_write(const struct sim_history *history,
                        const struct sim_watch *watch, FILE *out)
{
    struct writer w = {.out = out};

    make_groups(&w, history);
    for (size_t i = 0; i < history->count; i++)
        if (has_happened(&history->ops[i], watch) &&
            !is_left_out(&w, &history->ops[i]))
            put_op(&w, &history->ops[i]);
    free(w.places);
}
