/* SPDX-License-Identifier: Apache-2.0 */

/* What answers say of zones. */

#include <string.h>

#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone_choice.h"

static const uint64_t second_ns = 1000000000;

static bool says_text(const struct request *request, const char *text)
{
    return request->ret_data != NULL &&
           request->ret_data->size == strlen(text) &&
           memcmp(request->ret_data->data, text, strlen(text)) == 0;
}

static void set_nsid(struct sim_zone *zone, uint64_t nsid)
{
    if (zone->nsid == nsid)
        return;
    zone->nsid = nsid;
    for (uint8_t i = 1; i < ZONE_DIRS; i++)
        zone->subs[i] = 0;
    zone->eventual = false;
}

static void become(struct sim_loop *loop, struct sim_zone *zone, bool eventual)
{
    if (eventual && !zone->eventual) {
        zone->emptying = false;
        zone->turn_ns = loop->now_ns + sim_spread(loop, 3 * second_ns);
    }
    zone->eventual = eventual;
}

static void learn_of_zone(struct sim_loop *loop, struct sim_zone *zone,
                          const struct sim_zone_op *op,
                          const struct request *request)
{
    bool asked_of_it = op->ino == 0 || op->ino == ino_of_nsid(zone->nsid);

    if (op->kind == REQUEST_SETXATTR)
        zone->switch_ns = 0;
    if (request->status == ERR_NOT_FOUND || request->status == ERR_STALE) {
        if (asked_of_it)
            set_nsid(zone, 0);
        return;
    }
    if (request->status != 0)
        return;
    if (op->kind == REQUEST_RMDIR)
        set_nsid(zone, 0);
    else if (op->kind == REQUEST_LOOKUP || op->kind == REQUEST_MKDIR)
        set_nsid(zone, nsid_of_ino(request->attr.ino));
    else if (asked_of_it && op->kind == REQUEST_SETXATTR)
        become(loop, zone, op->to_eventual);
    else if (asked_of_it && op->kind == REQUEST_GETXATTR)
        become(loop, zone, says_text(request, "eventual"));
}

/* With what is below it, which has to be looked for again. */
static void set_sub(struct sim_zone *zone, uint8_t sub, uint64_t nsid)
{
    if (zone->subs[sub] == nsid)
        return;
    zone->subs[sub] = nsid;
    for (uint8_t i = 1; i < ZONE_DIRS; i++)
        if (sim_zone_parent(i) == sub)
            zone->subs[i] = 0;
}

static void learn_own(struct sim_zone *zone, const struct sim_zone_op *op,
                      const struct request *request)
{
    uint8_t sub = sim_zone_sub(op->dir, op->name);

    if (request->status == 0) {
        zone->owns[sub] = op->to_eventual ? nsid_of_ino(op->ino) : 0;
        zone->strongs[sub] = op->kind == REQUEST_SETXATTR && !op->to_eventual
                                 ? nsid_of_ino(op->ino)
                                 : 0;
    } else if (request->status == ERR_NO_DATA) {
        zone->owns[sub] = 0;
        zone->strongs[sub] = 0;
    }
}

/* What is known of the directory at a place. */
struct sub {
    uint64_t nsid;
    uint64_t own;
    uint64_t strong;
};

static struct sub sub_at(const struct sim_zone *zone, uint8_t sub)
{
    return (struct sub){zone->subs[sub], zone->owns[sub], zone->strongs[sub]};
}

static void put_sub(struct sim_zone *zone, uint8_t at, struct sub sub)
{
    zone->owns[at] = sub.own;
    zone->strongs[at] = sub.strong;
    set_sub(zone, at, sub.nsid);
}

static void learn_move(struct sim_zone *zones, const struct sim_zone_op *op,
                       const struct request *request)
{
    struct sim_zone *zone = &zones[op->zone];
    struct sim_zone *to_zone = &zones[op->to_zone];
    uint8_t from = sim_zone_sub(op->dir, op->name);
    uint8_t to = sim_zone_sub(op->to_dir, op->to_name);
    bool exchanged = (op->flags & REQUEST_EXCHANGE) != 0;
    struct sub moved = sub_at(zone, from);
    struct sub other = sub_at(to_zone, to);

    if (request->status != 0)
        return;
    put_sub(zone, from, exchanged ? other : (struct sub){0});
    put_sub(to_zone, to, moved);
    if (other.nsid != 0 && moved.nsid != other.nsid)
        sim_seen(exchanged ? SEEN_ZONE_EXCHANGED : SEEN_ZONE_REPLACED);
}

static void learn_sub(struct sim_zone *zone, const struct sim_zone_op *op,
                      const struct request *request)
{
    uint8_t sub = sim_zone_sub(op->dir, op->name);

    if (sub == 0)
        return;
    if ((op->kind == REQUEST_RMDIR ||
         (op->of_dir && (op->flags & REQUEST_EXCHANGE) == 0)) &&
        request->status == ERR_NOT_FOUND)
        set_sub(zone, sub, 0);
    else if (op->kind == REQUEST_RMDIR && request->status == 0)
        set_sub(zone, sub, 0);
    else if ((op->kind == REQUEST_LOOKUP || op->kind == REQUEST_MKDIR) &&
             request->status == 0 && (request->attr.ino & INO_DIR_BIT) != 0)
        set_sub(zone, sub, nsid_of_ino(request->attr.ino));
}

static void learn_file(struct sim_zone_handles *handles,
                       const struct sim_zone_op *op,
                       const struct request *request)
{
    uint64_t *ino = &handles->ino[op->zone][op->dir][op->name];

    if (request->status == ERR_STALE || request->status == ERR_NOT_FOUND)
        *ino = 0;
    if (request->status != 0)
        return;
    if (op->kind == REQUEST_LOOKUP || op->kind == REQUEST_CREATE)
        *ino = (request->attr.ino & INO_DIR_BIT) != 0 ? 0 : request->attr.ino;
    else if (op->kind == REQUEST_UNLINK || op->kind == REQUEST_RENAME)
        *ino = 0;
}

void sim_zone_learn(struct sim_loop *loop, struct sim_zone *zones,
                    struct sim_zone_handles *handles,
                    const struct sim_zone_op *op, const struct request *request)
{
    if (op->of_zone) {
        learn_of_zone(loop, &zones[op->zone], op, request);
        return;
    }
    if (op->of_own)
        learn_own(&zones[op->zone], op, request);
    else
        learn_sub(&zones[op->zone], op, request);
    if (op->of_dir)
        learn_move(zones, op, request);
    if (op->of_own || op->of_dir)
        return;
    learn_file(handles, op, request);
}
