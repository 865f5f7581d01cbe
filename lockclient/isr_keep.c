/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr-keep: how the lock server's commands change a file, and what they need SHA-256 for.
 *
 *   isr-keep put|append LIMIT AUDIT FILE [GONE...]
 *   isr-keep hold LIMIT AUDIT FILE SECRET NONCE      put, then session
 *   isr-keep audit LIMIT AUDIT
 *   isr-keep session SECRET NONCE
 *
 * Standard input of the first three is a line for the audit (without its hash; perhaps empty), then
 * FILE's new content or what comes after the old one, then a newline and the line "end": without it
 * whoever wrote was killed, and nothing is done.
 * A change is these steps, and a kill after any of them leaves the old file or the new one:
 *
 *   1. the audit is put aside if it has grown beyond LIMIT bytes, and gets its line
 *   2. the new content is written to FILE.new
 *   3. both are flushed, so that nothing happens unrecorded
 *   4. FILE.new becomes FILE, which is the change, and the folder is flushed
 *   5. what the change leaves without a meaning is removed: GONE, unflushed
 *
 * The shell's descriptor 9, which holds the lock, stays open here: should the shell be killed, the
 * lock must outlive the change. If anything fails, a line on standard output says what, and the
 * exit status is 1.
 *
 * A process for 200 bytes has no time for the providers of EVP (1.5 ms against 0.05), so the hash
 * is libcrypto's plain one. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fcntl.h>
#include <openssl/sha.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "lockclient/state_file.h"

#define HASH_SIZE   SHA256_DIGEST_LENGTH
#define HASH_DIGITS (2 * HASH_SIZE)
#define BLOCK_SIZE  SHA256_CBLOCK
#define AUDIT_OLD   4 /* that are kept */
#define MODE        0600

static int say(const char *text, const char *path, int error)
{
    const char *slash = strrchr(path, '/');
    printf("%s %s: %s\n", text, slash ? slash + 1 : path, strerror(-error));
    return 1;
}

static int say_flush(int error)
{
    printf("cannot flush the lock server state to disk: %s\n", strerror(-error));
    return 1;
}

/* PATH with SUFFIX behind it. */
static char *with_suffix(const char *path, const char *suffix)
{
    char *text = NULL;
    return asprintf(&text, "%s%s", path, suffix) < 0 ? NULL : text;
}

static int flush_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *folder = slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
    return !slash ? -EINVAL : folder ? io_fsync_dir(AT_FDCWD, folder) : -ENOMEM;
}

struct input {
    long long limit;
    struct buffer all;
    size_t line;         /* bytes of the line for the audit */
    const uint8_t *text; /* what comes behind it */
    size_t size;
};

/* --- the audit --- */

/* As AUDIT.1, and those before it as AUDIT.2 and so on; the oldest goes. */
static int put_aside(const char *audit)
{
    char older[16] = "", newer[16] = "";
    int r = 0;
    for (int i = AUDIT_OLD; r >= 0 && i > 0; i--) {
        snprintf(older, sizeof older, ".%d", i);
        snprintf(newer, sizeof newer, ".%d", i - 1);
        CLEANUP_FREE char *to = with_suffix(audit, older);
        CLEANUP_FREE char *from = with_suffix(audit, i > 1 ? newer : "");
        r = from && to ? io_rename(AT_FDCWD, from, AT_FDCWD, to) : -ENOMEM;
        r = r == -ENOENT && i > 1 ? 0 : r;
    }
    CLEANUP_FREE char *first = with_suffix(audit, ".1");
    CLEANUP_CLOSE int fd = r < 0 || !first ? -ENOMEM : io_open_read(AT_FDCWD, first);
    r = r < 0 ? r : fd < 0 ? fd : io_fsync(fd);
    return r < 0 ? r : flush_folder_of(audit);
}

/* Digits of the SHA-256 of the last line, zeros if there is none. A line that a crash cut short
 * stays, and counts. *RET_WHOLE: the next one can follow right behind it. */
