/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr-seal seal|open [--passphrase-file FILE | --passphrase-fd N]: standard input to standard
 * output, encrypted with a passphrase, and back. For isr_admin, whose exports are never in the
 * clear.
 *
 *   0  4  "ISRX"        4  1  format, 1      5  1  n: scrypt's N is 2^n      6  1  r      7  1  p
 *   8 16  salt         24 12  nonce
 *  36  …  AES-256-GCM; the key is scrypt(passphrase, salt, N, r, p), the AAD the 36 bytes before
 *   …  16 tag
 *
 * All of the input is read before the passphrase is asked for, so that whoever feeds it can go on;
 * and nothing is written before the tag was found good. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/codec/aead.h"
#include "lockclient/terminal.h"

#define MAGIC           "ISRX"
#define SALT_SIZE       16u
#define HEADER_SIZE     36u
#define INPUT_MAX       (64u << 20)
#define PASSPHRASE_SIZE 1024u
#define PASSPHRASE_MIN  8u
#define SCRYPT_N        17u /* 128 MiB, a third of a second */
#define SCRYPT_N_MAX    20u
#define SCRYPT_R        8u
#define SCRYPT_P        1u

struct seal {
    bool opening;
    const char *file; /* with the passphrase; NULL: fd */
    int fd;           /* -1: the terminal */
    char passphrase[PASSPHRASE_SIZE];
    uint8_t key[AEAD_KEY_SIZE];
};

static int say(const char *text, const char *reason)
{
    fprintf(stderr, "isr-seal: %s%s%s\n", text, reason ? ": " : "", reason ? reason : "");
    return 1;
}

static void cleanup_aead(struct aead **a)
{
    aead_free(*a);
}

static int read_input(struct buffer *out)
{
    int r = io_read_stream(STDIN_FILENO, INPUT_MAX + 1, out);
    if (r < 0)
        return say("standard input cannot be read", strerror(-r));
    if (out->size > INPUT_MAX)
        return say("standard input is longer than 64 MiB", NULL);
    return out->size == 0 ? say("standard input is empty", NULL) : 0;
}

/* --- the passphrase --- */

