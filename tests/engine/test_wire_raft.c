/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/wire.h"

enum { GIVEN_MAX = 16 };

/* What raft_batch_decode() gave out, copied. */
struct given {
    uint64_t region[GIVEN_MAX];
    struct raft_message message[GIVEN_MAX];
    size_t count;
};

static void keep(void *context, const struct raft_envelope *envelope)
{
    struct given *given = context;

    assert_in_range(given->count, 0, GIVEN_MAX - 1);
    given->region[given->count] = envelope->region;
    raft_message_copy(&given->message[given->count++], &envelope->message);
}

static void given_release(struct given *given)
{
    for (size_t i = 0; i < given->count; i++)
        raft_message_release(&given->message[i]);
}

static void ignore(void *context, const struct raft_envelope *envelope)
{
    (void)context;
    (void)envelope;
}

/* With as many payloads as the filled messages have. */
static int try_batch(struct slice bytes)
{
    struct buf *header = buf_copy(bytes.data, bytes.size);
    struct buf *payload = buf_copy("a", 1);
    struct buf *payloads[] = {payload, payload};
    struct env_packet packet = {WIRE_RAFT, header, payloads, 2};
    int rc = raft_batch_decode(&packet, ignore, NULL);

    buf_unref(payload);
    buf_unref(header);
    return rc;
}

static struct raft_message filled_append(void)
{
    struct raft_message message = {
        .type = RAFT_MSG_APP,
        .from = 1,
        .to = 2,
        .term = 3,
        .log_term = 4,
        .index = 5,
        .commit = 6,
        .vote = 7,
        .reject_hint = 8,
        .snapshot_wanted = 9,
        .known_commit = 21,
        .known_commit_term = 22,
        .context = UINT64_MAX - 10,
        .clock = UINT64_MAX - 11,
        .reject = true,
        .sleep = true,
    };
    struct buf *first = buf_copy("first", 5);
    struct buf *third = buf_copy("third", 5);
    const struct raft_entry entries[] = {
        {3, 6, RAFT_ENTRY_NORMAL, first},
        {3, 7, RAFT_ENTRY_CONF_CHANGE_V2, NULL},
        {UINT64_MAX, 8, RAFT_ENTRY_CONF_CHANGE, third},
    };

    raft_entries_copy(&message.entries, entries, ARRAY_SIZE(entries));
    buf_unref(first);
    buf_unref(third);
    return message;
}

static struct raft_snapshot filled_snapshot(void)
{
    return (struct raft_snapshot){
        .index = 10,
        .term = 11,
        .conf_state = {.voters = {3, {1, 2, 3}},
                       .voters_outgoing = {2, {4, UINT64_MAX}},
                       .learners = {1, {6}},
                       .learners_next = {1, {7}},
                       .auto_leave = true},
    };
}

/* Adds the filled append to a batch. */
static void add_append(struct raft_batch *batch, uint64_t region)
{
    struct raft_message message = filled_append();

    raft_batch_add(batch, region, &message);
    raft_message_release(&message);
}

static struct buf *append_bytes(void)
{
    struct raft_batch *batch = raft_batch_new();
    struct env_packet packet;
    struct buf *b;

    add_append(batch, 1);
    raft_batch_pack(batch, &packet);
    b = buf_ref(packet.header);
    raft_batch_free(batch);
    return b;
}

/* Packs, decodes and frees the batch. */
static struct given given_by(struct raft_batch *batch)
{
    struct given given = {.count = 0};
    struct env_packet packet;

    raft_batch_pack(batch, &packet);
    assert_int_equal(packet.type, WIRE_RAFT);
    assert_int_equal(raft_batch_decode(&packet, keep, &given), 0);
    raft_batch_free(batch);
    return given;
}

static void test_a_message_comes_back(void **state)
{
    struct raft_batch *batch = raft_batch_new();
    struct given given;
    const struct raft_message *m = &given.message[0];

    (void)state;
    add_append(batch, 77);
    given = given_by(batch);
    assert_int_equal(given.count, 1);
    assert_int_equal(given.region[0], 77);
    assert_int_equal(m->type, RAFT_MSG_APP);
    assert_true(m->from == 1 && m->to == 2 && m->term == 3);
    assert_true(m->log_term == 4 && m->index == 5 && m->commit == 6);
    assert_true(m->vote == 7 && m->reject_hint == 8);
    assert_true(m->snapshot_wanted == 9 && m->context == UINT64_MAX - 10);
    assert_true(m->known_commit == 21 && m->known_commit_term == 22);
    assert_true(m->clock == UINT64_MAX - 11 && m->reject);
    assert_true(m->sleep);
    assert_null(m->snapshot);
    given_release(&given);
}

