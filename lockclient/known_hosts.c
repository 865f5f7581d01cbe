/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looked at here and not by libssh, because a refusal has to name file and line, and a revoked key
 * has to be seen. A line is [@MARKER] NAMES TYPE KEY [COMMENT]; NAMES are patterns with commas, of
 * which one with ! says no, or |1|SALT|HMAC-SHA-1 of one name. What is of another form says
 * nothing. */
#include "lockclient/known_hosts.h"

#include <ctype.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "lockclient/terminal.h"

#define BLANKS " \t\r\n"

/* What the files say together. */
struct known {
    bool same;        /* the host has this key */
    bool revoked;     /* nobody may use this key for it any more */
    const char *file; /* where it is said to have another one first; NULL: nowhere */
    unsigned line;
};

void known_hosts_name(const char *host, unsigned port, char *out, size_t room)
{
    snprintf(out, room, port == 22 ? "%s" : "[%s]:%u", host, port);
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

/* * and ? as in file names, but nothing else. */
static bool glob(const char *pattern, size_t size, const char *text)
{
    for (; size > 0; pattern++, size--, text++) {
        if (*pattern == '*') {
            for (; *text; text++)
                if (glob(pattern + 1, size - 1, text))
                    return true;
            return glob(pattern + 1, size - 1, text);
        }
        if (!*text || (*pattern != '?' && tolower((unsigned char)*pattern) != *text))
            return false;
    }
    return !*text;
}

/* Base64 of exactly 20 bytes. */
static bool decode(const char *text, size_t size, uint8_t out[20])
{
    uint8_t bytes[21];
    if (size != 28 || EVP_DecodeBlock(bytes, (const unsigned char *)text, 28) != 21)
        return false;
    memcpy(out, bytes, 20);
    return true;
}

static bool hashed_matches(const char *names, const char *name)
{
    uint8_t salt[20], hash[20], got[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const char *bar = strchr(names + 3, '|');
    return bar && decode(names + 3, (size_t)(bar - names - 3), salt) &&
           decode(bar + 1, strlen(bar + 1), hash) &&
           HMAC(EVP_sha1(), salt, sizeof salt, (const unsigned char *)name, strlen(name), got,
                &size) &&
           size == sizeof hash && memcmp(got, hash, sizeof hash) == 0;
}

static bool names_match(const char *names, const char *name)
{
    if (strncmp(names, "|1|", 3) == 0)
        return hashed_matches(names, name);
    bool matches = false;
    for (const char *p = names; *p;) {
        size_t size = strcspn(p, ",");
        bool no = *p == '!';
        if (size > no && glob(p + no, size - no, name)) {
            if (no)
                return false;
            matches = true;
        }
        p += size + (p[size] == ',');
    }
    return matches;
}

static void look_at_line(const char *file, unsigned number, char *line, const char *name,
                         const char *key, struct known *known)
{
    char *rest = NULL;
    char *names = strtok_r(line, BLANKS, &rest);
    bool revoked = names && strcmp(names, "@revoked") == 0;
    if (revoked)
        names = strtok_r(NULL, BLANKS, &rest);
    const char *type = strtok_r(NULL, BLANKS, &rest);
    const char *value = strtok_r(NULL, BLANKS, &rest);
    if (!names || !type || !value || strchr("#@", *names) || !names_match(names, name))
        return;
    if (strcmp(value, key) == 0) {
        known->same = true;
        known->revoked |= revoked;
    } else if (!revoked && !known->file) {
        known->file = file;
        known->line = number;
    }
}

static int look(const char *file, const char *name, const char *key, struct known *known)
{
    CLEANUP_FCLOSE FILE *f = fopen(file, "re");
    if (!f)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    CLEANUP_FREE char *line = NULL;
    size_t room = 0;
    for (unsigned number = 1; getline(&line, &room, f) >= 0; number++)
        look_at_line(file, number, line, name, key, known);
    return ferror(f) ? -EIO : 0;
}

/* Appends a line, durably. */
static int add(const struct known_hosts_key *k)
{
    CLEANUP_FREE char *folder = strdup(k->file);
    CLEANUP_BUFFER struct buffer line = {0};
    if (!folder)
        return -ENOMEM;
    char *slash = strrchr(folder, '/');
    if (slash && slash > folder) {
        *slash = '\0';
        io_mkdir_parents(AT_FDCWD, folder, 0700); /* if it fails, so does what follows */
    }
    CLEANUP_CLOSE int fd = io_open_write(AT_FDCWD, k->file, O_APPEND, 0600);
    if (fd < 0)
        return fd;
    char last = '\n'; /* a line of a file that a person has edited may lack its end */
    off_t size = lseek(fd, 0, SEEK_END);
    if (size > 0)
        io_pread(fd, &last, 1, size - 1);
    int r =
        buffer_printf(&line, "%s%s %s %s\n", last == '\n' ? "" : "\n", k->name, k->type, k->text);
    r = r < 0 ? r : io_write(fd, line.data, line.size);
    return r < 0 ? r : io_fsync(fd);
}

/* --- the verdict --- */

__attribute__((format(printf, 3, 4))) static int refuse(char *reason, size_t room,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_clean_format(reason, room, format, args);
    va_end(args);
    return -EKEYREJECTED;
}

static int ask(const struct known_hosts_key *k, char *reason, size_t room)
{
    static const char question[] = "\nIs that right (yes/no)? ";
    char text[300], shown[sizeof text + sizeof question], answer[8] = "";
    snprintf(text, sizeof text, "The lock server %.100s is not known yet. Its key is %.40s %.60s.",
             k->name, k->type, k->fingerprint);
    log_clean(shown, sizeof text, text);
    strcat(shown, question);
    int r = terminal_ask(shown, true, answer, sizeof answer);
    if (r == -ENXIO)
        return refuse(reason, room,
                      "the host key of %.60s is not known (%.40s %.60s), and there is no terminal "
                      "to ask at",
                      k->name, k->type, k->fingerprint);
    if (r < 0 || strcmp(answer, "yes") != 0)
        return refuse(reason, room, "the host key of %.100s was not accepted", k->name);
    r = add(k);
    if (r < 0)
        log_warning("the host key cannot be kept in %s: %s", k->file, strerror(-r));
    return 0;
}

int known_hosts_check(const struct known_hosts_key *k, char *reason, size_t room)
{
    struct known known = {0};
    const char *file = k->file;
    int r = look(file, k->name, k->text, &known);
    if (r == 0 && k->all_file) {
        file = k->all_file;
        r = look(file, k->name, k->text, &known);
    }
    if (r < 0) {
        refuse(reason, room, "cannot read %s: %s", file, strerror(-r));
        return r;
    }
    if (known.revoked)
        return refuse(reason, room, "the host key of %.100s is revoked", k->name);
    if (known.same)
        return 0;
    if (known.file)
        return refuse(reason, room,
                      "the host key of %.60s has CHANGED: %s line %u has another. Somebody may "
                      "be in between; nothing was sent",
                      k->name, known.file, known.line);
    return ask(k, reason, room);
}