static int read_passphrase(struct seal *s)
{
    CLEANUP_CLOSE int fd = s->file ? open(s->file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : dup(s->fd);
    size_t size = 0;
    while (fd >= 0 && size < sizeof s->passphrase) {
        ssize_t n = read(fd, s->passphrase + size, sizeof s->passphrase - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return say("the passphrase cannot be read", strerror(errno));
        if (n == 0)
            break;
        size += (size_t)n;
    }
    if (fd < 0)
        return say("the passphrase cannot be read", strerror(errno));
    char *end = memchr(s->passphrase, '\n', size);
    if (!end && size == sizeof s->passphrase)
        return say("the passphrase is longer than 1,023 bytes", NULL);
    *(end ? end : s->passphrase + size) = '\0';
    return 0;
}

static int ask_passphrase(struct seal *s)
{
    int r = terminal_ask("Passphrase of the backup: ", false, s->passphrase, sizeof s->passphrase);
    if (r < 0)
        return say(r == -ENXIO ? "there is no terminal to ask for the passphrase"
                               : "the passphrase cannot be read",
                   r == -ENXIO ? NULL : strerror(-r));
    if (s->opening)
        return 0;
    CLEANUP_SECRET char *again = secret_alloc(sizeof s->passphrase);
    if (!again)
        return say("out of memory", NULL);
    r = terminal_ask("The same again: ", false, again, sizeof s->passphrase);
    if (r < 0 || strcmp(again, s->passphrase) != 0)
        return say("the two are not the same", NULL);
    return 0;
}

static int get_passphrase(struct seal *s)
{
    int status = s->file || s->fd >= 0 ? read_passphrase(s) : ask_passphrase(s);
    if (status == 0 && !s->opening && strlen(s->passphrase) < PASSPHRASE_MIN)
        return say("the passphrase must have at least 8 characters", NULL);
    return status;
}

static int derive(struct seal *s, const uint8_t *header)
{
    uint64_t n = (uint64_t)1 << header[5];
    uint64_t memory = 128 * n * header[6] + (64u << 20);
    if (EVP_PBE_scrypt(s->passphrase, strlen(s->passphrase), header + 8, SALT_SIZE, n, header[6],
                       header[7], memory, s->key, sizeof s->key) == 1)
        return 0;
    return say("there is not enough memory for scrypt", NULL);
}

/* --- */

static int write_out(const struct buffer *out)
{
    int r = io_write(STDOUT_FILENO, out->data, out->size);
    return r < 0 ? say("standard output cannot be written", strerror(-r)) : 0;
}

static int seal(struct seal *s, const struct aead *aead, const struct buffer *in)
{
    CLEANUP_BUFFER struct buffer out = {0};
    static const uint8_t fixed[8] = {'I', 'S', 'R', 'X', 1, SCRYPT_N, SCRYPT_R, SCRYPT_P};
    if (isatty(STDOUT_FILENO))
        return say("standard output is a terminal: name a file", NULL);
    if (buffer_resize(&out, HEADER_SIZE + in->size + AEAD_TAG_SIZE) < 0)
        return say("out of memory", NULL);
    memcpy(out.data, fixed, sizeof fixed);
    if (random_bytes(out.data + sizeof fixed, HEADER_SIZE - sizeof fixed) < 0)
        return say("there are no random bytes", NULL);
    if (derive(s, out.data) != 0)
        return 1;
    uint8_t *text = out.data + HEADER_SIZE;
    if (aead_seal(aead, s->key, text - AEAD_NONCE_SIZE, out.data, HEADER_SIZE, in->data, in->size,
                  text, text + in->size) < 0)
        return say("it cannot be encrypted", NULL);
    return write_out(&out);
}

static int open_sealed(struct seal *s, const struct aead *aead, const struct buffer *in)
{
    CLEANUP_SECRET_BUFFER struct buffer out = {0};
    const uint8_t *h = in->data;
    if (in->size < HEADER_SIZE + AEAD_TAG_SIZE || memcmp(h, MAGIC, 4) != 0 || h[4] != 1)
        return say("this is no backup of isr_admin", NULL);
    if (h[5] < SCRYPT_N || h[5] > SCRYPT_N_MAX || h[6] != SCRYPT_R || h[7] != SCRYPT_P)
        return say("this backup asks for a scrypt that is not allowed", NULL);
    size_t size = in->size - HEADER_SIZE - AEAD_TAG_SIZE;
    if (buffer_resize(&out, size) < 0)
        return say("out of memory", NULL);
    if (derive(s, h) != 0)
        return 1;
    if (aead_open(aead, s->key, h + HEADER_SIZE - AEAD_NONCE_SIZE, h, HEADER_SIZE, h + HEADER_SIZE,
                  size, h + HEADER_SIZE + size, out.data) < 0)
        return say("the passphrase is another, or the backup is damaged", NULL);
    return write_out(&out);
}

static int usage(void)
{
    fputs("usage: isr-seal seal|open [--passphrase-file FILE | --passphrase-fd N]\n", stderr);
    return 2;
}

static int parse(struct seal *s, int argc, char **argv)
{
    s->fd = -1;
    if (argc != 2 && argc != 4)
        return usage();
    s->opening = strcmp(argv[1], "open") == 0;
    if (!s->opening && strcmp(argv[1], "seal") != 0)
        return usage();
    if (argc == 2)
        return 0;
    if (strcmp(argv[2], "--passphrase-file") == 0)
        s->file = argv[3];
    else if (strcmp(argv[2], "--passphrase-fd") == 0 && strspn(argv[3], "0123456789") &&
             strlen(argv[3]) < 5 && !argv[3][strspn(argv[3], "0123456789")])
        s->fd = atoi(argv[3]);
    else
        return usage();
    return 0;
}

int main(int argc, char **argv)
{
    secret_protect_process();
    CLEANUP_SECRET struct seal *s = secret_alloc(sizeof *s);
    CLEANUP_SECRET_BUFFER struct buffer in = {0};
    CLEANUP(cleanup_aead) struct aead *aead = aead_new();
    if (!s || !aead)
        return say("cannot start", strerror(errno));
    int status = parse(s, argc, argv);
    status = status ? status : read_input(&in);
    status = status ? status : get_passphrase(s);
    if (status)
        return status;
    return s->opening ? open_sealed(s, aead, &in) : seal(s, aead, &in);
}
