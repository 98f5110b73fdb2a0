/* SPDX-License-Identifier: Apache-2.0 */

/* Runs scenario files (FORMAT.md). A file that differs fails with a diff; one
 * that cannot be read as a scenario ends the run (status 2). */

#include "tests/raft/interaction.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

enum { OPEN_FOLDERS_MAX = 16 };

static const char usage[] =
    "usage: interaction [--rewrite] FILE-or-FOLDER...\n"
    "Runs Raft scenarios; folders are searched for .txt files. The last line\n"
    "counts files. --rewrite replaces the expected output by the actual one, "
    "to\n"
    "be read critically before it is committed.\n";

static unsigned passed_count;
static unsigned failed_count;
static bool in_file; /* a file that ends the program has failed */

static char **found;
static size_t found_count;
static size_t found_count_max;

static const struct harness *harness_for(const char *command)
{
    static const char *const quorum[] = {"committed", "vote"};
    static const char *const conf[] = {"simple", "enter-joint", "leave-joint"};

    for (size_t i = 0; i < ARRAY_SIZE(quorum); i++)
        if (strcmp(command, quorum[i]) == 0)
            return &quorum_harness;
    for (size_t i = 0; i < ARRAY_SIZE(conf); i++)
        if (strcmp(command, conf[i]) == 0)
            return &conf_change_harness;
    return &cluster_harness;
}

/* ---- Differences ------------------------------------------------------ */

static size_t line_size(const char *text)
{
    size_t size = strcspn(text, "\n");

    return text[size] == '\n' ? size + 1 : size;
}

/* Size of the lines at the start that both have. */
static size_t common_head(const char *a, const char *b)
{
    size_t head = 0;

    while (a[head] != '\0' && line_size(a + head) == line_size(b + head) &&
           strncmp(a + head, b + head, line_size(a + head)) == 0)
        head += line_size(a + head);
    return head;
}

static void print_lines(const char *prefix, const char *text, size_t size)
{
    const char *end = text + size;

    while (text < end) {
        printf("%s%.*s\n", prefix, (int)strcspn(text, "\n"), text);
        text += line_size(text);
    }
}

/* Everything between the common lines at both ends. */
static void print_difference(const struct directive *d, const char *actual)
{
    const char *wanted = d->expected;
    size_t head = common_head(wanted, actual);
    size_t wanted_size = strlen(wanted);
    size_t actual_size = strlen(actual);

    printf("%s:%u: %s: output differs\n", d->file, d->line, d->command);
    while (wanted_size > head && actual_size > head &&
           wanted[wanted_size - 1] == actual[actual_size - 1]) {
        wanted_size--;
        actual_size--;
    }
    wanted_size += line_size(wanted + wanted_size);
    actual_size += line_size(actual + actual_size);
    print_lines("  ", wanted, head);
    print_lines("- ", wanted + head, wanted_size - head);
    print_lines("+ ", actual + head, actual_size - head);
}

/* ---- Files ------------------------------------------------------------ */

static char *actual_output(const struct harness *harness, void *state,
                           const struct directive *d)
{
    struct out out = {.used = 0};

    harness->run(state, d, &out);
    if (out.used > 0 && out.data[out.used - 1] != '\n')
        out_add(&out, "\n");
    return out_take(&out);
}

/* Runs the cases of an open file up to the first that fails. */
static bool run_cases(struct directive_reader *reader)
{
    const struct harness *harness = NULL;
    void *state = NULL;
    struct directive d;
    bool same = true;

    while (same && directive_read(reader, &d)) {
        char *actual;

        if (harness == NULL) {
            harness = harness_for(d.command);
            state = harness->begin();
        }
        actual = actual_output(harness, state, &d);
        same = strcmp(actual, d.expected) == 0;
        if (!same)
            print_difference(&d, actual);
        free(actual);
        directive_release(&d);
    }
    if (harness == NULL) {
        printf("%s: no cases\n", reader->file);
        return false;
    }
    harness->end(state);
    return same;
}

static bool run_file(const char *file)
{
    struct directive_reader reader = {.file = file};
    bool passed;

    reader.in = fopen(file, "r");
    if (reader.in == NULL) {
        perror(file);
        return false;
    }
    passed = run_cases(&reader);
    fclose(reader.in);
    return passed;
}

/* ---- Rewriting -------------------------------------------------------- */

/* Replaces the expected part of the case that `in` is at the end of. */
static void rewrite_case(FILE *in, FILE *to, long start, long end,
                         const char *actual)
{
    char *line = NULL;
    size_t size = 0;

    fseek(in, start, SEEK_SET);
    while (ftell(in) < end && getline(&line, &size, in) >= 0) {
        fputs(line, to);
        if (strcmp(line, "----\n") == 0)
            break;
    }
    fprintf(to, "%s\n", actual);
    fseek(in, end, SEEK_SET);
    free(line);
}

static bool rewrite_file(const char *file)
{
    struct directive_reader reader = {.file = file, .in = fopen(file, "r")};
    const struct harness *harness = NULL;
    void *state = NULL;
    struct directive d;
    FILE *to;
    char *all = NULL;
    size_t all_size = 0;
    long start = 0;

    if (reader.in == NULL) {
        perror(file);
        return false;
    }
    to = open_memstream(&all, &all_size);
    for (; directive_read(&reader, &d); start = ftell(reader.in)) {
        char *actual;

        if (harness == NULL) {
            harness = harness_for(d.command);
            state = harness->begin();
        }
        actual = actual_output(harness, state, &d);
        rewrite_case(reader.in, to, start, ftell(reader.in), actual);
        free(actual);
        directive_release(&d);
    }
    if (harness != NULL)
        harness->end(state);
    fclose(reader.in);
    fclose(to);

    while (all_size > 1 && strcmp(all + all_size - 2, "\n\n") == 0)
        all[--all_size] = '\0';
    to = fopen(file, "w");
    if (to == NULL)
        perror(file);
    else {
        fputs(all, to);
        fclose(to);
    }
    free(all);
    return to != NULL;
}

/* ---- Folders ---------------------------------------------------------- */

static int note_file(const char *path, const struct stat *status, int type,
                     struct FTW *where)
{
    size_t size = strlen(path);

    (void)status;
    if (type != FTW_F || (where->level > 0 &&
                          (size < 4 || strcmp(path + size - 4, ".txt") != 0)))
        return 0;
    found = mem_grow(found, sizeof *found, &found_count_max, found_count + 1);
    found[found_count++] = mem_strdup(path);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_files(const char *path)
{
    size_t before = found_count;

    if (nftw(path, note_file, OPEN_FOLDERS_MAX, 0) != 0)
        perror(path);
    else if (found_count == before)
        fprintf(stderr, "%s: no scenario files (.txt)\n", path);
    if (found_count == before)
        failed_count++;
}

static void run_all(bool (*run)(const char *file))
{
    if (found_count > 0)
        qsort(found, found_count, sizeof *found, compare);
    for (size_t i = 0; i < found_count; i++) {
        in_file = true;
        if (run(found[i]))
            passed_count++;
        else
            failed_count++;
        in_file = false;
        free(found[i]);
    }
    free(found);
}

static void print_totals(void)
{
    printf("%u passed, %u failed\n", passed_count, failed_count + in_file);
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int first = rewrite ? 2 : 1;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc <= first || argv[first][0] == '-') {
        fputs(usage, stderr);
        return 2;
    }

    atexit(print_totals);
    for (int i = first; i < argc; i++)
        find_files(argv[i]);
    run_all(rewrite ? rewrite_file : run_file);
    return failed_count == 0 ? 0 : 1;
}
