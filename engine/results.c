/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/results.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"

/* Sequences whose results are stored, ascending but for late comers. */
struct known_sender {
    uint64_t node;
    struct sender sender;
    uint64_t sequence_max; /* of those ever remembered in this boot */
    uint64_t *sequences;
    size_t sequence_count;
    size_t sequence_count_max;
};

struct results {
    struct kv *state;
    uint64_t region;
    struct known_sender *senders;
    size_t sender_count;
    size_t sender_count_max;
};

static struct known_sender *find_sender(struct results *results, uint64_t node)
{
    for (size_t i = 0; i < results->sender_count; i++)
        if (results->senders[i].node == node)
            return &results->senders[i];
    return NULL;
}

static struct known_sender *add_sender(struct results *results, uint64_t node)
{
    struct known_sender *known;

    results->senders =
        mem_grow(results->senders, sizeof *results->senders,
                 &results->sender_count_max, results->sender_count + 1);
    known = &results->senders[results->sender_count++];
    *known = (struct known_sender){.node = node};
    return known;
}

static void remember(struct known_sender *known, uint64_t sequence)
{
    known->sequences =
        mem_grow(known->sequences, sizeof *known->sequences,
                 &known->sequence_count_max, known->sequence_count + 1);
    known->sequences[known->sequence_count++] = sequence;
    if (sequence > known->sequence_max)
        known->sequence_max = sequence;
}

/* ---- open ---- */

/* Keys are 'm' region node [sequence]. */
static int load_one(struct results *results, const struct kv_iter *iter)
{
    struct slice key = kv_iter_key(iter);
    const uint8_t *bytes = key.data;
    struct known_sender *known;
    uint64_t node;

    if (key.size != 17 && key.size != 25)
        return ERR_CORRUPT;
    node = be64_get(bytes + 9);
    known = find_sender(results, node);
    if (key.size == 17)
        return sender_decode(&add_sender(results, node)->sender,
                             kv_iter_value(iter));
    if (known == NULL)
        return ERR_CORRUPT; /* The sender's own key sorts first. */
    remember(known, be64_get(bytes + 17));
    return 0;
}

int results_open(struct results **ret, struct kv *state, uint64_t region)
{
    struct results *results = mem_zalloc(sizeof *results);
    struct key lower = key_sender(region, 0);
    struct key upper = key_sender(region + 1, 0);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    results->state = state;
    results->region = region;
    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = load_one(results, iter);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc != 0) {
        results_free(results);
        return rc;
    }
    *ret = results;
    return 0;
}

void results_free(struct results *results)
{
    if (results == NULL)
        return;
    for (size_t i = 0; i < results->sender_count; i++)
        free(results->senders[i].sequences);
    free(results->senders);
    free(results);
}

/* ---- find ---- */

static bool is_remembered(const struct known_sender *known, uint64_t sequence)
{
    if (sequence > known->sequence_max)
        return false; /* As nearly all are. */
    for (size_t i = known->sequence_count; i > 0; i--)
        if (known->sequences[i - 1] == sequence)
            return true;
    return false;
}

/* The sequence that the sender must still hold for the command to count. When
 * its transaction is given up, a PREPARE would leave intents that nobody
 * resolves, and a DECIDE would not find the memory of an abort, which went with
 * that (forget_aborts). */
static uint64_t needed_sequence(const struct command *command)
{
    bool of_txn =
        command->op == COMMAND_TXN_PREPARE || command->op == COMMAND_TXN_DECIDE;

    if (of_txn && command->txn.id.node == command->node &&
        command->txn.id.sequence < command->sequence)
        return command->txn.id.sequence;
    return command->sequence;
}

int results_find(struct results *results, const struct command *command,
                 struct buf **ret)
{
    const struct known_sender *known = find_sender(results, command->node);
    struct key key =
        key_result(results->region, command->node, command->sequence);
    struct kv_value value = {0};
    int rc;

