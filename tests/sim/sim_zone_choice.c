/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_zone_choice.h"

#include <assert.h>
#include <string.h>

#include "tests/sim/sim_history.h"

static const uint64_t second_ns = 1000000000;

/* Behind all names of other clients, so that a page of the root that has one of
 * these is the last one for them. */
static const char *const root_names[SIM_ZONES_MAX] = {"z0", "z1", "z2"};

static const char *const file_names[ZONE_NAMES] = {"k0", "k1", "k2", "k3",
                                                   "k4", "k5", "s"};

const char *sim_zone_root_name(size_t zone)
{
    assert(zone < SIM_ZONES_MAX);
    return root_names[zone];
}

bool sim_zone_is_name(const char *name)
{
    for (size_t i = 0; i < SIM_ZONES_MAX; i++)
        if (strcmp(root_names[i], name) == 0)
            return true;
    return false;
}

const char *sim_zone_file_name(uint8_t name)
{
    assert(name < ZONE_NAMES);
    return file_names[name];
}

uint64_t sim_zone_nsid(const struct sim_zone *zone, uint8_t dir)
{
    return dir == 0 ? zone->nsid : zone->sub;
}

/* ---- files ---- */

static uint8_t pick_dir(struct sim_loop *loop, const struct sim_zone *zone)
{
    return zone->sub != 0 && sim_pick(loop, 3) == 0;
}

/* Now and then that of the directory: two nodes may give it to both. */
static uint8_t pick_name(struct sim_loop *loop, const struct sim_plan *plan)
{
    if (sim_pick(loop, 40) == 0)
        return ZONE_SUB;
    return (uint8_t)sim_pick(loop, plan->zone_names);
}

static uint32_t pick_piece(struct sim_loop *loop)
{
    if (sim_pick(loop, 30) == 0)
        return (uint32_t)sim_between(loop, 4000, 20000);
    return (uint32_t)sim_between(loop, SIM_PIECE_HEADER, 60);
}

static void choose_write(struct sim_loop *loop, struct sim_zone_op *op)
{
    op->kind = REQUEST_WRITE;
    op->flags = sim_pick(loop, 3) == 0 ? REQUEST_APPEND : REQUEST_TRUNCATE;
    op->piece_size = pick_piece(loop);
}

static void choose_new(struct sim_loop *loop, struct sim_zone_op *op)
{
    op->ino = 0;
    op->kind = sim_pick(loop, 4) == 0 ? REQUEST_LOOKUP : REQUEST_CREATE;
    if (op->kind == REQUEST_LOOKUP)
        return;
    op->flags = sim_pick(loop, 2) == 0 ? REQUEST_EXCLUSIVE : 0;
    op->piece_size = sim_pick(loop, 2) == 0 ? pick_piece(loop) : 0;
}

static void choose_rename(struct sim_loop *loop, const struct sim_plan *plan,
                          const struct sim_zone *zone, struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 6);

    op->kind = REQUEST_RENAME;
    /* What is in a directory of another name is not found when all is emptied.
     */
    if (plan->zones_end && op->name == ZONE_SUB)
        op->name = 0;
    op->to_dir = pick_dir(loop, zone);
    op->to_name = pick_name(loop, plan);
    op->flags = roll == 0   ? REQUEST_NOREPLACE
                : roll == 1 ? REQUEST_EXCHANGE
                            : 0;
}

static void choose_attribute(struct sim_loop *loop, struct sim_zone_op *op)
{
    static const enum request_kind kinds[] = {REQUEST_SETATTR, REQUEST_SETXATTR,
                                              REQUEST_REMOVEXATTR,
                                              REQUEST_GETATTR};

    op->kind = kinds[sim_pick(loop, ARRAY_SIZE(kinds))];
}

static void choose_file_op(struct sim_loop *loop, const struct sim_plan *plan,
                           const struct sim_zone *zone,
                           const struct sim_zone_handles *handles,
                           struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 100);

    op->dir = pick_dir(loop, zone);
    op->name = pick_name(loop, plan);
    op->ino = handles->ino[op->zone][op->dir][op->name];
    if (op->ino == 0 || roll < 10)
        choose_new(loop, op);
    else if (roll < 50)
        choose_write(loop, op);
    else if (roll < 65)
        op->kind = REQUEST_READ;
    else if (roll < 75)
        op->kind = REQUEST_UNLINK;
    else if (roll < 83)
        choose_rename(loop, plan, zone, op);
    else if (roll < 93)
        choose_attribute(loop, op);
    else
        op->kind = roll < 97 ? REQUEST_LOOKUP : REQUEST_READDIR;
}

/* ---- the zone itself ---- */

static void choose_mode(struct sim_zone_op *op, const struct sim_zone *zone,
                        bool eventual)
{
    op->of_zone = true;
    op->kind = REQUEST_SETXATTR;
    op->to_eventual = eventual;
    op->ino = ino_of_nsid(zone->nsid);
}

static void choose_of_zone(struct sim_zone_op *op, const struct sim_zone *zone,
                           enum request_kind kind)
{
    op->of_zone = true;
    op->kind = kind;
    op->ino = kind == REQUEST_GETXATTR ? ino_of_nsid(zone->nsid) : 0;
}

static void choose_sub(struct sim_loop *loop, const struct sim_zone *zone,
                       struct sim_zone_op *op)
{
    op->name = ZONE_SUB;
    op->kind = sim_pick(loop, 4) == 0 ? REQUEST_LOOKUP
               : zone->sub == 0       ? REQUEST_MKDIR
                                      : REQUEST_RMDIR;
}

