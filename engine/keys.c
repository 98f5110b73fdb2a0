/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/keys.h"

#include <assert.h>
#include <string.h>

void be32_put(uint8_t *to, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(number >> (24 - 8 * i));
}

uint32_t be32_get(const uint8_t *from)
{
    uint32_t number = 0;

    for (unsigned i = 0; i < 4; i++)
        number = number << 8 | from[i];
    return number;
}

void be64_put(uint8_t *to, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(number >> (56 - 8 * i));
}

uint64_t be64_get(const uint8_t *from)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++)
        number = number << 8 | from[i];
    return number;
}

static void add_byte(struct key *key, int byte)
{
    key->data[key->size++] = (uint8_t)byte;
}

static void add_number(struct key *key, uint64_t number)
{
    be64_put(key->data + key->size, number);
    key->size += 8;
}

static void add_name(struct key *key, struct slice name)
{
    assert(name.size <= NAME_SIZE_MAX);
    if (name.size > 0)
        memcpy(key->data + key->size, name.data, name.size);
    key->size += name.size;
}

struct key key_user(char class, uint64_t nsid, struct slice name)
{
    struct key key;

    assert(class == 'd' || class == 'n' || class == 'v' || class == 'w' ||
           class == 'x');

    key.size = 0;
    add_byte(&key, class);
    add_number(&key, nsid);
    add_name(&key, name);
    return key;
}

/* Names contain no \0, so a chunk's key is less, and \1 is the least byte with
 * which another name can extend this one. */
struct key key_behind_entry(uint64_t nsid, struct slice name)
{
    struct key key = key_user('d', nsid, name);

    add_byte(&key, 1);
    return key;
}

struct key key_behind_namespace(char class, uint64_t nsid)
{
    struct key key;

    if (nsid < UINT64_MAX)
        return key_user(class, nsid + 1, (struct slice){NULL, 0});

    key.size = 0;
    add_byte(&key, class + 1);
    return key;
}

struct key key_chunk(uint64_t nsid, struct slice name, uint32_t number)
{
    struct key key = key_user('d', nsid, name);

    assert(name.size > 0);
    add_byte(&key, '\0');
    be32_put(key.data + key.size, number);
    key.size += 4;
    return key;
}

/* A class byte, perhaps a second one, and numbers. */
static struct key numbered(const char *class, const uint64_t *numbers,
                           size_t count)
{
    struct key key;

    key.size = 0;
    for (; *class != '\0'; class ++)
        add_byte(&key, *class);
    for (size_t i = 0; i < count; i++)
        add_number(&key, numbers[i]);
    return key;
}

struct key key_namespace(uint64_t nsid, struct slice start)
{
    const uint8_t *bytes = start.data;

    if (start.size <= KEY_NSID_SIZE || be64_get(bytes) != nsid)
        return key_user('n', nsid, (struct slice){NULL, 0});
    return key_user(
        'n', nsid,
        (struct slice){bytes + KEY_NSID_SIZE, start.size - KEY_NSID_SIZE});
}

struct key key_namespace_mark(uint64_t nsid, struct slice start)
{
    struct key key = key_namespace(nsid, start);

    key.data[0] = 'x';
    add_byte(&key, '\0');
    return key;
}

bool key_next_part(uint64_t nsid, struct slice region_end, struct key *ret)
{
    struct key behind = key_behind_namespace('d', nsid);
    struct slice end = {behind.data + 1, behind.size - 1};

    if (region_end.size == 0 || slice_compare(region_end, end) >= 0)
        return false;
    ret->size = 0;
    add_byte(ret, 'd');
    memcpy(ret->data + 1, region_end.data, region_end.size);
    ret->size += region_end.size;
    return true;
}

struct key key_directory(uint64_t nsid)
{
    return numbered("cd", &nsid, 1);
}

struct key key_directory_name(uint64_t parent, struct slice name)
{
    struct key key = numbered("cp", &parent, 1);

    add_name(&key, name);
    return key;
}