    if (known == NULL || command->boot > known->sender.boot)
        return ERR_NOT_FOUND;
    if (command->boot < known->sender.boot ||
        needed_sequence(command) < known->sender.lowest)
        return ERR_CANCELED;
    if (!is_remembered(known, command->sequence))
        return ERR_NOT_FOUND;
    rc = kv_get(results->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    *ret = buf_copy(value.data, value.size);
    kv_value_release(&value);
    return 0;
}

/* ---- add ---- */

static void forget(struct results *results, struct known_sender *known,
                   uint64_t lowest, struct kv_batch *batch)
{
    size_t kept = 0;

    for (size_t i = 0; i < known->sequence_count; i++) {
        uint64_t sequence = known->sequences[i];

        if (sequence >= lowest) {
            known->sequences[kept++] = sequence;
        } else {
            struct key key = key_result(results->region, known->node, sequence);

            kv_batch_delete(batch, key_slice(&key));
        }
    }
    known->sequence_count = kept;
}

/* Aborts are remembered until nobody can ask to commit them any more. */
static void forget_aborts(struct results *results,
                          const struct known_sender *known,
                          struct kv_batch *batch)
{
    struct key lower = key_decision(known->node, 0, 0);
    struct key upper =
        key_decision(known->node, known->sender.boot, known->sender.lowest);
    struct kv_iter *iter =
        kv_iter_new(results->state, NULL, key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct decision decision = {0};

        if (decision_decode(&decision, kv_iter_value(iter)) == 0 &&
            !decision.committed)
            kv_batch_delete(batch, kv_iter_key(iter));
        decision_release(&decision);
    }
    kv_iter_free(iter);
}

/* What a sender says of itself; an older boot than is known says nothing. */
static void update_sender(struct results *results, struct known_sender *known,
                          const struct sender *sender, struct kv_batch *batch)
{
    struct key key = key_sender(results->region, known->node);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size;

    if (sender->boot > known->sender.boot) {
        forget(results, known, UINT64_MAX, batch);
        known->sequence_max = 0;
        known->sender = (struct sender){.boot = sender->boot};
    } else if (sender->boot < known->sender.boot ||
               sender->lowest <= known->sender.lowest) {
        return;
    }
    known->sender.lowest = sender->lowest;
    forget(results, known, sender->lowest, batch);
    size = sender_encode(&known->sender, bytes);
    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
    if (results->region == 0)
        forget_aborts(results, known, batch);
}

void results_add(struct results *results, const struct command *command,
                 const struct buf *result, struct kv_batch *batch)
{
    struct known_sender *known = find_sender(results, command->node);
    const struct sender sender = {command->boot, command->lowest};
    struct key key =
        key_result(results->region, command->node, command->sequence);

    if (known == NULL)
        known = add_sender(results, command->node);
    update_sender(results, known, &sender, batch);
    if (command->sequence < known->sender.lowest)
        return;
    remember(known, command->sequence);
    kv_batch_put(batch, key_slice(&key), buf_slice(result));
}

/* ---- two regions become one ---- */

static int copy_result(struct results *results, uint64_t from_region,
                       uint64_t node, uint64_t sequence, struct kv_batch *batch)
{
    struct key from = key_result(from_region, node, sequence);
    struct key to = key_result(results->region, node, sequence);
    struct kv_value value = {0};
    int rc = kv_get(results->state, NULL, key_slice(&from), &value);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    kv_batch_put(batch, key_slice(&to), (struct slice){value.data, value.size});
    kv_value_release(&value);
    return 0;
}

/* What both remember they have from a time when they were one. */
static int unite_sender(struct results *results, uint64_t from_region,
                        const struct known_sender *from, struct kv_batch *batch)
{
    struct known_sender *known = find_sender(results, from->node);

    if (known == NULL)
        known = add_sender(results, from->node);
    update_sender(results, known, &from->sender, batch);
    if (from->sender.boot < known->sender.boot)
        return 0;
    for (size_t i = 0; i < from->sequence_count; i++) {
        uint64_t sequence = from->sequences[i];
        int rc;

        if (sequence < known->sender.lowest || is_remembered(known, sequence))
            continue;
        rc = copy_result(results, from_region, from->node, sequence, batch);
        if (rc != 0)
            return rc;
        remember(known, sequence);
    }
    return 0;
}

int results_unite(struct results *results, uint64_t from_region,
                  struct kv_batch *batch)
{
    struct results *from = NULL;
    int rc = results_open(&from, results->state, from_region);

    for (size_t i = 0; rc == 0 && i < from->sender_count; i++)
        rc = unite_sender(results, from_region, &from->senders[i], batch);
    results_free(from);
    return rc;
}

/* ---- a new region ---- */

int results_copy(struct kv *state, uint64_t from_region, uint64_t to_region,
                 struct kv_batch *batch)
{
    struct key begin = key_sender(from_region, 0);
    struct key end = key_sender(from_region + 1, 0);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&begin), key_slice(&end));
    int rc = 0;

    for (kv_iter_seek(iter, key_slice(&begin)); kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct slice from = kv_iter_key(iter);
        struct key key = {.size = from.size};

        if (from.size > sizeof key.data) {
            rc = ERR_CORRUPT;
            break;
        }
        memcpy(key.data, from.data, from.size);
        be64_put(key.data + 1, to_region);
        kv_batch_put(batch, key_slice(&key), kv_iter_value(iter));
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}
