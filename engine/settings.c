/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/settings.h"

#include <assert.h>
#include <inttypes.h>

#include "engine/keys.h"
#include "engine/record.h"

enum kind { NUMBER, ODD, SWITCH };

static const struct {
    const char *name;
    enum kind kind;
    uint64_t usual;
    uint64_t min;
    uint64_t max;
    const char *allowed;
} table[SETTINGS] = {
    /* clang-format off */
    [SETTING_REPLICAS]    = {"replicas", ODD, 3, 1, 5,
                             "it takes 1, 3 or 5"},
    [SETTING_REGION_SIZE] = {"region_size", NUMBER, 96 << 20, 1 << 20, 1 << 30,
                             "it takes bytes, from 1048576 to 1073741824"},
    [SETTING_DOWN_AFTER]  = {"down_after", NUMBER, 300, 10, 86400,
                             "it takes seconds, from 10 to 86400"},
    [SETTING_BALANCE]     = {"balance", SWITCH, 1, 0, 1,
                             "it takes `on` or `off`"},
    [SETTING_OPERATORS]   = {"operators", NUMBER, 4, 0, 64,
                             "it takes a number from 0 to 64"},
    [SETTING_AUTO_MERGE]  = {"auto_merge", SWITCH, 0, 0, 1,
                             "it takes `on` or `off`"},
    /* clang-format on */
};

const char *setting_name(enum setting setting)
{
    return table[setting].name;
}

enum setting setting_find(struct slice name)
{
    size_t i = 0;

    while (i < SETTINGS && !slice_equal(name, slice_of(table[i].name)))
        i++;
    return (enum setting)i;
}

bool setting_allows(enum setting setting, uint64_t value)
{
    return value >= table[setting].min && value <= table[setting].max &&
           (table[setting].kind != ODD || value % 2 == 1);
}

static int parse_number(struct slice text, uint64_t *ret)
{
    const char *digits = text.data;
    uint64_t number = 0;

    if (text.size == 0 || text.size > 18)
        return ERR_INVALID;
    for (size_t i = 0; i < text.size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return ERR_INVALID;
        number = number * 10 + (uint64_t)(digits[i] - '0');
    }
    *ret = number;
    return 0;
}

static int parse_switch(struct slice text, uint64_t *ret)
{
    if (slice_equal(text, slice_of("on")))
        *ret = 1;
    else if (slice_equal(text, slice_of("off")))
        *ret = 0;
    else
        return ERR_INVALID;
    return 0;
}

int setting_parse(enum setting setting, struct slice text, uint64_t *ret,
                  const char **ret_why)
{
    uint64_t value = 0;
    int rc = table[setting].kind == SWITCH ? parse_switch(text, &value)
                                           : parse_number(text, &value);

    if (rc != 0 || !setting_allows(setting, value)) {
        *ret_why = table[setting].allowed;
        return ERR_INVALID;
    }
    *ret = value;
    return 0;
}

void setting_print(enum setting setting, uint64_t value, FILE *out)
{
    if (table[setting].kind == SWITCH)
        (void)fputs(value != 0 ? "on\n" : "off\n", out);
    else
        (void)fprintf(out, "%" PRIu64 "\n", value);
}

static int read_one(struct kv *state, enum setting setting, uint64_t *ret)
{
    struct key key = key_setting(slice_of(table[setting].name));
    struct kv_value value = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == ERR_NOT_FOUND) {
        *ret = table[setting].usual;
        return 0;
    }
    if (rc != 0)
        return rc;
    rc = setting_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

int settings_read(struct kv *state, struct settings *ret)
{
    int rc = 0;

    for (size_t i = 0; i < SETTINGS && rc == 0; i++)
        rc = read_one(state, (enum setting)i, &ret->value[i]);
    return rc;
}
