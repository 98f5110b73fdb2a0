/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/hello.h"

#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <string.h>
#include <xxhash.h>

static const char magic[8] = {'g', 'r', 'o', 'v', 'e', 'f', 's', '\n'};

/* How it lies on the wire; none of these has padding. */
struct prefix_bytes {
    char magic[sizeof magic];
    uint16_t version;
    uint8_t kind;
    uint8_t zero;
    uint32_t body_size;
};

struct hello_bytes {
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t incarnation;
    uint16_t port;
    uint8_t channel;
    uint8_t host_size;
};

enum { HELLO_BYTES_SIZE = 28 };

static_assert(sizeof(struct prefix_bytes) == HELLO_PREFIX_SIZE, "no padding");
static_assert(offsetof(struct hello_bytes, host_size) + 1 == HELLO_BYTES_SIZE,
              "no padding before the host");
static_assert(HELLO_BYTES_SIZE + ADDRESS_HOST_SIZE <= HELLO_BODY_SIZE_MAX,
              "a hello fits");
static_assert(sizeof(uint32_t) + ERR_TEXT_SIZE <= HELLO_BODY_SIZE_MAX,
              "a refusal fits");

static size_t put_hello(const struct transport_hello *hello, uint8_t *to)
{
    const size_t host_size = strlen(hello->address.host);
    const struct hello_bytes bytes = {
        .cluster_id = htole64(hello->cluster_id),
        .node_id = htole64(hello->node_id),
        .incarnation = htole64(hello->incarnation),
        .port = htole16(hello->address.port),
        .channel = (uint8_t)hello->channel,
        .host_size = (uint8_t)host_size,
    };

    assert(host_size < ADDRESS_HOST_SIZE);
    memcpy(to, &bytes, HELLO_BYTES_SIZE);
    memcpy(to + HELLO_BYTES_SIZE, hello->address.host, host_size);
    return HELLO_BYTES_SIZE + host_size;
}

static size_t put_refused(const struct hello_message *message, uint8_t *to)
{
    const uint32_t code = htole32((uint32_t)message->code);
    const size_t text_size = strnlen(message->text, sizeof message->text);

    assert(message->code < 0);
    memcpy(to, &code, sizeof code);
    memcpy(to + sizeof code, message->text, text_size);
    return sizeof code + text_size;
}

size_t hello_encode(const struct hello_message *message,
                    uint8_t ret_bytes[HELLO_SIZE_MAX])
{
    struct prefix_bytes prefix = {
        .version = htole16(HELLO_VERSION),
        .kind = (uint8_t)message->kind,
    };
    uint8_t *body = ret_bytes + HELLO_PREFIX_SIZE;
    size_t body_size = 0;
    uint64_t checksum;

    if (message->kind == HELLO_HELLO)
        body_size = put_hello(&message->hello, body);
    else if (message->kind == HELLO_REFUSED)
        body_size = put_refused(message, body);
    memcpy(prefix.magic, magic, sizeof magic);
    prefix.body_size = htole32((uint32_t)body_size);
    memcpy(ret_bytes, &prefix, sizeof prefix);
    checksum = htole64(XXH3_64bits(ret_bytes, HELLO_PREFIX_SIZE + body_size));
    memcpy(body + body_size, &checksum, sizeof checksum);
    return HELLO_PREFIX_SIZE + body_size + sizeof checksum;
}

static int take_hello(struct transport_hello *ret, const uint8_t *body,
                      size_t size, struct err *e)
{
    struct hello_bytes bytes;

    if (size < HELLO_BYTES_SIZE)
        return err_set(e, ERR_PROTOCOL, "hello of %zu bytes", size);
    memcpy(&bytes, body, HELLO_BYTES_SIZE);
    if (size != (size_t)HELLO_BYTES_SIZE + bytes.host_size)
        return err_set(e, ERR_PROTOCOL, "hello with a cut address");
    if (bytes.channel >= ENV_CHANNELS)
        return err_set(e, ERR_PROTOCOL, "hello for unknown channel %u",
                       (unsigned)bytes.channel);

    *ret = (struct transport_hello){
        .cluster_id = le64toh(bytes.cluster_id),
        .node_id = le64toh(bytes.node_id),
        .incarnation = le64toh(bytes.incarnation),
        .channel = (enum env_channel)bytes.channel,
        .address.port = le16toh(bytes.port),
    };
    static_assert(UINT8_MAX < ADDRESS_HOST_SIZE, "room for the final zero");
    memcpy(ret->address.host, body + HELLO_BYTES_SIZE, bytes.host_size);
    for (size_t i = 0; i < bytes.host_size; i++)
        if (!isgraph((unsigned char)ret->address.host[i]))
            return err_set(e, ERR_PROTOCOL, "hello with a bad address");
    return 0;
}

