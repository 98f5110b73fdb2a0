/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_zone_choice.h"

#include <assert.h>
#include <string.h>

#include "tests/sim/sim_history.h"

enum { FORCE_EVERY = 10 }; /* of what is asked for while a node is away */

static const uint64_t second_ns = 1000000000;

/* Behind all names of other clients, so that a page of the root that has one of
 * these is the last one for them. */
static const char *const root_names[SIM_ZONES_MAX] = {"z0", "z1", "z2"};

static const char *const file_names[ZONE_NAMES] = {"k0", "k1", "k2", "k3",
                                                   "k4", "k5", "s",  "t"};

/* Directories of zones: in which one each is, and its name there. */
struct sub {
    uint8_t parent;
    uint8_t name;
};

static const struct sub subs[ZONE_DIRS] = {[1] = {0, ZONE_SUB},
                                           [2] = {0, ZONE_OTHER},
                                           [3] = {1, ZONE_SUB},
                                           [4] = {1, ZONE_OTHER}};

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
    return dir == 0 ? zone->nsid : zone->subs[dir];
}

bool sim_zone_is_of_mode(const struct sim_zone_op *op)
{
    return (op->of_zone || op->of_own) &&
           (op->kind == REQUEST_SETXATTR || op->kind == REQUEST_GETXATTR ||
            op->kind == REQUEST_REMOVEXATTR);
}

uint8_t sim_zone_sub(uint8_t parent, uint8_t name)
{
    for (uint8_t i = 1; i < ZONE_DIRS; i++)
        if (subs[i].parent == parent && subs[i].name == name)
            return i;
    return 0;
}

uint8_t sim_zone_parent(uint8_t sub)
{
    return subs[sub].parent;
}

/* ---- files ---- */

/* One that is known to be there. */
static uint8_t pick_dir(struct sim_loop *loop, const struct sim_zone *zone)
{
    uint8_t dir = (uint8_t)sim_pick(loop, ZONE_DIRS + 2);

    return dir < ZONE_DIRS && zone->subs[dir] != 0 ? dir : 0;
}

