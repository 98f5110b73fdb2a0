/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_choice.h"

#include "engine/engine.h"

enum { KNOWN_DIRS_MAX = 8 };

/* ---- what is known of the tree ---- */

void sim_choice_learn(struct sim_choice *choice, uint64_t dir, uint8_t name,
                      uint64_t ino)
{
    struct sim_known *slot = NULL;

    for (size_t i = 0; i < choice->known_count; i++)
        if (choice->known[i].dir == dir && choice->known[i].name == name)
            slot = &choice->known[i];
    if (slot == NULL && choice->known_count < SIM_KNOWN_MAX)
        slot = &choice->known[choice->known_count++];
    if (slot == NULL)
        slot = &choice->known[sim_pick(choice->loop, SIM_KNOWN_MAX)];
    *slot = (struct sim_known){dir, name, ino};
}

uint64_t sim_choice_known_ino(const struct sim_choice *choice, uint64_t dir,
                              uint8_t name)
{
    for (size_t i = 0; i < choice->known_count; i++)
        if (choice->known[i].dir == dir && choice->known[i].name == name)
            return choice->known[i].ino;
    return 0;
}

static size_t count_known_dirs(const struct sim_choice *choice)
{
    size_t count = 0;

    for (size_t i = 0; i < choice->known_count; i++)
        count += (choice->known[i].ino & INO_DIR_BIT) != 0;
    return count;
}

/* Mostly the root, else a directory that was there once. */
static uint64_t pick_dir(struct sim_choice *choice)
{
    size_t first;

    if (choice->known_count == 0 || sim_pick(choice->loop, 3) == 0)
        return NSID_ROOT;
    first = (size_t)sim_pick(choice->loop, choice->known_count);
    for (size_t i = 0; i < choice->known_count; i++) {
        const struct sim_known *known =
            &choice->known[(first + i) % choice->known_count];

        if ((known->ino & INO_DIR_BIT) != 0)
            return nsid_of_ino(known->ino);
    }
    return NSID_ROOT;
}

static uint8_t pick_name(struct sim_choice *choice)
{
    return (uint8_t)sim_pick(choice->loop, choice->plan->names);
}

/* Directories have names of their own mostly, but files get in their way. */
static uint8_t pick_dir_name(struct sim_choice *choice)
{
    const struct sim_plan *plan = choice->plan;

    if (sim_pick(choice->loop, 8) == 0)
        return pick_name(choice);
    return (uint8_t)(plan->names + sim_pick(choice->loop, plan->dir_names));
}

/* ---- what is done ---- */

static uint32_t pick_piece(struct sim_choice *choice)
{
    if (sim_chance(choice->loop, choice->plan->large_per_million))
        return (uint32_t)sim_between(choice->loop, 60000, 140000);
    return (uint32_t)sim_between(choice->loop, SIM_PIECE_HEADER, 60);
}

static unsigned pick_xattr_flags(struct sim_choice *choice)
{
    uint64_t roll = sim_pick(choice->loop, 4);

    return roll == 0   ? REQUEST_XATTR_CREATE
           : roll == 1 ? REQUEST_XATTR_REPLACE
                       : 0;
}

/* Of the file or directory that `op->ino` stands for. */
static void plan_attribute_op(struct sim_choice *choice, struct sim_op *op)
{
    static const enum request_kind kinds[] = {
        REQUEST_GETATTR,  REQUEST_SETATTR,  REQUEST_GETXATTR,
        REQUEST_SETXATTR, REQUEST_SETXATTR, REQUEST_REMOVEXATTR};

    op->kind = REQUEST_GETATTR;
    if (choice->plan->attributes)
        op->kind = kinds[sim_pick(choice->loop, ARRAY_SIZE(kinds))];
    if (op->kind == REQUEST_SETXATTR)
        op->flags = pick_xattr_flags(choice);
}

