/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Version records: what a parcel's home says of its versions (DESIGN 5), so that whoever keeps the
 * store knows which catalogs are needed, and so that who has the recovery key can read them when
 * the lock server is lost. `versions/<uuid>/<number>-<catalog id>`, KEY:=value.
 *
 * Whoever writes a version record (import, check-in, checkpoint, rollback, clone, rekey) has the
 * whole keyroot at hand and gives it here together with the seal (of an open check-out:
 * checkout_seal). */
#ifndef ISRFS_SYNC_VERSION_H
#define ISRFS_SYNC_VERSION_H

#include "isrfs/codec/object.h"
#include "isrfs/store/store.h"
#include "lockclient/types.h"

#define VERSION_NAME_SIZE 160

/* The record's name. */
void version_name(char out[VERSION_NAME_SIZE], const char *uuid, uint64_t number,
                  const struct object_id *catalog);

#define VERSION_SEALED_SIZE 124u /* nonce, sealed key and name, tag */

/* What a keyroot is sealed with, and the name that is sealed with it. The pointers are the
 * caller's.
 */
struct version_seal {
    const uint8_t *recovery; /* LOCKCLIENT_RECOVERY_SIZE bytes; NULL: the server has none */
    const char *parcel;      /* its name at the lock server */
};

struct version {
    char uuid[LOCKCLIENT_UUID_SIZE];
    uint64_t number;
    struct object_ref catalog; /* its key only after version_open */
    uint64_t time;             /* seconds since 1970 at the site that wrote it; 0: not said */
    bool has_seal;
    uint8_t sealed[VERSION_SEALED_SIZE];
    char parcel[LOCKCLIENT_NAME_SIZE]; /* only after version_open */
};

/* Puts the record of version NUMBER, with the keyroot (KEYROOT: the catalog's key and id) sealed in
 * it. Durable after the next barrier. Again is no error. Errors as store_put_record; -EINVAL for a
 * bad name. */
int version_put(struct store *home, const char *uuid, uint64_t number,
                const struct object_ref *keyroot, const struct version_seal *seal);

/* Removes it, if it is there. */
int version_remove(struct store *home, const char *uuid, uint64_t number,
                   const struct object_id *catalog);

/* Removes every record of these versions of a parcel, and with NUMBERS NULL of all its versions.
 * Durable after the next barrier. */
int version_remove_numbers(struct store *home, const char *uuid, const uint64_t *numbers,
                           size_t count);

/* Is NAME that of a record in versions/<uuid>/? */
bool version_name_parse(const char *name, uint64_t *ret_number, struct object_id *ret_catalog);

/* Reads versions/UUID/NAME, written by anyone: -EBADMSG unless it is of the right form and says
 * what its name says. Errors as store_get_record. */
int version_get(struct store *home, const char *uuid, const char *name, struct version *ret);

/* Unseals: fills in the catalog's key and the parcel's name. -ENOKEY without a seal, -EBADMSG if
 * the recovery key is another, or anything in the record was changed. */
int version_open(struct store *home, struct version *v,
                 const uint8_t recovery[LOCKCLIENT_RECOVERY_SIZE]);

#endif