/* Now and then that of a directory: two nodes may give it to both. */
static uint8_t pick_name(struct sim_loop *loop, const struct sim_plan *plan)
{
    if (sim_pick(loop, 12) == 0)
        return ZONE_SUB + (uint8_t)sim_pick(loop, 2);
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

/* ---- directories in it ---- */

static void choose_place(struct sim_zone_op *op, uint8_t sub)
{
    op->dir = subs[sub].parent;
    op->name = subs[sub].name;
}

static bool has_place(const struct sim_zone *zone, uint8_t sub)
{
    return subs[sub].parent == 0 || zone->subs[subs[sub].parent] != 0;
}

/* Its place may be taken or, to exchange with it, free; or lie below itself, or
 * where the mode is another one. */
static void choose_move(struct sim_loop *loop, const struct sim_plan *plan,
                        const struct sim_zone *zones, struct sim_zone_op *op)
{
    uint8_t to = (uint8_t)sim_between(loop, 1, plan->zone_subs);
    size_t zone = (size_t)sim_pick(loop, plan->zones);
    uint64_t roll = sim_pick(loop, 4);

    if (zones[zone].nsid == 0)
        zone = op->zone;
    op->flags = roll == 0   ? REQUEST_NOREPLACE
                : roll == 1 ? REQUEST_EXCHANGE
                            : 0;
    /* Another one may fit. */
    if ((zones[zone].subs[to] != 0) != (op->flags == REQUEST_EXCHANGE))
        to = (uint8_t)sim_between(loop, 1, plan->zone_subs);
    if (!has_place(&zones[zone], to))
        to = subs[to].parent;
    op->kind = REQUEST_RENAME;
    op->of_dir = true;
    op->to_zone = zone;
    op->to_dir = subs[to].parent;
    op->to_name = subs[to].name;
}

/* Without one it has the mode of the one above. */
static void choose_own(struct sim_loop *loop, const struct sim_zone *zone,
                       uint8_t sub, struct sim_zone_op *op)
{
    bool has_own = zone->owns[sub] == zone->subs[sub];

    uint64_t roll = sim_pick(loop, 4);

    op->of_own = true;
    op->kind =
        roll == 0 && !zone->ending ? REQUEST_REMOVEXATTR : REQUEST_SETXATTR;
    op->to_eventual = roll > (has_own ? 2 : 1) && !zone->ending;
    op->ino = ino_of_nsid(zone->subs[sub]);
}

/* One whose place is there. */
static uint8_t pick_sub(struct sim_loop *loop, const struct sim_plan *plan,
                        const struct sim_zone *zone)
{
    uint8_t sub = (uint8_t)sim_between(loop, 1, plan->zone_subs);

    return has_place(zone, sub) ? sub : subs[sub].parent;
}

static void choose_sub(struct sim_loop *loop, const struct sim_plan *plan,
                       const struct sim_zone *zones, struct sim_zone_op *op)
{
    const struct sim_zone *zone = &zones[op->zone];
    uint8_t sub = pick_sub(loop, plan, zone);
    uint64_t roll = sim_pick(loop, 100);

    choose_place(op, sub);
    if (roll < 15)
        op->kind = REQUEST_LOOKUP;
    else if (zone->subs[sub] == 0)
        op->kind = REQUEST_MKDIR;
    else if (roll < 40)
        op->kind = REQUEST_RMDIR;
    else if (roll < 80)
        choose_move(loop, plan, zones, op);
    else
        choose_own(loop, zone, sub, op);
}

/* One that is there is to be strong. */
static void choose_to_strong(struct sim_loop *loop, const struct sim_plan *plan,
                             const struct sim_zone *zone,
                             struct sim_zone_op *op)
{
    uint8_t sub = pick_sub(loop, plan, zone);

    choose_place(op, sub);
    if (zone->subs[sub] == 0) {
        op->kind = sim_pick(loop, 4) == 0 ? REQUEST_LOOKUP : REQUEST_MKDIR;
        return;
    }
    op->of_own = true;
    op->kind = REQUEST_SETXATTR;
    op->ino = ino_of_nsid(zone->subs[sub]);
}

/* One that was made strong, if there is any; 0: none. */
static uint8_t pick_strong(struct sim_loop *loop, const struct sim_zone *zone)
{
    uint8_t sub = (uint8_t)sim_between(loop, 1, ZONE_DIRS - 1);

    return zone->subs[sub] != 0 && zone->strongs[sub] == zone->subs[sub] ? sub
                                                                         : 0;
}

static void choose_strong_below(struct sim_loop *loop,
                                const struct sim_plan *plan,
                                const struct sim_zone *zones, uint8_t sub,
                                struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 100);

    choose_place(op, sub);
    if (roll < 40) {
        op->kind = REQUEST_UNLINK;
        op->dir = sub;
        op->name = pick_name(loop, plan);
    } else if (roll < 65) {
        op->kind = REQUEST_RMDIR;
    } else if (roll < 75) {
        choose_move(loop, plan, zones, op);
    } else {
        choose_own(loop, &zones[op->zone], sub, op);
    }
}

static void choose_removal(struct sim_zone_op *op, const struct sim_zone *zone,
                           uint8_t sub)
{
    op->kind = zone->subs[sub] == 0 ? REQUEST_LOOKUP : REQUEST_RMDIR;
    choose_place(op, sub);
}

