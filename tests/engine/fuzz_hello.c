/* SPDX-License-Identifier: Apache-2.0 */

/* Fuzzes the decoder of greetings, with the checksum put right where there is
 * room for one. A message that decodes can be encoded, and decodes again. */

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "engine/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair_checksum(uint8_t *bytes, size_t size)
{
    const uint64_t sum = htole64(XXH3_64bits(bytes, size - sizeof sum));

    memcpy(bytes + size - sizeof sum, &sum, sizeof sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[HELLO_SIZE_MAX];
    struct hello_message message;
    struct hello_message again;
    struct err e = ERR_INIT;
    size_t used;
    int rc;

    if (size > sizeof bytes)
        return 0;
    memcpy(bytes, data, size);
    if (size > HELLO_PREFIX_SIZE + sizeof(uint64_t))
        repair_checksum(bytes, size);
    rc = hello_decode(&message, bytes, size, &used, &e);
    assert(used <= size);
    assert(rc == 0 || e.text[0] != '\0');
    if (rc != 0 || used == 0)
        return 0;

    size = hello_encode(&message, bytes);
    rc = hello_decode(&again, bytes, size, &used, &e);
    assert(rc == 0 && used == size);
    assert(memcmp(&message, &again, sizeof message) == 0);
    return 0;
}
