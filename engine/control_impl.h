/* SPDX-License-Identifier: Apache-2.0 */

/* What the files control*.c share; for them only. */

#ifndef GROVEFS_ENGINE_CONTROL_IMPL_H
#define GROVEFS_ENGINE_CONTROL_IMPL_H

#include "engine/command.h"
#include "engine/control.h"
#include "engine/keys.h"
#include "engine/router.h"

/* What a text asks for: `command` of the leaders of these regions. A
 * COMMAND_CHECK_GOAL is followed by COMMAND_BEGIN_GOAL. */
struct order {
    enum call_kind kind;
    struct command command;
    struct key place; /* that it borrows from */
    uint64_t *regions;
    size_t region_count;
    size_t region_count_max;
};

/* A control file. `ret_why` has, in words, what is wrong with the text. */
struct control {
    const char *name;
    bool is_of_region; /* the object is one */
    int (*parse)(struct node *node, uint64_t object, struct slice text,
                 struct order *order, const char **ret_why);
    /* Whether this node's tables show that it was done; NULL: they do. */
    bool (*is_seen)(struct control_op *op);
    /* Does it on this node, of which alone it is a matter: nobody else is asked
     * for anything. NULL: leaders are. */
    void (*start_here)(struct control_op *op);
};

void control_add_region(struct order *order, uint64_t region);
/* The text without blanks and newlines around it. */
struct slice control_trim(struct slice text);
int control_parse_number(struct slice word, uint64_t *ret);

/* control_region.c: the object is a region; a check has none. */

/* ERR_NOT_FOUND, with the reason: none is known here. */
int control_find_region(struct node *node, uint64_t region,
                        const char **ret_why);
int control_parse_check(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why);
int control_parse_transfer(struct node *node, uint64_t object,
                           struct slice text, struct order *order,
                           const char **ret_why);
int control_parse_split(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why);
int control_parse_merge(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why);
bool control_transfer_is_seen(struct control_op *op);
bool control_split_is_seen(struct control_op *op);
bool control_merge_is_seen(struct control_op *op);

/* control_node.c: the object is a node. */
bool control_is_node(struct node *node, uint64_t id);
int control_parse_drain(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why);
int control_parse_remove(struct node *node, uint64_t object, struct slice text,
                         struct order *order, const char **ret_why);
bool control_node_state_is_seen(struct control_op *op);

/* control_placement.c: what region 0 is asked for. The object of a setting is
 * an enum setting. */
int control_parse_move(struct node *node, uint64_t region, struct slice text,
                       struct order *order, const char **ret_why);
int control_parse_operator(struct node *node, uint64_t region,
                           struct slice text, struct order *order,
                           const char **ret_why);
bool control_move_is_seen(struct control_op *op);
int control_parse_setting(struct node *node, uint64_t object, struct slice text,
                          struct order *order, const char **ret_why);
bool control_setting_is_seen(struct control_op *op);

/* control_quarantine.c: the object is a number in this node's quarantine. */
int control_parse_drop(struct node *node, uint64_t number, struct slice text,
                       struct order *order, const char **ret_why);
void control_start_drop(struct control_op *op);

#endif