static void plan_file_op(struct sim_choice *choice, struct sim_op *op)
{
    uint64_t roll = sim_pick(choice->loop, 100);

    op->dir = pick_dir(choice);
    op->name = pick_name(choice);
    op->ino = sim_choice_known_ino(choice, op->dir, op->name);
    if (op->ino == 0 || roll < 14) {
        op->ino = 0;
        op->kind =
            sim_pick(choice->loop, 3) == 0 ? REQUEST_LOOKUP : REQUEST_CREATE;
        if (op->kind == REQUEST_CREATE && sim_pick(choice->loop, 2) == 0)
            op->flags = REQUEST_EXCLUSIVE;
        if (op->kind == REQUEST_CREATE && sim_pick(choice->loop, 4) == 0)
            op->piece_size = pick_piece(choice);
    } else if (roll < 30) {
        op->kind = REQUEST_READ;
    } else if (roll < 50) {
        op->kind = REQUEST_WRITE;
        op->flags = REQUEST_TRUNCATE;
        op->piece_size = pick_piece(choice);
    } else if (roll < 65) {
        op->kind = REQUEST_WRITE;
        op->flags = REQUEST_APPEND;
        op->piece_size = pick_piece(choice);
    } else if (roll < 76) {
        op->kind = REQUEST_LOOKUP;
    } else if (roll < 90 && !choice->plan->few_kinds) {
        plan_attribute_op(choice, op);
    } else {
        op->kind = REQUEST_UNLINK;
    }
    if (op->kind == REQUEST_LOOKUP || op->kind == REQUEST_UNLINK)
        op->ino = 0;
}

static unsigned pick_rename_flags(struct sim_choice *choice)
{
    uint64_t roll = sim_pick(choice->loop, 5);

    if (roll == 0)
        return REQUEST_NOREPLACE;
    return roll == 1 && choice->plan->exchanges ? REQUEST_EXCHANGE : 0;
}

static void plan_rename(struct sim_choice *choice, struct sim_op *op)
{
    op->kind = REQUEST_RENAME;
    op->flags = pick_rename_flags(choice);
    op->name = pick_name(choice);
    op->to_dir = pick_dir(choice);
    op->to_name = pick_name(choice);
}

static uint8_t pick_behind(struct sim_choice *choice)
{
    return sim_pick(choice->loop, 2) == 0
               ? SIM_NAMES_MAX
               : (uint8_t)sim_pick(choice->loop, SIM_NAMES_MAX);
}

static void plan_dir_op(struct sim_choice *choice, struct sim_op *op)
{
    uint64_t roll = sim_pick(choice->loop, 100);

    op->dir = pick_dir(choice);
    op->name = pick_dir_name(choice);
    if (roll < 30 && count_known_dirs(choice) < KNOWN_DIRS_MAX) {
        op->kind = REQUEST_MKDIR;
    } else if (roll < 50) {
        op->kind = REQUEST_RMDIR;
    } else if (roll < 60) {
        op->kind = REQUEST_LOOKUP;
    } else if (roll < 72) {
        op->kind = REQUEST_READDIR;
        op->behind = pick_behind(choice);
    } else if (roll < 74 || (roll < 82 && op->dir == NSID_ROOT)) {
        op->kind = REQUEST_GETATTR;
        op->ino = ino_of_nsid(op->dir);
    } else if (roll < 82) {
        plan_attribute_op(choice, op);
        op->ino = ino_of_nsid(op->dir);
    } else {
        op->kind = REQUEST_RENAME;
        op->flags = pick_rename_flags(choice);
        op->to_dir = pick_dir(choice);
        op->to_name = pick_dir_name(choice);
    }
}

void sim_choice_plan(struct sim_choice *choice, struct sim_op *op)
{
    const struct sim_plan *plan = choice->plan;
    uint64_t roll = sim_pick(choice->loop, 100);

    if (plan->few_kinds || (plan->dir_names == 0 && roll < 70)) {
        plan_file_op(choice, op);
        if (plan->few_kinds)
            op->dir = NSID_ROOT;
    } else if (roll < 50) {
        plan_file_op(choice, op);
    } else if (roll < 62 || plan->dir_names == 0) {
        op->dir = pick_dir(choice);
        plan_rename(choice, op);
    } else {
        plan_dir_op(choice, op);
    }
}