static int chain(const char *audit, char hash[HASH_DIGITS + 1], bool *ret_whole)
{
    CLEANUP_BUFFER struct buffer last = {0};
    uint8_t digest[HASH_SIZE];
    size_t size = 0;
    *ret_whole = true;
    int r = state_file_last_line(AT_FDCWD, audit, &last, ret_whole, &size);
    if (r == -ENOENT || (r == 0 && size == 0)) { /* it was put aside just before a kill */
        CLEANUP_FREE char *older = with_suffix(audit, ".1");
        r = older ? state_file_last_line(AT_FDCWD, older, &last, NULL, &size) : -ENOMEM;
    }
    memset(hash, '0', HASH_DIGITS);
    hash[HASH_DIGITS] = '\0';
    if (r == 0 && size > 0) {
        SHA256_CTX sha;
        SHA256_Init(&sha);
        SHA256_Update(&sha, last.data, last.size);
        SHA256_Final(digest, &sha);
        hex_encode(hash, digest, sizeof digest);
    }
    return r == -ENOENT ? 0 : r;
}

static int append_audit(const char *audit, const void *line, size_t size, const char *hash,
                        bool after_whole, int *ret_fd)
{
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_CLOSE int fd = open(audit, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    bool made = fd < 0 && errno == ENOENT;
    if (made)
        fd = io_create(AT_FDCWD, audit, O_APPEND, MODE);
    if (fd < 0)
        return made ? fd : -errno;
    int r = after_whole ? 0 : buffer_append_text(&text, "\n");
    r = r < 0 ? r : buffer_append(&text, line, size);
    r = r < 0 ? r : buffer_printf(&text, " %s\n", hash);
    r = r < 0 ? r : io_write(fd, text.data, text.size);
    r = r < 0 || !made ? r : flush_folder_of(audit);
    *ret_fd = r < 0 ? -1 : steal_fd(&fd);
    return r;
}

/* Step 1. *RET_FD is to be flushed. */
static int record(const char *audit, const struct input *in, int *ret_fd)
{
    char hash[HASH_DIGITS + 1];
    bool whole = true;
    struct stat st;
    int r = chain(audit, hash, &whole);
    if (r == 0 && stat(audit, &st) == 0 && st.st_size > in->limit) {
        r = put_aside(audit);
        whole = true;
        if (r < 0)
            return say("cannot put aside", audit, r);
    }
    r = r < 0 ? r : append_audit(audit, in->all.data, in->line, hash, whole, ret_fd);
    return r < 0 ? say("cannot write", audit, r) : 0;
}

/* --- changes --- */

/* What FILE had before, ending with a newline if there is anything. */
static int read_old(const char *file, struct buffer *out)
{
    int r = io_read_file(AT_FDCWD, file, STATE_FILE_MAX, out);
    if (r == 0 && out->size > 0 && out->data[out->size - 1] != '\n')
        r = buffer_append_text(out, "\n");
    return r == -ENOENT ? 0 : r;
}

static int write_new(const char *path, const struct buffer *text, int *ret_fd)
{
    int r = io_unlink(AT_FDCWD, path); /* what a kill has left */
    if (r < 0 && r != -ENOENT)
        return r;
    CLEANUP_CLOSE int fd = io_create(AT_FDCWD, path, 0, MODE);
    r = fd < 0 ? fd : io_write(fd, text->data, text->size);
    *ret_fd = r < 0 ? -1 : steal_fd(&fd);
    return r;
}

static int remove_gone(char **gone)
{
    for (; *gone; gone++) {
        int r = io_unlink(AT_FDCWD, *gone);
        if (r < 0 && r != -ENOENT)
            return say("cannot remove", *gone, r);
    }
    return 0;
}

static int read_input(struct input *in)
{
    static const char mark[] = "\nend\n";
    size_t mark_size = sizeof mark - 1;
    int r = io_read_stream(STDIN_FILENO, STATE_FILE_MAX, &in->all);
    const uint8_t *data = in->all.data;
    const uint8_t *line_end = r < 0 || !data ? NULL : memchr(data, '\n', in->all.size);
    size_t line = line_end ? (size_t)(line_end - data) : 0;
    if (!line_end || in->all.size - line - 1 < mark_size ||
        memcmp(data + in->all.size - mark_size, mark, mark_size) != 0) {
        printf("the change was cut short\n");
        return 1;
    }
    in->line = line;
    in->text = line_end + 1;
    in->size = in->all.size - line - 1 - mark_size;
    return 0;
}

static int change(const char *audit, const char *file, bool append, const struct input *in,
                  char **gone)
{
    CLEANUP_SECRET_BUFFER struct buffer text = {0};
    CLEANUP_FREE char *new = with_suffix(file, ".new");
    CLEANUP_CLOSE int audit_fd = -1;
    CLEANUP_CLOSE int fd = -1;
    if (in->line > 0 && record(audit, in, &audit_fd) != 0)
        return 1;
    int r = append ? read_old(file, &text) : 0;
    if (r < 0)
        return say("cannot read", file, r);
    r = buffer_append(&text, in->text, in->size);
    r = r < 0 || !new ? -ENOMEM : write_new(new, &text, &fd);
    if (r < 0)
        return say("cannot write", file, r);
    r = audit_fd < 0 ? 0 : io_fsync(audit_fd);
    r = r < 0 ? r : io_fsync(fd);
    if (r < 0)
        return say_flush(r);
    r = io_rename(AT_FDCWD, new, AT_FDCWD, file);
    if (r < 0)
        return say("cannot replace", file, r);
    r = flush_folder_of(file);
    return r < 0 ? say_flush(r) : remove_gone(gone);
}

static int audit_alone(const char *audit, const struct input *in)
{
    CLEANUP_CLOSE int fd = -1;
    if (record(audit, in, &fd) != 0)
        return 1;
    int r = io_fsync(fd);
    return r < 0 ? say_flush(r) : 0;
}

/* --- session keys --- */

/* HMAC-SHA-256; the key is shorter than a block. */
static void hmac(const uint8_t key[HASH_SIZE], const char *text, uint8_t out[HASH_SIZE])
{
    uint8_t block[BLOCK_SIZE];
    SHA256_CTX sha;
    for (int outer = 0; outer <= 1; outer++) {
        memset(block, outer ? 0x5c : 0x36, sizeof block);
        for (size_t i = 0; i < HASH_SIZE; i++)
            block[i] ^= key[i];
        SHA256_Init(&sha);
        SHA256_Update(&sha, block, sizeof block);
        if (outer)
            SHA256_Update(&sha, out, HASH_SIZE);
        else
            SHA256_Update(&sha, text, strlen(text));
        SHA256_Final(out, &sha);
    }
    secret_wipe(block, sizeof block);
    secret_wipe(&sha, sizeof sha);
}

static int session(const char *path, const char *nonce)
{
    CLEANUP_SECRET_BUFFER struct buffer text = {0};
    uint8_t key[HASH_SIZE], out[HASH_SIZE];
    char digits[HASH_DIGITS + 2];
    int r = io_read_file(AT_FDCWD, path, HASH_DIGITS + 1, &text);
    if (r == 0 && text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    r = r < 0 ? r : buffer_terminate(&text);
    r = r < 0 ? r : hex_decode(key, sizeof key, (const char *)text.data);
    if (r < 0) {
        printf("the file session-secret is missing or damaged\n");
        return 1;
    }
    hmac(key, nonce, out);
    hex_encode(digits, out, sizeof out);
    digits[HASH_DIGITS] = '\n';
    r = io_write(STDOUT_FILENO, digits, HASH_DIGITS + 1);
    secret_wipe(key, sizeof key);
    secret_wipe(out, sizeof out);
    secret_wipe(digits, sizeof digits);
    return r < 0;
}

static int run(int argc, char **argv, struct input *in)
{
    const char *what = argc > 2 ? argv[1] : "";
    if (strcmp(what, "session") == 0 && argc == 4)
        return session(argv[2], argv[3]);
    bool hold = strcmp(what, "hold") == 0 && argc == 7, append = strcmp(what, "append") == 0;
    if (argc > 3)
        in->limit = strtoll(argv[2], NULL, 10);
    if (hold) {
        int status = read_input(in) ? 1 : change(argv[3], argv[4], false, in, argv + argc);
        return status ? status : session(argv[5], argv[6]);
    }
    if ((append || strcmp(what, "put") == 0) && argc > 4)
        return read_input(in) ? 1 : change(argv[3], argv[4], append, in, argv + 5);
    if (strcmp(what, "audit") == 0 && argc == 4)
        return read_input(in) ? 1 : audit_alone(argv[3], in);
    fprintf(stderr, "isr-keep is for the lock server's commands\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct input in = {0};
    secret_protect_process();
    umask(077);
    int status = run(argc, argv, &in);
    buffer_free_secret(&in.all);
    return fflush(stdout) == 0 ? status : 1;
}
