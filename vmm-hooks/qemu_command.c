/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's files are named /proc/self/fd/3/disk.img and so on, where 3 is the guest's folder: no
 * path of the site appears on the command line, so none has to be quoted, and QEMU opens no file of
 * a name that the parcel chose.
 *
 * All that a suspended guest's memory depends on is pinned here or in the parcel's settings:
 * machine version, CPU, RAM and its id, devices and their order. Changing it makes suspended guests
 * fail to resume.
 *
 * The disk goes through the page cache (cache.direct=off): QEMU works on isrfs in every mode, but
 * what is prefetched lands in that cache. The guest's flushes are passed on. An I/O error pauses
 * the guest, which may go on once the disk answers again. */
#include "vmm-hooks/qemu_command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "vmm-hooks/qemu_process.h"

#define FOLDER "/proc/self/fd/%d/"

struct list {
    char **words;
    size_t count;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct list *l, const char *format, ...)
{
    char **words = reallocarray(l->words, l->count + 2, sizeof *words);
    if (!words) {
        l->failed = true;
        return;
    }
    l->words = words;
    va_list args;
    va_start(args, format);
    if (vasprintf(&words[l->count], format, args) < 0) {
        words[l->count] = NULL;
        l->failed = true;
    } else {
        words[++l->count] = NULL;
    }
    va_end(args);
}

static void add_machine(struct list *l, const struct qemu_command *c)
{
    const struct qemu_settings *s = c->settings;
    add(l, "-object");
    add(l, "memory-backend-ram,id=ram0,size=%" PRIu64 "M,dump=off", s->memory_mib);
    add(l, "-machine");
    add(l, "%s,accel=%s,memory-backend=ram0,dump-guest-core=off", s->machine,
        qemu_site_accel(c->site));
    add(l, "-cpu");
    add(l, "%s", s->cpu);
    add(l, "-smp");
    add(l, "%" PRIu64, s->cpus);
    add(l, "-m");
    add(l, "%" PRIu64 "M", s->memory_mib);
    add(l, "-rtc");
    add(l, "base=%s", s->rtc);
}

static void add_disk(struct list *l, const struct qemu_settings *s)
{
    const char *device = "virtio-blk-pci";
    if (strcmp(s->disk_bus, "scsi") == 0) {
        add(l, "-device");
        add(l, "virtio-scsi-pci,id=scsi0");
        device = "scsi-hd,bus=scsi0.0";
    } else if (strcmp(s->disk_bus, "ide") == 0) {
        device = "ide-hd,bus=ide.0";
    }
    add(l, "-blockdev");
    add(l,
        "driver=raw,node-name=disk0,discard=unmap,cache.direct=off,cache.no-flush=off,"
        "file.driver=file,file.filename=" FOLDER "disk.img,file.discard=unmap,"
        "file.cache.direct=off,file.drop-cache=off",
        QEMU_PROCESS_FD_DIR);
    add(l, "-device");
    add(l, "%s,drive=disk0,werror=stop,rerror=stop", device);
}

static void add_network(struct list *l, const struct qemu_command *c)
{
    if (strcmp(c->settings->net, "user") != 0)
        return;
    add(l, "-netdev");
    add(l, "user,id=net0,restrict=%s", c->site->net_restricted ? "on" : "off");
    add(l, "-device");
    add(l, "virtio-net-pci,netdev=net0,romfile=");
}

static void add_video(struct list *l, const struct qemu_command *c)
{
    const char *video = c->settings->video;
    if (strcmp(video, "none") != 0) {
        add(l, "-device");
        add(l, "%s", strcmp(video, "virtio") == 0 ? "virtio-vga" : "VGA");
    }
    static const char *const windows[] = {"-display", "-vnc", "-spice", "-nographic",
                                          "-curses",  "-sdl", "-gtk"};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        if (qemu_site_has(c->site, windows[i]))
            return;
    add(l, "-display");
    add(l, "none");
}

static void add_sockets(struct list *l, const struct qemu_site *site)
{
    add(l, "-chardev");
    add(l, "socket,id=qmp0,fd=%d,server=on,wait=off", QEMU_PROCESS_FD_QMP);
    add(l, "-mon");
    add(l, "chardev=qmp0,mode=control");
    if (qemu_site_has(site, "-serial"))
        return;
    add(l, "-chardev");
    add(l, "socket,id=serial0,fd=%d,server=on,wait=off", QEMU_PROCESS_FD_SERIAL);
    add(l, "-serial");
    add(l, "chardev:serial0");
}

static void add_kernel(struct list *l, const struct qemu_command *c)
{
    if (!c->kernel)
        return;
    add(l, "-kernel");
    add(l, FOLDER "vmlinuz", QEMU_PROCESS_FD_DIR);
    if (c->initrd) {
        add(l, "-initrd");
        add(l, FOLDER "initrd.img", QEMU_PROCESS_FD_DIR);
    }
    if (*c->settings->cmdline) {
        add(l, "-append");
        add(l, "%s", c->settings->cmdline);
    }
}

char **qemu_command_new(const struct qemu_command *c)
{
    struct list l = {0};
    add(&l, "%s", c->site->program);
    add(&l, "-no-user-config");
    add(&l, "-nodefaults");
    if (!qemu_site_has(c->site, "-sandbox")) {
        add(&l, "-sandbox");
        add(&l, "on,obsolete=deny,elevateprivileges=deny,spawn=deny");
    }
    add(&l, "-S");
    add_machine(&l, c);
    add_disk(&l, c->settings);
    add_network(&l, c);
    add_video(&l, c);
    add_sockets(&l, c->site);
    add_kernel(&l, c);
    if (c->incoming) {
        add(&l, "-incoming");
        add(&l, "defer");
    }
    for (char **arg = c->site->args; *arg; arg++)
        add(&l, "%s", *arg);
    if (!l.failed)
        return l.words;
    qemu_command_free(l.words);
    return NULL;
}

void qemu_command_free(char **argv)
{
    for (char **word = argv; argv && *word; word++)
        free(*word);
    free(argv);
}
