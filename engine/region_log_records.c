/* SPDX-License-Identifier: Apache-2.0 */

/* The records in log/ that a region's log is made of: its entries, where it
 * starts, the hard state, and whose it is. */

#include "engine/keys.h"
#include "engine/region_log_impl.h"

enum { ENTRY_HEADER_SIZE = 10 };

/* ---- reading ---- */

int region_log_decode_entry(struct slice bytes, uint64_t index,
                            struct raft_entry *ret)
{
    const uint8_t *from = bytes.data;

    if (bytes.size < ENTRY_HEADER_SIZE ||
        from[1] > (uint8_t)RAFT_ENTRY_CONF_CHANGE_V2)
        return ERR_CORRUPT;
    if (from[0] != LOG_ENTRY_FORMAT)
        return ERR_VERSION;
    *ret = (struct raft_entry){
        .index = index,
        .type = (enum raft_entry_type)from[1],
        .term = be64_get(from + 2),
    };
    if (bytes.size > ENTRY_HEADER_SIZE)
        ret->data =
            buf_copy(from + ENTRY_HEADER_SIZE, bytes.size - ENTRY_HEADER_SIZE);
    return 0;
}

int region_log_read_entry(struct env *env, uint64_t region, uint64_t index,
                          struct raft_entry *ret)
{
    struct key key = key_log_entry(region, index);
    struct kv_value value = {0};
    int rc = kv_get(env->log, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    rc = region_log_decode_entry((struct slice){value.data, value.size}, index,
                                 ret);
    kv_value_release(&value);
    return rc;
}

int region_log_read_state(struct env *env, uint64_t region,
                          struct log_start *start, struct hard_state *state)
{
    struct key start_key = key_log_start(region);
    struct key state_key = key_hard_state(region);
    struct kv_value value = {0};
    int rc;

    rc = kv_get(env->log, NULL, key_slice(&start_key), &value);
    if (rc == 0)
        rc = log_start_decode(start, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    rc = kv_get(env->log, NULL, key_slice(&state_key), &value);
    if (rc == 0)
        rc = hard_state_decode(state, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int region_log_peer(struct env *env, uint64_t region, uint64_t *ret_peer_id)
{
    struct key key = key_log_peer(region);
    struct kv_value value = {0};
    int rc = kv_get(env->log, NULL, key_slice(&key), &value);

    if (rc == 0 && value.size != sizeof *ret_peer_id)
        rc = ERR_CORRUPT;
    if (rc == 0)
        *ret_peer_id = be64_get(value.data);
    kv_value_release(&value);
    return rc;
}

/* ---- writing ---- */

void region_log_put_entry(struct kv_batch *batch, uint64_t region,
                          const struct raft_entry *entry)
{
    struct key key = key_log_entry(region, entry->index);
    uint8_t header[ENTRY_HEADER_SIZE] = {LOG_ENTRY_FORMAT,
                                         (uint8_t)entry->type};
    struct slice parts[2] = {{header, sizeof header}, {NULL, 0}};

    be64_put(header + 2, entry->term);
    if (entry->data != NULL)
        parts[1] = (struct slice){entry->data->data, entry->data->size};
    kv_batch_put_parts(batch, key_slice(&key), parts,
                       entry->data != NULL ? 2 : 1);
}

void region_log_put_hard_state(struct kv_batch *batch, uint64_t region,
                               const struct hard_state *state)
{
    struct key key = key_hard_state(region);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = hard_state_encode(state, bytes);

    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
}

void region_log_put_start(struct kv_batch *batch, uint64_t region,
                          const struct log_start *start)
{
    struct key key = key_log_start(region);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = log_start_encode(start, bytes);

    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
}

void region_log_put_peer(struct kv_batch *batch, uint64_t region,
                         uint64_t peer_id)
{
    struct key key = key_log_peer(region);
    uint8_t bytes[8];

    be64_put(bytes, peer_id);
    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, sizeof bytes});
}

void region_log_found(struct kv_batch *batch, uint64_t region,
                      const struct log_start *start,
                      const struct hard_state *state)
{
    region_log_put_start(batch, region, start);
    region_log_put_hard_state(batch, region, state);
}