/* The text goes into log lines, so it may not bring line ends of its own. */
static int take_refused(struct hello_message *ret, const uint8_t *body,
                        size_t size, struct err *e)
{
    uint32_t code;

    if (size < sizeof code)
        return err_set(e, ERR_PROTOCOL, "refusal of %zu bytes", size);
    memcpy(&code, body, sizeof code);
    ret->code = (int)le32toh(code);
    if (ret->code >= 0 || ret->code <= -(int)ERR__COUNT)
        ret->code = ERR_PROTOCOL;
    body += sizeof code;
    size -= sizeof code;
    if (size >= sizeof ret->text)
        size = sizeof ret->text - 1;
    for (size_t i = 0; i < size; i++)
        ret->text[i] = isprint(body[i]) ? (char)body[i] : '?';
    return 0;
}

static int take_body(struct hello_message *ret, const uint8_t *body,
                     size_t size, struct err *e)
{
    switch (ret->kind) {
    case HELLO_HELLO:
        return take_hello(&ret->hello, body, size, e);
    case HELLO_REFUSED:
        return take_refused(ret, body, size, e);
    case HELLO_ACCEPTED:
        if (size == 0)
            return 0;
        break;
    }
    return err_set(e, ERR_PROTOCOL, "greeting of unknown kind %u",
                   (unsigned)ret->kind);
}

/* What can be judged from the first bytes alone. */
static int check_prefix(const struct prefix_bytes *prefix, struct err *e)
{
    if (memcmp(prefix->magic, magic, sizeof magic) != 0)
        return err_set(e, ERR_PROTOCOL, "not a grovefs node");
    if (le32toh(prefix->body_size) > HELLO_BODY_SIZE_MAX)
        return err_set(e, ERR_PROTOCOL, "greeting of %u bytes",
                       (unsigned)le32toh(prefix->body_size));
    return 0;
}

int hello_decode(struct hello_message *ret, const uint8_t *bytes, size_t size,
                 size_t *ret_used, struct err *e)
{
    struct hello_message message = {.code = 0};
    struct prefix_bytes prefix;
    size_t whole;
    uint64_t checksum;
    int rc;

    *ret_used = 0;
    if (memcmp(bytes, magic, size < sizeof magic ? size : sizeof magic) != 0)
        return err_set(e, ERR_PROTOCOL, "not a grovefs node");
    if (size < sizeof prefix)
        return 0;
    memcpy(&prefix, bytes, sizeof prefix);
    rc = check_prefix(&prefix, e);
    if (rc != 0)
        return rc;
    whole = sizeof prefix + le32toh(prefix.body_size);
    if (size < whole + sizeof checksum)
        return 0;

    memcpy(&checksum, bytes + whole, sizeof checksum);
    if (le64toh(checksum) != XXH3_64bits(bytes, whole))
        return err_set(e, ERR_PROTOCOL, "greeting with a wrong checksum");
    message.kind = (enum hello_kind)prefix.kind;
    *ret_used = whole + sizeof checksum;
    /* A refusal is understood in every version. */
    if (le16toh(prefix.version) != HELLO_VERSION &&
        message.kind != HELLO_REFUSED)
        return err_set(e, ERR_VERSION,
                       "protocol version %u is not known here, only %u",
                       (unsigned)le16toh(prefix.version), HELLO_VERSION);
    rc = take_body(&message, bytes + sizeof prefix, whole - sizeof prefix, e);
    if (rc != 0)
        return rc;
    *ret = message;
    return 0;
}
