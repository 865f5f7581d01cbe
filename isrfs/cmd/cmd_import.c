/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr import */
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/import.h"

/* 64K, 1M or a number of bytes. 0 for anything else. */
static uint32_t read_chunk_size(const char *text)
{
    char *end;
    unsigned long value = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (value == 0 || value > CHUNK_SIZE_MAX)
        return 0;
    if (*end == 'K' || *end == 'k')
        value <<= 10, end++;
    else if (*end == 'M' || *end == 'm')
        value <<= 20, end++;
    return *end == '\0' && value <= CHUNK_SIZE_MAX ? (uint32_t)value : 0;
}

/* [NAME=]FILE; a file that is called just so is meant as it is. The words are cut in place. */
static void split_words(char **words, int count, struct import_file *files)
{
    for (int i = 0; i < count; i++) {
        struct stat st;
        char *equals = lstat(words[i], &st) < 0 ? strchr(words[i], '=') : NULL;
        files[i] = (struct import_file){.path = words[i]};
        if (!equals)
            continue;
        *equals = '\0';
        files[i] = (struct import_file){.path = equals + 1, .name = words[i]};
    }
}

static void say_result(const struct cmd *c, const struct source *source,
                       const struct import_result *result)
{
    char bytes[CMD_TEXT_SIZE], data[CMD_TEXT_SIZE], stored[CMD_TEXT_SIZE], src[256];
    printf("%s: version 1, %s (%s of data) stored as %s in %llu objects at %s\n", source->parcel,
           cmd_size(result->bytes, bytes), cmd_size(result->data_bytes, data),
           cmd_size(result->stored_bytes, stored), (unsigned long long)result->objects,
           log_clean(src, sizeof src, result->src));
    if (result->embedded && result->first)
        cmd_say(c, "the lock server is a folder on this machine: whoever has its disk has the "
                   "keys too");
}

static int run(struct cmd *c)
{
    const char *size = cmd_value(c, "chunk-size");
    uint32_t chunk_size = size ? read_chunk_size(size) : 0;
    if (size && !chunk_size)
        return cmd_usage(c, "--chunk-size is a power of two from 16K to 4M");
    CLEANUP_SOURCE struct source source = {0};
    const char *comment = NULL;
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : cmd_source(c, &source);
    if (status)
        return status;
    CLEANUP_FREE struct import_file *files = calloc((size_t)c->count, sizeof *files);
    if (!files) {
        cmd_say(c, "out of memory");
        return OUTCOME_FAILED;
    }
    split_words(c->args, c->count, files);
    struct import_config config = {.source = &source,
                                   .src = cmd_value(c, "src"),
                                   .chunk_size = chunk_size,
                                   .comment = comment,
                                   .files = files,
                                   .count = (size_t)c->count};
    struct import_result result;
    struct failure failure = {0};
    struct cmd_progress progress;
    cmd_progress_start(&progress);
    int r = import_parcel(c->site, &config, &progress.progress, &result, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    say_result(c, &source, &result);
    free(result.src);
    return OUTCOME_DONE;
}

const struct command cmd_import = {
    .name = "import",
    .synopsis = "PARCEL [NAME=]FILE...",
    .summary = "make a new parcel from disk images and other files",
    .help = "FILE is a raw, qcow2, vmdk or vdi image, a block device, or any other file. NAME is\n"
            "its path in the parcel: disk.img for the first disk image, else the file's own\n"
            "name. Images become raw disks unless NAME ends like an image (.vmdk, ...).",
    .options = {{0, "src", "SCHEME://PATH", "the store, or a folder; default: the lock server's"},
                {0, "chunk-size", "SIZE", "16K to 4M; default 128K"},
                {'m', "comment", "TEXT", "a remark for the history"}},
    .parcel = CMD_PARCEL,
    .min = 1,
    .max = -1,
    .run = run,
};
