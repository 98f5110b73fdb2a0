/* SPDX-License-Identifier: Apache-2.0 */

/* The settings of the cluster: names and values that region 0 keeps, so that
 * every node has the same. A record holds what was set; a setting without one
 * has its default. The table in settings.c is all of them. Any thread. */

#ifndef GROVEFS_ENGINE_SETTINGS_H
#define GROVEFS_ENGINE_SETTINGS_H

#include <stdint.h>
#include <stdio.h>

#include "engine/kv.h"

enum setting {
    SETTING_REPLICAS,    /* of each region: 1, 3 or 5 */
    SETTING_REGION_SIZE, /* bytes that a region is meant to have */
    SETTING_DOWN_AFTER,  /* seconds until a silent node counts as lost */
    SETTING_BALANCE,     /* whether regions and leaders are spread evenly */
    SETTING_OPERATORS,   /* automatic ones at the same time */
    SETTING_AUTO_MERGE,  /* whether small neighbours are merged */
    SETTINGS
};

struct settings {
    uint64_t value[SETTINGS];
};

const char *setting_name(enum setting setting);
/* SETTINGS: there is none of this name. */
enum setting setting_find(struct slice name);
/* ERR_INVALID, and `ret_why` says what is allowed. */
int setting_parse(enum setting setting, struct slice text, uint64_t *ret,
                  const char **ret_why);
bool setting_allows(enum setting setting, uint64_t value);
/* As setting_parse() takes it. */
void setting_print(enum setting setting, uint64_t value, FILE *out);

/* From region 0's state. ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int settings_read(struct kv *state, struct settings *ret);

#endif