static void test_entries_come_back_and_share_their_data(void **state)
{
    struct raft_message in = filled_append();
    struct raft_batch *batch = raft_batch_new();
    struct given given;

    (void)state;
    raft_batch_add(batch, 1, &in);
    given = given_by(batch);
    assert_int_equal(given.message[0].entries.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct raft_entry *out = &given.message[0].entries.item[i];

        assert_true(out->term == in.entries.item[i].term);
        assert_int_equal(out->index, in.entries.item[i].index);
        assert_int_equal(out->type, in.entries.item[i].type);
        assert_ptr_equal(out->data, in.entries.item[i].data);
    }
    given_release(&given);
    raft_message_release(&in);
}

static void test_messages_come_in_order_with_their_own_data(void **state)
{
    struct raft_batch *batch = raft_batch_new();
    struct raft_message beat = {.type = RAFT_MSG_HEARTBEAT, .term = 9};
    struct given given;

    (void)state;
    add_append(batch, 1);
    raft_batch_add(batch, 2, &beat);
    add_append(batch, 3);
    assert_int_equal(raft_batch_payload_count(batch), 4);
    given = given_by(batch);
    assert_int_equal(given.count, 3);
    assert_int_equal(given.message[1].entries.count, 0);
    assert_int_equal(given.message[1].term, 9);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(given.region[i], i + 1);
    assert_memory_equal(given.message[2].entries.item[0].data->data, "first",
                        5);
    assert_memory_equal(given.message[2].entries.item[2].data->data, "third",
                        5);
    given_release(&given);
}

static void assert_id_set_equal(const struct raft_id_set *a,
                                const struct raft_id_set *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->id, b->id, sizeof a->id);
}

static void assert_conf_state_equal(const struct raft_conf_state *a,
                                    const struct raft_conf_state *b)
{
    assert_id_set_equal(&a->voters, &b->voters);
    assert_id_set_equal(&a->voters_outgoing, &b->voters_outgoing);
    assert_id_set_equal(&a->learners, &b->learners);
    assert_id_set_equal(&a->learners_next, &b->learners_next);
    assert_int_equal(a->auto_leave, b->auto_leave);
}

static void test_a_snapshot_message_comes_back_without_data(void **state)
{
    struct raft_snapshot snapshot = filled_snapshot();
    struct raft_message in = {.type = RAFT_MSG_SNAP, .snapshot = &snapshot};
    struct raft_batch *batch = raft_batch_new();
    struct given given;
    const struct raft_snapshot *out;

    (void)state;
    snapshot.data = buf_copy("data", 4);
    raft_batch_add(batch, 1, &in);
    buf_unref(snapshot.data);
    given = given_by(batch);
    out = given.message[0].snapshot;
    assert_non_null(out);
    assert_int_equal(out->index, 10);
    assert_int_equal(out->term, 11);
    assert_conf_state_equal(&out->conf_state, &snapshot.conf_state);
    assert_null(out->data);
    given_release(&given);
}

static void test_an_empty_batch_gives_nothing(void **state)
{
    struct given given = given_by(raft_batch_new());

    (void)state;
    assert_int_equal(given.count, 0);
    raft_batch_free(NULL);
}

static void test_the_size_counts_header_and_payloads(void **state)
{
    struct raft_batch *batch = raft_batch_new();
    struct env_packet packet;

    (void)state;
    assert_int_equal(raft_batch_size_bytes(batch), 0);
    for (unsigned i = 0; i < 100; i++)
        add_append(batch, i);
    raft_batch_pack(batch, &packet);
    assert_int_equal(packet.payload_count, 200);
    assert_int_equal(raft_batch_size_bytes(batch),
                     packet.header->size + 200 * 5);
    raft_batch_free(batch);
}

/* A size of two bytes in front of the message. */
static void test_a_message_of_many_entries_comes_back(void **state)
{
    struct raft_batch *batch = raft_batch_new();
    struct raft_message in = {.type = RAFT_MSG_APP};
    struct given given;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        raft_entries_append(&in.entries, &(struct raft_entry){1, i, 0, NULL});
    raft_batch_add(batch, 1, &in);
    given = given_by(batch);
    assert_int_equal(given.message[0].entries.count, 1000);
    assert_int_equal(given.message[0].entries.item[999].index, 999);
    given_release(&given);
    raft_message_release(&in);
}

static void test_the_number_of_payloads_must_fit(void **state)
{
    struct buf *header = append_bytes();
    struct buf *payload = buf_copy("a", 1);
    struct buf *payloads[] = {payload, payload, payload};
    struct env_packet packet = {WIRE_RAFT, header, payloads, 0};
    struct given given = {.count = 0};

    (void)state;
    for (packet.payload_count = 0; packet.payload_count <= 3;
         packet.payload_count++)
        if (packet.payload_count != 2)
            assert_int_equal(raft_batch_decode(&packet, keep, &given),
                             ERR_PROTOCOL);
    packet.payload_count = 2;
    payloads[1] = NULL;
    assert_int_equal(raft_batch_decode(&packet, keep, &given), ERR_PROTOCOL);
    assert_int_equal(given.count, 0);
    buf_unref(payload);
    buf_unref(header);
}