/* Whatever there may be in it, then the zone. */
static void choose_emptying(struct sim_loop *loop, const struct sim_plan *plan,
                            const struct sim_zone *zone, struct sim_zone_op *op)
{
    uint64_t roll = sim_pick(loop, 100);

    if (roll < 60) {
        op->kind = REQUEST_UNLINK;
        op->dir = pick_dir(loop, zone);
        op->name = pick_name(loop, plan);
    } else if (roll < 76 && plan->zone_subs > 0) {
        choose_removal(op, zone, pick_sub(loop, plan, zone));
    } else if (roll < 82) { /* It may have another name by now. */
        op->kind = REQUEST_RMDIR;
        op->name = pick_name(loop, plan);
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
                            struct sim_zone *zones,
                            const struct sim_zone_handles *handles,
                            struct sim_zone_op *op)
{
    struct sim_zone *zone = &zones[op->zone];
    uint64_t roll = sim_pick(loop, 100);
    uint8_t strong = pick_strong(loop, zone);

    turn(loop, zone);
    if (strong != 0 && roll >= (plan->zones_below ? 50 : 80))
        choose_strong_below(loop, plan, zones, strong, op);
    else if (plan->zones_below && !zone->ending && roll >= 40)
        choose_to_strong(loop, plan, zone, op);
    else if (zone->emptying)
        choose_emptying(loop, plan, zone, op);
    else if (roll < 10 && plan->zone_subs > 0)
        choose_sub(loop, plan, zones, op);
    else if (roll < 12)
        choose_mode(op, zone, false);
    else
        choose_file_op(loop, plan, zone, handles, op);
}

static void choose_strong(struct sim_loop *loop, const struct sim_plan *plan,
                          struct sim_zone *zones,
                          const struct sim_zone_handles *handles,
                          struct sim_zone_op *op)
{
    struct sim_zone *zone = &zones[op->zone];
    uint64_t roll = sim_pick(loop, 100);

    if (zone->ending)
        choose_of_zone(op, zone, REQUEST_LOOKUP);
    else if (roll < 20)
        choose_mode(op, zone, true);
    else if (roll < 22)
        choose_of_zone(op, zone, REQUEST_RMDIR);
    else if (roll < 35)
        choose_emptying(loop, plan, zone, op);
    else if (roll < 60 && plan->zone_subs > 0)
        choose_sub(loop, plan, zones, op);
    else
        choose_file_op(loop, plan, zone, handles, op);
}

static void choose(struct sim_loop *loop, const struct sim_plan *plan,
                   struct sim_zone *zones,
                   const struct sim_zone_handles *handles,
                   struct sim_zone_op *ret)
{
    uint64_t roll = sim_pick(loop, 100);
    struct sim_zone *zone;

    *ret = (struct sim_zone_op){.zone = sim_pick(loop, plan->zones)};
    ret->to_zone = ret->zone;
    zone = &zones[ret->zone];
    if (zone->nsid == 0)
        choose_of_zone(ret, zone,
                       roll < 60 && !zone->ending ? REQUEST_MKDIR
                                                  : REQUEST_LOOKUP);
    else if (roll < 6)
        choose_of_zone(ret, zone, roll < 2 ? REQUEST_LOOKUP : REQUEST_GETXATTR);
    else if (zone->eventual)
        choose_eventual(loop, plan, zones, handles, ret);
    else
        choose_strong(loop, plan, zones, handles, ret);
}

/* Each that wants it keeps all others from it. */
static bool gives_way(struct sim_loop *loop, struct sim_zone *zone,
                      const struct sim_zone_op *op)
{
    if (!op->of_zone || op->kind != REQUEST_SETXATTR)
        return false;
    if (loop->now_ns < zone->switch_ns && sim_pick(loop, 10) != 0)
        return true;
    zone->switch_ns = loop->now_ns + 4 * second_ns;
    return false;
}

static bool is_to_strong(const struct sim_zone_op *op)
{
    return op->kind == REQUEST_SETXATTR && sim_zone_is_of_mode(op) &&
           !op->to_eventual;
}

/* Somebody is to be away when a zone becomes strong: with all there it is the
 * same as without force, which has its own seeds. */
static void choose_force(struct sim_loop *loop, const struct sim_plan *plan,
                         struct sim_zone *zones,
                         const struct sim_zone_handles *handles, bool is_away,
                         struct sim_zone_op *op)
{
    struct sim_zone *zone = &zones[op->zone];

    if (!plan->zones_force || zone->nsid == 0 || !zone->eventual)
        return;
    if (is_away && sim_pick(loop, FORCE_EVERY) == 0) {
        *op = (struct sim_zone_op){.zone = op->zone, .to_zone = op->zone};
        choose_mode(op, zone, false);
    } else if (!is_away && !zone->ending && is_to_strong(op) &&
               sim_pick(loop, 30) != 0) {
        *op = (struct sim_zone_op){.zone = op->zone, .to_zone = op->zone};
        choose_file_op(loop, plan, zone, handles, op);
    }
    op->by_force = is_to_strong(op) && (is_away || sim_pick(loop, 4) == 0);
}

void sim_zone_choose(struct sim_loop *loop, const struct sim_plan *plan,
                     struct sim_zone *zones,
                     const struct sim_zone_handles *handles, bool is_away,
                     struct sim_zone_op *ret)
{
    struct sim_zone *zone;

    choose(loop, plan, zones, handles, ret);
    choose_force(loop, plan, zones, handles, is_away, ret);
    zone = &zones[ret->zone];
    if (!gives_way(loop, zone, ret))
        return;
    *ret = (struct sim_zone_op){.zone = ret->zone, .to_zone = ret->zone};
    choose_file_op(loop, plan, zone, handles, ret);
}
