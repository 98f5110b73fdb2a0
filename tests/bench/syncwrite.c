/* SPDX-License-Identifier: Apache-2.0 */

/* syncwrite DIR [SECONDS]: what one synced RocksDB write of 128 bytes costs on
 * the disk of DIR, one after the other: the floor of every durable write. The
 * store is made in DIR/syncwrite and destroyed afterwards. */

#include <rocksdb/c.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/measure.h"

enum { VALUE_SIZE = 128, PATH_SIZE = 4096 };

static void check(const char *what, char *error)
{
    if (error != NULL)
        die("%s: %s", what, error);
}

static void measure(rocksdb_t *db, double seconds)
{
    static struct hist hist;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    char value[VALUE_SIZE];
    uint64_t before_ns = clock_ns();
    uint64_t end_ns = before_ns + (uint64_t)(seconds * 1e9);

    memset(value, 'v', sizeof value);
    rocksdb_writeoptions_set_sync(options, 1);
    while (before_ns < end_ns) {
        char *error = NULL;
        char key[32];
        int size = snprintf(key, sizeof key, "%016" PRIx64, hist.count);

        rocksdb_put(db, options, key, (size_t)size, value, sizeof value,
                    &error);
        check("put", error);

        uint64_t now_ns = clock_ns();

        hist_add(&hist, now_ns - before_ns);
        before_ns = now_ns;
    }
    rocksdb_writeoptions_destroy(options);
    measure_print("syncwrite", 1, &hist, seconds, hist.count);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage: syncwrite DIR [SECONDS]");

    double seconds = argc > 2 ? atof(argv[2]) : 1.0;
    rocksdb_options_t *options = rocksdb_options_create();
    char path[PATH_SIZE];
    char *error = NULL;

    if (snprintf(path, sizeof path, "%s/syncwrite", argv[1]) >= PATH_SIZE)
        die("the path is too long");
    rocksdb_options_set_create_if_missing(options, 1);

    rocksdb_t *db = rocksdb_open(options, path, &error);

    check("open", error);
    measure(db, seconds);
    rocksdb_close(db);
    rocksdb_destroy_db(options, path, &error);
    check("destroy", error);
    rocksdb_options_destroy(options);
    return 0;
}