struct key key_goal(uint64_t region)
{
    return numbered("cg", &region, 1);
}

struct key key_gone_region(uint64_t region)
{
    return numbered("cm", &region, 1);
}

struct key key_id_allocator(void)
{
    return numbered("ci", NULL, 0);
}

struct key key_floor(void)
{
    return numbered("cf", NULL, 0);
}

struct key key_region_id_allocator(void)
{
    return numbered("cr", NULL, 0);
}

struct key key_left_out(uint64_t nsid, uint64_t since)
{
    const uint64_t numbers[] = {nsid, since};

    return numbered("co", numbers, ARRAY_SIZE(numbers));
}

struct key key_node(uint64_t node_id)
{
    return numbered("cn", &node_id, 1);
}

struct key key_setting(struct slice name)
{
    struct key key = numbered("cs", NULL, 0);

    add_name(&key, name);
    return key;
}

struct key key_decision(uint64_t node, uint64_t boot, uint64_t sequence)
{
    const uint64_t numbers[] = {node, boot, sequence};

    return numbered("ct", numbers, ARRAY_SIZE(numbers));
}

struct key key_sender(uint64_t region, uint64_t node)
{
    const uint64_t numbers[] = {region, node};

    return numbered("m", numbers, ARRAY_SIZE(numbers));
}

struct key key_result(uint64_t region, uint64_t node, uint64_t sequence)
{
    const uint64_t numbers[] = {region, node, sequence};

    return numbered("m", numbers, ARRAY_SIZE(numbers));
}

struct key key_region(uint64_t region)
{
    return numbered("r", &region, 1);
}

struct key key_marker(uint64_t region)
{
    return numbered("s", &region, 1);
}

struct key key_eventual_damage(uint64_t nsid, struct slice name)
{
    struct key key = numbered("ed", &nsid, 1);

    add_name(&key, name);
    return key;
}

struct key key_eventual_head(void)
{
    return numbered("eh", NULL, 0);
}

struct key key_eventual_namespace(uint64_t nsid)
{
    return numbered("en", &nsid, 1);
}

struct key key_eventual_peer(uint64_t node)
{
    return numbered("ep", &node, 1);
}

struct key key_eventual_change(uint64_t sequence)
{
    return numbered("i", &sequence, 1);
}

struct key key_eventual_removed(uint64_t hlc, uint64_t nsid, struct slice name)
{
    const uint64_t numbers[] = {hlc, nsid};
    struct key key = numbered("u", numbers, ARRAY_SIZE(numbers));

    add_name(&key, name);
    return key;
}

struct key key_quarantine_head(void)
{
    return numbered("eq", NULL, 0);
}

struct key key_quarantined(uint64_t number)
{
    return numbered("q", &number, 1);
}

struct key key_promise(void)
{
    return numbered("S", NULL, 0);
}

struct key key_fence(void)
{
    return numbered("F", NULL, 0);
}

struct key key_journal(uint64_t sequence)
{
    return numbered("E", &sequence, 1);
}

struct key key_damage(uint64_t region)
{
    return numbered("D", &region, 1);
}

struct key key_tombstone(uint64_t region)
{
    return numbered("g", &region, 1);
}

struct key key_log_peer(uint64_t region)
{
    return numbered("P", &region, 1);
}

struct key key_hard_state(uint64_t region)
{
    return numbered("H", &region, 1);
}

struct key key_identity(void)
{
    return numbered("I", NULL, 0);
}

struct key key_log_entry(uint64_t region, uint64_t index)
{
    const uint64_t numbers[] = {region, index};

    return numbered("L", numbers, ARRAY_SIZE(numbers));
}

struct key key_log_start(uint64_t region)
{
    return numbered("T", &region, 1);
}

bool key_parse_user(struct slice key, char class, uint64_t *ret_nsid,
                    struct slice *ret_name)
{
    const size_t prefix_size = 1 + KEY_NSID_SIZE;
    const uint8_t *data = key.data;
    struct slice name;

