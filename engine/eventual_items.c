/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/eventual_items.h"

#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"

enum { HEADER_SIZE = 4 };

int eventual_items_add(struct eventual_items *items,
                       const struct eventual_record *record, bool *ret_full)
{
    struct buf *bytes = eventual_encode(record);
    uint8_t *item;
    size_t end;

    if (bytes == NULL)
        return ERR_NO_MEMORY;
    end = items->size + HEADER_SIZE + bytes->size;
    *ret_full = items->size > 0 && end > EVENTUAL_ITEMS_SIZE;
    if (!*ret_full) {
        items->bytes = mem_grow(items->bytes, 1, &items->size_max, end);
        item = items->bytes + items->size;
        be32_put(item, (uint32_t)bytes->size);
        memcpy(item + HEADER_SIZE, bytes->data, bytes->size);
        items->size = end;
    }
    buf_unref(bytes);
    return 0;
}

void eventual_items_release(struct eventual_items *items)
{
    free(items->bytes);
    *items = (struct eventual_items){.size = 0};
}

bool eventual_items_next(struct slice items, size_t *at, struct slice *ret)
{
    const uint8_t *item = (const uint8_t *)items.data + *at;
    size_t left = items.size - *at;
    size_t size = left < HEADER_SIZE ? 0 : be32_get(item);

    if (size == 0 || size > left - HEADER_SIZE)
        return false;
    *ret = (struct slice){item + HEADER_SIZE, size};
    *at += HEADER_SIZE + size;
    return true;
}
