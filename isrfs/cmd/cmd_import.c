/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr import */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/recovery_words.h"
#include "isrfs/sync/import.h"
#include "isrfs/sync/rebuild.h"
#include "lockclient/lockclient.h"

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

static int make_new(struct cmd *c)
{
    if (!c->parcel)
        return cmd_usage(c, "which parcel?");
    if (c->count == 0)
        return cmd_usage(c, "an argument is missing");
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
    if (*result.recovery)
        recovery_words_print(result.recovery, true);
    secret_wipe(result.recovery, sizeof result.recovery);
    free(result.src);
    return OUTCOME_DONE;
}

/* --- from a store and the recovery key alone --- */

static void report(void *ctx, const struct rebuild_parcel *p)
{
    char time[CMD_TEXT_SIZE];
    (void)ctx;
    printf("%s (%s): %zu version records", p->name ? p->name : "?", p->uuid, p->records);
    if (*p->good)
        printf(", readable: %s", p->good);
    if (p->reason)
        printf("; nothing done: %s\n", p->reason);
    else
        printf("; version %" PRIu64 " of %s is back as version %" PRIu64 "\n", p->from,
               cmd_time(p->time, time), p->number);
}

static int recover_with(struct cmd *c, const uint8_t *recovery)
{
    CLEANUP_SOURCE struct source source = {0};
    struct failure failure = {0};
    size_t made = 0;
    int r = c->parcel ? source_parse(c->site, c->parcel, c->locksrv, c->user, &source)
                      : source_parse_server(c->site, c->locksrv, c->user, &source);
    if (r < 0)
        return OUTCOME_USAGE; /* logged */
    struct rebuild_config config = {.source = &source,
                                    .store = cmd_value(c, "recover"),
                                    .new_name = c->count ? c->args[0] : NULL,
                                    .recovery = recovery};
    r = rebuild(c->site, &config, report, NULL, &made, &failure);
    if (r < 0)
        return cmd_fail(c, &failure);
    if (made > 0)
        return OUTCOME_DONE;
    cmd_say(c, "no parcel was made");
    return OUTCOME_FAILED;
}

static int recover(struct cmd *c)
{
    if (cmd_value(c, "src") || cmd_value(c, "chunk-size") || cmd_value(c, "comment"))
        return cmd_usage(c, "--recover takes no other options");
    if (c->count > 1)
        return cmd_usage(c, "--recover takes the parcel and perhaps a new name");
    if (c->count == 1 && !lockclient_name_valid(c->args[0]))
        return cmd_usage(c, "the new name is not a parcel's name");
    CLEANUP_SECRET uint8_t *recovery = secret_alloc(WORDS_KEY_SIZE);
    if (!recovery) {
        cmd_say(c, "out of memory");
        return OUTCOME_FAILED;
    }
    int status = recovery_words_read(c, recovery);
    return status ? status : recover_with(c, recovery);
}

static int run(struct cmd *c)
{
    return cmd_value(c, "recover") ? recover(c) : make_new(c);
}

const struct command cmd_import = {
    .name = "import",
    .synopsis = "PARCEL [NAME=]FILE... | --recover=STORE [PARCEL[@VERSION] [NEW]]",
    .summary = "make a new parcel from disk images and other files",
    .help = "FILE is a raw, qcow2, vmdk or vdi image, a block device, or any other file. NAME is\n"
            "its path in the parcel: disk.img for the first disk image, else the file's own\n"
            "name. Images become raw disks unless NAME ends like an image (.vmdk, ...).\n"
            "\n"
            "With --recover parcels that the lock server has lost are made again from their\n"
            "store and the words of the recovery key, which are asked for at the terminal or\n"
            "read from standard input. NEW makes another parcel of it.",
    .options = {{0, "src", "SCHEME://PATH", "the store, or a folder; default: the lock server's"},
                {0, "chunk-size", "SIZE", "16K to 4M; default 128K"},
                {0, "recover", "STORE", "bring back what the lock server has lost"},
                {'m', "comment", "TEXT", "a remark for the history"}},
    .parcel = CMD_MAY_PARCEL,
    .max = -1,
    .run = run,
};