    if (key.size < prefix_size || data[0] != (uint8_t) class)
        return false;
    name = (struct slice){data + prefix_size, key.size - prefix_size};
    if (name.size > NAME_SIZE_MAX)
        return false;
    if (name.size > 0 && memchr(name.data, '\0', name.size) != NULL)
        return false;
    if (name.size == 0 && class != 'n')
        return false;

    *ret_nsid = be64_get(data + 1);
    *ret_name = name;
    return true;
}

bool key_parse_changed(struct slice value, uint64_t *ret_nsid,
                       struct slice *ret_name)
{
    const uint8_t *data = value.data;

    if (value.size <= KEY_NSID_SIZE ||
        value.size > KEY_NSID_SIZE + NAME_SIZE_MAX)
        return false;
    *ret_nsid = be64_get(data);
    *ret_name =
        (struct slice){data + KEY_NSID_SIZE, value.size - KEY_NSID_SIZE};
    return true;
}

bool key_parse_entry(struct slice key, uint64_t *ret_nsid,
                     struct slice *ret_name)
{
    return key_parse_user(key, 'd', ret_nsid, ret_name);
}

bool key_parse_directory_name(struct slice key, uint64_t *ret_parent,
                              struct slice *ret_name)
{
    const size_t prefix_size = 2 + KEY_NSID_SIZE;
    const uint8_t *data = key.data;

    if (key.size <= prefix_size || key.size > prefix_size + NAME_SIZE_MAX ||
        data[0] != 'c' || data[1] != 'p')
        return false;
    *ret_parent = be64_get(data + 2);
    *ret_name = (struct slice){data + prefix_size, key.size - prefix_size};
    return true;
}

bool key_parse_left_out(struct slice key, uint64_t *ret_nsid,
                        uint64_t *ret_since)
{
    const uint8_t *data = key.data;

    if (key.size != 2 + 8 + 8 || data[0] != 'c' || data[1] != 'o')
        return false;
    *ret_nsid = be64_get(data + 2);
    *ret_since = be64_get(data + 10);
    return true;
}

bool key_parse_sequence(struct slice key, char class, uint64_t *ret_sequence)
{
    const uint8_t *data = key.data;

    if (key.size != 1 + 8 || data[0] != (uint8_t) class)
        return false;
    *ret_sequence = be64_get(data + 1);
    return true;
}

bool key_parse_eventual_damage(struct slice key, uint64_t *ret_nsid,
                               struct slice *ret_name)
{
    const uint8_t *data = key.data;
    const size_t head = 2 + KEY_NSID_SIZE;

    if (key.size <= head || key.size > head + NAME_SIZE_MAX || data[0] != 'e' ||
        data[1] != 'd')
        return false;
    *ret_nsid = be64_get(data + 2);
    *ret_name = (struct slice){data + head, key.size - head};
    return true;
}

bool key_parse_removed(struct slice key, uint64_t *ret_hlc, uint64_t *ret_nsid,
                       struct slice *ret_name)
{
    const uint8_t *data = key.data;
    const size_t head = 1 + 8 + KEY_NSID_SIZE;

    if (key.size <= head || key.size > head + NAME_SIZE_MAX || data[0] != 'u')
        return false;
    *ret_hlc = be64_get(data + 1);
    *ret_nsid = be64_get(data + 9);
    *ret_name = (struct slice){data + head, key.size - head};
    return true;
}

bool key_parse_namespace_mark(struct slice key, uint64_t *ret_nsid)
{
    const uint8_t *data = key.data;

    if (key.size < 1 + KEY_NSID_SIZE + 1 || data[0] != 'x' ||
        data[key.size - 1] != '\0')
        return false;
    *ret_nsid = be64_get(data + 1);
    return true;
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool key_parse_region(struct slice key, uint64_t *ret_region)
{
    const uint8_t *bytes = key.data;

    if (key.size != 1 + 8)
        return false;
    *ret_region = be64_get(bytes + 1);
    return true;
}
