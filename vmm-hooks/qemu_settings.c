/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One table of keys. Each has a function that takes the value if it is of the right pattern and
 * refuses it otherwise; words with a choice end up as pointers to our own constants, so nothing but
 * checked text reaches QEMU's command line. */
#include "vmm-hooks/qemu_settings.h"

#include <string.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/io.h"
#include "isrfs/base/keyvalue.h"
#include "isrfs/base/log.h"

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#define MEMORY_MIN_MIB 16
#define MEMORY_MAX_MIB (1024 * 1024)
#define CPUS_MAX       255

/* Of *AT, 1 to 2 digits. */
static bool skip_number(const char **at)
{
    size_t n = strspn(*at, DIGITS);
    *at += n;
    return n == 1 || n == 2;
}

static bool take_machine(struct qemu_settings *s, const char *value)
{
    static const char *const families[] = {"pc-i440fx-", "pc-q35-"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        size_t length = strlen(families[i]);
        const char *at = value + length;
        if (strncmp(value, families[i], length) != 0)
            continue;
        if (!skip_number(&at) || *at++ != '.' || !skip_number(&at) || *at != '\0')
            return false;
        strcpy(s->machine, value); /* at most 16 bytes, as checked */
        return true;
    }
    return false;
}

/* A name only. Those that stand for whatever the site has would not come up elsewhere. */
static bool take_cpu(struct qemu_settings *s, const char *value)
{
    static const char *const refused[] = {"host", "max", "base", "help"};
    size_t length = strlen(value);
    if (length >= sizeof s->cpu || !*value || !strchr(LETTERS DIGITS, *value) ||
        strspn(value, LETTERS DIGITS "._-") != length)
        return false;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(value, refused[i]) == 0)
            return false;
    strcpy(s->cpu, value);
    return true;
}

static bool take_number(const char *value, uint64_t min, uint64_t max, uint64_t *ret)
{
    size_t length = strlen(value);
    if (length == 0 || length > 9 || strspn(value, DIGITS) != length || value[0] == '0')
        return false;
    *ret = strtoull(value, NULL, 10);
    return *ret >= min && *ret <= max;
}

static bool take_memory(struct qemu_settings *s, const char *value)
{
    return take_number(value, MEMORY_MIN_MIB, MEMORY_MAX_MIB, &s->memory_mib);
}

static bool take_cpus(struct qemu_settings *s, const char *value)
{
    return take_number(value, 1, CPUS_MAX, &s->cpus);
}

static bool take_choice(const char *value, const char *const *choices, const char **ret)
{
    for (; *choices; choices++)
        if (strcmp(value, *choices) == 0)
            *ret = *choices;
    return strcmp(value, *ret) == 0;
}

static bool take_disk_format(struct qemu_settings *s, const char *value)
{
    (void)s; /* one choice: any other format may name further files of the site */
    return strcmp(value, "raw") == 0;
}

static bool take_disk_bus(struct qemu_settings *s, const char *value)
{
    static const char *const choices[] = {"virtio", "scsi", "ide", NULL};
    return take_choice(value, choices, &s->disk_bus);
}

static bool take_video(struct qemu_settings *s, const char *value)
{
    static const char *const choices[] = {"none", "std", "virtio", NULL};
    return take_choice(value, choices, &s->video);
}

static bool take_net(struct qemu_settings *s, const char *value)
{
    static const char *const choices[] = {"none", "user", NULL};
    return take_choice(value, choices, &s->net);
}

static bool take_rtc(struct qemu_settings *s, const char *value)
{
    static const char *const choices[] = {"utc", "localtime", NULL};
    return take_choice(value, choices, &s->rtc);
}

/* For the guest's kernel; one argument of QEMU whatever it holds. */
static bool take_cmdline(struct qemu_settings *s, const char *value)
{
    size_t length = strlen(value);
    if (length > QEMU_SETTINGS_CMDLINE_MAX || strspn(value, LETTERS DIGITS " ._,:;=+@/-") != length)
        return false;
    strcpy(s->cmdline, value);
    return true;
}

static const struct key {
    const char *name;
    bool (*take)(struct qemu_settings *s, const char *value);
    const char *pattern; /* for people */
} keys[] = {
    {"MACHINE", take_machine, "a versioned PC such as pc-i440fx-7.2 or pc-q35-7.2"},
    {"CPU", take_cpu, "the name of one model, not host or max"},
    {"MEMORY", take_memory, "a number of MiB from 16 to 1048576"},
    {"CPUS", take_cpus, "a number from 1 to 255"},
    {"DISK_FORMAT", take_disk_format, "raw"},
    {"DISK_BUS", take_disk_bus, "virtio, scsi or ide"},
    {"VIDEO", take_video, "none, std or virtio"},
    {"NET", take_net, "none or user"},
    {"RTC", take_rtc, "utc or localtime"},
    {"CMDLINE", take_cmdline, "at most 512 letters, digits, spaces and . _ , : ; = + @ / -"},
};
#define KEY_COUNT (sizeof keys / sizeof *keys)

static bool known(const char *name, size_t length)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strlen(keys[i].name) == length && strncmp(keys[i].name, name, length) == 0)
            return true;
    return false;
}

/* Says why TEXT (terminated) was refused: by the first key that is not known, else by REASON. */
static void log_refusal(const char *text, const char *reason)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t length = strspn(line, LETTERS DIGITS "_");
        if (length == 0 || strncmp(line + length, ":=", 2) != 0 || known(line, length))
            continue;
        log_error(QEMU_SETTINGS_FILE ": unknown key %.*s", (int)(length < 64 ? length : 64), line);
        return;
    }
    log_error(QEMU_SETTINGS_FILE ": %s", reason);
}

static int parse(const struct buffer *text, struct keyvalue **ret)
{
    const char *names[KEY_COUNT + 1] = {0};
    for (size_t i = 0; i < KEY_COUNT; i++)
        names[i] = keys[i].name;
    const char *reason = "out of memory";
    int r = keyvalue_parse(text->data, text->size, names, ret, &reason);
    if (r < 0)
        log_refusal((const char *)text->data, reason);
    return r;
}

int qemu_settings_read(int dirfd, struct qemu_settings *ret)
{
    *ret = (struct qemu_settings){.machine = "pc-i440fx-7.2",
                                  .cpu = "qemu64",
                                  .memory_mib = 1024,
                                  .cpus = 1,
                                  .disk_bus = "virtio",
                                  .video = "std",
                                  .net = "none",
                                  .rtc = "utc"};
    CLEANUP_BUFFER struct buffer text = {0};
    int r = io_read_file(dirfd, QEMU_SETTINGS_FILE, KEYVALUE_TEXT_MAX, &text);
    if (r == -ENOENT)
        return 0;
    r = r < 0 ? r : buffer_terminate(&text);
    if (r < 0) {
        log_error("cannot read " QEMU_SETTINGS_FILE ": %s", strerror(-r));
        return r;
    }
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    r = parse(&text, &kv);
    if (r < 0)
        return r;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *value = keyvalue_get(kv, keys[i].name);
        if (!value || keys[i].take(ret, value))
            continue;
        log_error(QEMU_SETTINGS_FILE ": %s must be %s", keys[i].name, keys[i].pattern);
        return -EBADMSG;
    }
    return 0;
}