/* A batch of one message of this type, and with a snapshot if there is one. */
static int decode_type(unsigned type, const struct buf *snapshot)
{
    struct buf *message = with_number(buf_copy("", 0), 2, type);
    struct buf *header;
    struct env_packet packet = {.type = WIRE_RAFT};
    int rc;

    if (snapshot != NULL)
        message = with_bytes(message, 15, buf_slice(snapshot));
    header = with_bytes(buf_copy("", 0), 1, buf_slice(message));
    packet.header = header;
    rc = raft_batch_decode(&packet, ignore, NULL);
    buf_unref(message);
    buf_unref(header);
    return rc;
}

static void test_local_and_unknown_types_are_refused(void **state)
{
    static const unsigned refused[] = {
        RAFT_MSG_HUP,           RAFT_MSG_BEAT,
        RAFT_MSG_UNREACHABLE,   RAFT_MSG_SNAP_STATUS,
        RAFT_MSG_CHECK_QUORUM,  RAFT_MSG_STORAGE_APPEND,
        RAFT_MSG_STORAGE_APPLY, RAFT_MSG_FORGET_LEADER,
        RAFT_MESSAGE_TYPES,     UINT32_MAX,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_int_equal(decode_type(refused[i], NULL), ERR_PROTOCOL);
    assert_int_equal(decode_type(RAFT_MSG_VOTE, NULL), 0);
    assert_int_equal(decode_type(RAFT_MSG_PRE_VOTE_RESP, NULL), 0);
}

static void test_a_snapshot_belongs_to_its_type_only(void **state)
{
    struct buf *snapshot = with_number(buf_copy("", 0), 1, 5);
    struct buf *none = buf_copy("", 0);

    (void)state;
    assert_int_equal(decode_type(RAFT_MSG_SNAP, snapshot), 0);
    assert_int_equal(decode_type(RAFT_MSG_SNAP, NULL), ERR_PROTOCOL);
    assert_int_equal(decode_type(RAFT_MSG_SNAP, none), ERR_PROTOCOL);
    assert_int_equal(decode_type(RAFT_MSG_APP, snapshot), ERR_PROTOCOL);
    buf_unref(snapshot);
    buf_unref(none);
}

static void test_a_snapshot_has_a_bounded_number_of_peers(void **state)
{
    (void)state;
    for (unsigned field = 3; field <= 6; field++) {
        struct buf *fits = with_bytes(with_number(buf_copy("", 0), 1, 5), field,
                                      letters(RAFT_PEERS_MAX));
        struct buf *more = with_bytes(with_number(buf_copy("", 0), 1, 5), field,
                                      letters(RAFT_PEERS_MAX + 1));

        assert_int_equal(decode_type(RAFT_MSG_SNAP, fits), 0);
        assert_int_equal(decode_type(RAFT_MSG_SNAP, more), ERR_PROTOCOL);
        buf_unref(fits);
        buf_unref(more);
    }
}

/* Nothing of a malformed batch is given out, not even what came before. */
static void test_a_batch_is_taken_whole_or_not_at_all(void **state)
{
    struct buf *message = with_number(buf_copy("", 0), 2, RAFT_MSG_HUP);
    struct buf *header = with_bytes(append_bytes(), 1, buf_slice(message));
    struct buf *payload = buf_copy("a", 1);
    struct buf *payloads[] = {payload, payload};
    struct env_packet packet = {WIRE_RAFT, header, payloads, 2};
    struct given given = {.count = 0};

    (void)state;
    assert_int_equal(raft_batch_decode(&packet, keep, &given), ERR_PROTOCOL);
    assert_int_equal(given.count, 0);
    buf_unref(message);
    buf_unref(header);
    buf_unref(payload);
}

static void test_damaged_batches_are_survived(void **state)
{
    (void)state;
    assert_damage_is_survived(try_batch, append_bytes());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_comes_back),
        cmocka_unit_test(test_entries_come_back_and_share_their_data),
        cmocka_unit_test(test_messages_come_in_order_with_their_own_data),
        cmocka_unit_test(test_a_snapshot_message_comes_back_without_data),
        cmocka_unit_test(test_an_empty_batch_gives_nothing),
        cmocka_unit_test(test_the_size_counts_header_and_payloads),
        cmocka_unit_test(test_a_message_of_many_entries_comes_back),
        cmocka_unit_test(test_the_number_of_payloads_must_fit),
        cmocka_unit_test(test_local_and_unknown_types_are_refused),
        cmocka_unit_test(test_a_snapshot_belongs_to_its_type_only),
        cmocka_unit_test(test_a_snapshot_has_a_bounded_number_of_peers),
        cmocka_unit_test(test_a_batch_is_taken_whole_or_not_at_all),
        cmocka_unit_test(test_damaged_batches_are_survived),
    };

    return cmocka_run_group_tests_name("wire_raft", tests, NULL, NULL);
}
