/* SPDX-License-Identifier: Apache-2.0 */

/* grovefs: mounts a replicated key-value store. See fs.h. */

#include <stdio.h>
#include <stdlib.h>

#include "fs/options.h"
#include "fs/serve.h"
#include "fs/sink.h"

static int run(struct options *options)
{
    switch (options->action) {
    case OPTIONS_HELP:
        options_print_help();
        return EXIT_SUCCESS;
    case OPTIONS_VERSION:
        printf("grovefs %s\n", GROVEFS_VERSION);
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
        break;
    }
    sink_install(options->log_level);
    return serve(options);
}

int main(int argc, char **argv)
{
    struct options options;
    struct err e = ERR_INIT;
    int status = EXIT_FAILURE;

    if (options_parse(&options, argc, argv, &e) == 0)
        status = run(&options);
    else
        (void)fprintf(stderr, "grovefs: %s\n", e.text); /* Nobody to tell. */
    options_release(&options);
    return status;
}
