/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/key_path.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/catalog.h"
#include "engine/record.h"

enum {
    DEPTH_MAX = 1024, /* shown; what lies deeper is shown by its namespace id */
    BYTE_MAX = 0xff
};

/* ---- from key to path ---- */

void key_path_print_bytes(FILE *out, struct slice text)
{
    const uint8_t *bytes = text.data;

    for (size_t i = 0; i < text.size; i++)
        if (bytes[i] > ' ' && bytes[i] <= '~' && bytes[i] != '\\')
            (void)fputc(bytes[i], out);
        else
            (void)fprintf(out, "\\%03o", bytes[i]);
}

static uint64_t parent_of(struct kv *state, uint64_t nsid)
{
    struct directory directory = {0};
    uint64_t parent = 0;

    if (catalog_get(state, NULL, nsid, &directory) == 0)
        parent = directory.parent;
    directory_release(&directory);
    return parent;
}

/* The namespaces from `nsid` up to, but without, the root. False: the catalog
 * does not have all of them. */
static bool climb(struct kv *state, uint64_t nsid, uint64_t chain[DEPTH_MAX],
                  size_t *ret_count)
{
    size_t count = 0;

    while (nsid != NSID_ROOT) {
        if (nsid == 0 || count == DEPTH_MAX)
            return false;
        chain[count++] = nsid;
        nsid = parent_of(state, nsid);
    }
    *ret_count = count;
    return true;
}

static void print_name_of(FILE *out, struct kv *state, uint64_t nsid)
{
    struct directory directory = {0};

    if (catalog_get(state, NULL, nsid, &directory) == 0)
        key_path_print_bytes(out, directory.name);
    directory_release(&directory);
}

/* Nothing for the root. */
static void print_names_to(FILE *out, struct kv *state, uint64_t nsid)
{
    uint64_t chain[DEPTH_MAX];
    size_t count = 0;

    if (!climb(state, nsid, chain, &count)) {
        (void)fprintf(out, "#%" PRIu64, nsid);
        count = 0;
    }
    while (count-- > 0) {
        (void)fputc('/', out);
        print_name_of(out, state, chain[count]);
    }
}

void key_path_print_directory(FILE *out, struct kv *state, uint64_t nsid)
{
    if (nsid == NSID_ROOT)
        (void)fputc('/', out);
    else
        print_names_to(out, state, nsid);
}

struct shown_path key_path_show(struct kv *state, uint64_t nsid)
{
    struct shown_path path;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert(out != NULL && "out of memory");
    key_path_print_directory(out, state, nsid);
    (void)fclose(out);
    if (size < sizeof path.text)
        (void)snprintf(path.text, sizeof path.text, "%s", text);
    else
        (void)snprintf(path.text, sizeof path.text, "...%s",
                       text + size - (sizeof path.text - 4));
    free(text);
    return path;
}

void key_path_print(FILE *out, struct kv *state, struct slice user_key)
{
    const uint8_t *bytes = user_key.data;

    if (user_key.size < KEY_NSID_SIZE) {
        (void)fputc('-', out);
        return;
    }
    print_names_to(out, state, be64_get(bytes));
    (void)fputc('/', out);
    key_path_print_bytes(out, (struct slice){bytes + KEY_NSID_SIZE,
                                             user_key.size - KEY_NSID_SIZE});
}

/* ---- from path to key ---- */

/* One name of a path, in bytes as they are stored. */
struct part {
    uint8_t bytes[NAME_SIZE_MAX];
    size_t size;
};

static bool is_octal(uint8_t byte)
{
    return byte >= '0' && byte <= '7';
}

/* Takes one byte, which may be written in four. 0: that is none. */
static unsigned take_byte(struct slice *text)
{
    const uint8_t *at = text->data;
    size_t size = 1;
    unsigned byte = at[0];

    if (byte == '\\') {
        size = 4;
        if (text->size < size || !is_octal(at[1]) || !is_octal(at[2]) ||
            !is_octal(at[3]))
            return 0;
        byte =
            (unsigned)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
        if (byte == '/' || byte > BYTE_MAX)
            return 0;
    }
    *text = (struct slice){at + size, text->size - size};
    return byte;
}

static bool is_dots(const struct part *name)
{
    return name->size >= 1 && name->size <= 2 && name->bytes[0] == '.' &&
           name->bytes[name->size - 1] == '.';
}

/* Takes what comes up to the next slash, or to the end. */
static int take_part(struct slice *text, struct part *ret)
{
    ret->size = 0;
    while (text->size > 0 && *(const uint8_t *)text->data != '/') {
        unsigned byte = take_byte(text);

        if (byte == 0)
            return ERR_INVALID;
        if (ret->size == NAME_SIZE_MAX)
            return ERR_NAME_TOO_LONG;
        ret->bytes[ret->size++] = (uint8_t)byte;
    }
    return is_dots(ret) ? ERR_INVALID : 0;
}

static int descend(struct kv *state, const struct part *name, uint64_t *nsid)
{
    if (name->size == 0)
        return ERR_INVALID;
    return catalog_find(state, NULL, *nsid,
                        (struct slice){name->bytes, name->size}, nsid);
}

/* What a path begins with: nothing for the root, or `#nsid`. */
static int take_root(struct slice *text, uint64_t *ret_nsid)
{
    const uint8_t *at = text->data;
    uint64_t nsid = 0;
    size_t i;

    *ret_nsid = NSID_ROOT;
    if (text->size == 0 || at[0] != '#')
        return 0;
    for (i = 1; i < text->size && at[i] >= '0' && at[i] <= '9' &&
                nsid < UINT64_MAX / 16;
         i++)
        nsid = nsid * 10 + (uint64_t)(at[i] - '0');
    if (nsid == 0)
        return ERR_INVALID;
    *ret_nsid = nsid;
    *text = (struct slice){at + i, text->size - i};
    return 0;
}

/* The slash before each name. */
static bool take_slash(struct slice *text)
{
    const uint8_t *at = text->data;

    if (text->size == 0 || at[0] != '/')
        return false;
    *text = (struct slice){at + 1, text->size - 1};
    return true;
}

int key_path_parse(struct kv *state, struct slice text, struct key *ret)
{
    struct part name;
    uint64_t nsid;
    int rc = take_root(&text, &nsid);

    if (rc == 0 && !take_slash(&text))
        rc = ERR_INVALID;
    if (rc == 0)
        rc = take_part(&text, &name);
    while (rc == 0 && take_slash(&text)) {
        rc = descend(state, &name, &nsid);
        if (rc == 0)
            rc = take_part(&text, &name);
    }
    if (rc != 0)
        return rc;
    be64_put(ret->data, nsid);
    memcpy(ret->data + KEY_NSID_SIZE, name.bytes, name.size);
    ret->size = KEY_NSID_SIZE + name.size;
    return 0;
}
