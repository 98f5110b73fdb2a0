/* SPDX-License-Identifier: Apache-2.0 */

/* What one node says of its replicas, as that node keeps it and as the others
 * know it. Most of thousands of replicas do not change for hours, so only
 * changes travel.
 *
 * Each change of the list has the next number. Whoever was told up to some
 * number needs those behind it, and says so (status_board.c); what got lost
 * is simply told again. Whoever starts from 0 gets everything. A list that
 * lost a row becomes another one, with another id, of which nobody knows
 * anything.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_STATUS_LIST_H
#define GROVEFS_ENGINE_STATUS_LIST_H

#include "engine/wire.h"

struct status_row;

struct status_list { /* private but for the two numbers */
    uint64_t id;
    uint64_t change;                             /* of the last change */
    struct status_row *rows;                     /* by region */
    TAILQ_HEAD(status_rows, status_row) changed; /* by ascending number */
};

void status_list_init(struct status_list *list, uint64_t id);
void status_list_release(struct status_list *list);

/* Adds the row or replaces it; nothing happens when it is the same. */
void status_list_put(struct status_list *list,
                     const struct region_status *status);
void status_list_remove(struct status_list *list, uint64_t region);
/* NULL: none. */
const struct region_status *status_list_find(const struct status_list *list,
                                             uint64_t region);
/* In no order: the one behind `status`, which is of the list, or the first one
 * for NULL; NULL at the end. */
const struct region_status *
status_list_next(const struct status_list *list,
                 const struct region_status *status);
/* Counts the rows, and those of regions that the node leads. */
void status_list_count(const struct status_list *list, uint64_t node_id,
                       size_t *ret_regions, size_t *ret_leaders);

/* Sets what is to be told to somebody who knows the list up to `base`, as much
 * as fits: `changes`, which borrow from `regions`. */
void status_list_changes(const struct status_list *list, uint64_t base,
                         struct region_status regions[STATUS_REGIONS_MAX],
                         struct status_changes *ret);
/* Takes over what was told, unless something before it is missing. */
void status_list_follow(struct status_list *list,
                        const struct status_changes *changes);

#endif
