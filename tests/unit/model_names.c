/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file has up to five pieces of three blocks, one at the front of each chunk. Making, renaming
 * and removing need nothing from home, so they must not fail. Reading may, if the home does, and so
 * may writing to a chunk that is in the log, if that cannot be read. */
#include "tests/unit/model_names.h"

#include <stdlib.h>
#include <string.h>

#include "tests/random.h"

#define PIECE (3u * 4096u)

static unsigned pieces_of(uint64_t word)
{
    return 1 + (unsigned)(word % 5);
}

static void fill(uint8_t *piece, uint64_t word, unsigned index)
{
    for (size_t at = 0; at < PIECE; at += sizeof word) {
        uint64_t value = word ^ (index * UINT64_C(0x9e3779b97f4a7c15)) ^ at;
        memcpy(piece + at, &value, sizeof value);
    }
}

static uint64_t folder_of(const struct model_names *m, unsigned name)
{
    return m->folders[name % 2];
}

static const char *text_of(unsigned name)
{
    static const char *const texts[NAMES] = {"a", "b", "c", "d", "e", "f"};
    return texts[name];
}

static bool is_of_a_disk(ssize_t error)
{
    return error == -EIO || error == -EHOSTDOWN;
}

/* IS_NEW: nothing has to be read for that. */
static void write_all(struct world *w, uint64_t id, uint64_t word, bool is_new)
{
    uint8_t piece[PIECE];
    for (unsigned i = 0; i < pieces_of(word); i++) {
        fill(piece, word, i);
        ssize_t n = parcel_write(w->parcel, id, piece, PIECE, (uint64_t)i * CHUNK);
        if (n != PIECE && (is_new || !is_of_a_disk(n)))
            world_wrong(w, "a file cannot be written", (uint64_t)i * CHUNK, (int)n);
    }
}

static void read_all(struct world *w, uint64_t id, uint64_t word)
{
    uint8_t wanted[PIECE], piece[PIECE];
    struct parcel_attr attr = {0};
    int r = parcel_getattr(w->parcel, id, &attr);
    if (r < 0 || attr.size != (uint64_t)(pieces_of(word) - 1) * CHUNK + PIECE)
        world_wrong(w, "a file that came has another size", attr.size, r);
    for (unsigned i = 0; i < pieces_of(word); i++) {
        fill(wanted, word, i);
        ssize_t n = parcel_read(w->parcel, id, piece, PIECE, (uint64_t)i * CHUNK);
        if (is_of_a_disk(n))
            continue;
        if (n != PIECE || memcmp(piece, wanted, PIECE) != 0)
            world_wrong(w, "a file that came holds something else", (uint64_t)i * CHUNK,
                        n < 0 ? (int)n : 0);
    }
}

static void make(struct world *w, uint64_t folder, const char *text, uint64_t word)
{
    struct parcel_attr attr;
    int r = parcel_create(w->parcel, folder, text, 0600, &attr);
    if (r < 0) {
        world_wrong(w, "a file cannot be made", 0, r);
        return;
    }
    write_all(w, attr.file_id, word, true);
    parcel_forget(w->parcel, attr.file_id, 1);
}

static void rename_to(struct world *w, uint64_t from_folder, const char *from, uint64_t to_folder,
                      const char *to)
{
    int r = parcel_rename(w->parcel, from_folder, from, to_folder, to, false);
    if (r < 0)
        world_wrong(w, "a file cannot be renamed", 0, r);
}

/* It lives on for who has it open. */
static void remove_in_use(struct world *w, uint64_t folder, const char *text, uint64_t word)
{
    struct parcel_attr attr;
    int r = parcel_lookup(w->parcel, folder, text, &attr);
    if (r < 0) {
        world_wrong(w, "a file cannot be looked up", 0, r);
        return;
    }
    r = parcel_unlink(w->parcel, folder, text);
    if (r < 0)
        world_wrong(w, "a file cannot be removed", 0, r);
    read_all(w, attr.file_id, word);
    write_all(w, attr.file_id, word, false);
    read_all(w, attr.file_id, word);
    parcel_forget(w->parcel, attr.file_id, 1);
}

static void rewrite(struct world *w, uint64_t folder, const char *text, uint64_t word)
{
    struct parcel_attr attr;
    int r = parcel_lookup(w->parcel, folder, text, &attr);
    r = r < 0 ? r : parcel_truncate(w->parcel, attr.file_id, 0);
    if (r < 0) {
        world_wrong(w, "a file cannot be emptied", 0, r);
        return;
    }
    write_all(w, attr.file_id, word, true);
    parcel_forget(w->parcel, attr.file_id, 1);
}

static void check(struct world *w, struct model_names *m, unsigned name)
{
    struct parcel_attr attr;
    int r = parcel_lookup(w->parcel, folder_of(m, name), text_of(name), &attr);
    if (r != (m->words[name] ? 0 : -ENOENT))
        world_wrong(w, "a name is there that should not be, or is not", name, r);
    else if (r == 0)
        read_all(w, attr.file_id, m->words[name]);
    if (r == 0)
        parcel_forget(w->parcel, attr.file_id, 1);
}

void model_names_begin(struct world *w, struct model_names *m)
{
    struct parcel_attr attr = {0};
    int r = parcel_mkdir(w->parcel, CATALOG_ROOT, "folder", 0700, &attr);
    if (r < 0)
        world_wrong(w, "a folder cannot be made", 0, r);
    parcel_forget(w->parcel, attr.file_id, 1);
    m->folders[0] = CATALOG_ROOT;
    m->folders[1] = attr.file_id;
}

void model_names_step(struct world *w, struct model_names *m, uint64_t *random)
{
    uint64_t dice = test_random(random) >> 8, word = test_random(random) | 1;
    unsigned name = (unsigned)(dice % NAMES), other = (unsigned)(dice / NAMES % NAMES);
    uint64_t folder = folder_of(m, name);
    const char *text = text_of(name);
    if (!m->words[name]) {
        make(w, folder, text, word);
        m->words[name] = word;
        return;
    }
    switch (dice / NAMES / NAMES % 5) {
    case 0:
        make(w, CATALOG_ROOT, "new", word);
        rename_to(w, CATALOG_ROOT, "new", folder, text);
        m->words[name] = word;
        break;
    case 1:
        rename_to(w, folder, text, folder_of(m, other), text_of(other));
        word = m->words[name];
        m->words[name] = 0;
        m->words[other] = word;
        break;
    case 2:
        remove_in_use(w, folder, text, m->words[name]);
        m->words[name] = 0;
        break;
    case 3:
        rewrite(w, folder, text, word);
        m->words[name] = word;
        break;
    default:
        check(w, m, name);
    }
}

void model_names_check(struct world *w, struct model_names *m)
{
    for (unsigned i = 0; i < NAMES; i++)
        check(w, m, i);
}