/* Whatever there may be in it, then the zone. */
static void choose_emptying(struct sim_loop *loop, const struct sim_plan *plan,
                            const struct sim_zone *zone, struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 100);

    if (zone->sub == 0 && roll >= 60 && roll < 76) {
        op->kind = REQUEST_LOOKUP;
        op->name = ZONE_SUB;
    } else if (roll < 70) {
        op->kind = REQUEST_UNLINK;
        op->dir = pick_dir(loop, zone);
        op->name =
            roll < 8 ? ZONE_SUB : (uint8_t)sim_pick(loop, plan->zone_names);
    } else if (roll < 82) { /* It may have another name by now. */
        op->kind = REQUEST_RMDIR;
        op->name =
            roll < 79 ? ZONE_SUB : (uint8_t)sim_pick(loop, plan->zone_names);
    } else if (zone->ending || roll < 94) {
        choose_mode(op, zone, false);
    } else {
        choose_of_zone(op, zone, REQUEST_RMDIR);
    }
}

static void turn(struct sim_loop *loop, struct sim_zone *zone)
{
    if (zone->ending) {
        zone->emptying = true;
        return;
    }
    if (loop->now_ns < zone->turn_ns)
        return;
    zone->emptying = !zone->emptying;
    zone->turn_ns =
        loop->now_ns +
        sim_spread(loop, zone->emptying ? 2 * second_ns : 3 * second_ns);
}

static void choose_eventual(struct sim_loop *loop, const struct sim_plan *plan,
                            struct sim_zone *zone,
                            const struct sim_zone_handles *handles,
                            struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 100);

    turn(loop, zone);
    if (zone->emptying)
        choose_emptying(loop, plan, zone, op);
    else if (roll < 4)
        choose_sub(loop, zone, op);
    else if (roll < 5)
        choose_mode(op, zone, false);
    else
        choose_file_op(loop, plan, zone, handles, op);
}

/* One name after the other, so that it comes to be empty. */
static void choose_unlink(struct sim_zone *zone, struct sim_zone_op *op)
{
    op->kind = REQUEST_UNLINK;
    op->name = zone->next;
    zone->next = (uint8_t)((zone->next + 1) % ZONE_NAMES);
    zone->full = zone->next != 0;
}

static void choose_strong(struct sim_loop *loop, const struct sim_plan *plan,
                          struct sim_zone *zone,
                          const struct sim_zone_handles *handles,
                          struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 100);

    if (zone->ending)
        choose_of_zone(op, zone, REQUEST_LOOKUP);
    else if (zone->full && roll < 90)
        choose_unlink(zone, op);
    else if (roll < 50)
        choose_mode(op, zone, true);
    else if (roll < 55)
        choose_of_zone(op, zone, REQUEST_RMDIR);
    else if (roll < 90)
        choose_emptying(loop, plan, zone, op);
    else
        choose_file_op(loop, plan, zone, handles, op);
}

void sim_zone_choose(struct sim_loop *loop, const struct sim_plan *plan,
                     struct sim_zone *zones,
                     const struct sim_zone_handles *handles,
                     struct sim_zone_op *ret)
{
    uint64_t roll = sim_pick(loop, 100);
    struct sim_zone *zone;

    *ret = (struct sim_zone_op){.zone = sim_pick(loop, plan->zones)};
    zone = &zones[ret->zone];
    if (zone->nsid == 0)
        choose_of_zone(ret, zone,
                       roll < 60 && !zone->ending ? REQUEST_MKDIR
                                                  : REQUEST_LOOKUP);
    else if (roll < 6)
        choose_of_zone(ret, zone, roll < 2 ? REQUEST_LOOKUP : REQUEST_GETXATTR);
    else if (zone->eventual)
        choose_eventual(loop, plan, zone, handles, ret);
    else
        choose_strong(loop, plan, zone, handles, ret);
}

/* ---- what answers say ---- */

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
    zone->sub = 0;
    zone->eventual = false;
    zone->full = false;
}

static void become(struct sim_loop *loop, struct sim_zone *zone, bool eventual)
{
    if (eventual && !zone->eventual) {
        zone->emptying = false;
        zone->turn_ns = loop->now_ns + sim_spread(loop, 3 * second_ns);
    }
    zone->eventual = eventual;
    zone->full = zone->full && !eventual;
}

static void learn_of_zone(struct sim_loop *loop, struct sim_zone *zone,
                          const struct sim_zone_op *op,
                          const struct request *request)
{
    bool asked_of_it = op->ino == 0 || op->ino == ino_of_nsid(zone->nsid);

    if (request->status == ERR_NOT_FOUND || request->status == ERR_STALE) {
        if (asked_of_it)
            set_nsid(zone, 0);
        return;
    }
    if (request->status == ERR_NOT_EMPTY && op->to_eventual)
        zone->full = true;
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

static void learn_sub(struct sim_zone *zone, const struct sim_zone_op *op,
                      const struct request *request)
{
    if (op->dir != 0 || op->name != ZONE_SUB)
        return;
    if (op->kind == REQUEST_RMDIR &&
        (request->status == 0 || request->status == ERR_NOT_FOUND))
        zone->sub = 0;
    else if ((op->kind == REQUEST_LOOKUP || op->kind == REQUEST_MKDIR) &&
             request->status == 0 && (request->attr.ino & INO_DIR_BIT) != 0)
        zone->sub = nsid_of_ino(request->attr.ino);
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
    learn_sub(&zones[op->zone], op, request);
    learn_file(handles, op, request);
}
