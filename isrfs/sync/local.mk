noinst_LIBRARIES += libsync.a
libsync_a_SOURCES = \
	isrfs/sync/begun.c isrfs/sync/begun.h \
	isrfs/sync/carrier.c isrfs/sync/carrier.h \
	isrfs/sync/checkin.c isrfs/sync/checkin.h \
	isrfs/sync/checkin_as.c isrfs/sync/checkin_as.h \
	isrfs/sync/checkout.c isrfs/sync/checkout.h \
	isrfs/sync/checkout_lock.c isrfs/sync/checkout_lock.h \
	isrfs/sync/changes.c isrfs/sync/changes.h \
	isrfs/sync/commit.c isrfs/sync/commit.h \
	isrfs/sync/damage.c isrfs/sync/damage.h \
	isrfs/sync/discard.c isrfs/sync/discard.h \
	isrfs/sync/disk_only.c isrfs/sync/disk_only.h \
	isrfs/sync/event.c isrfs/sync/event.h \
	isrfs/sync/export.c \
	isrfs/sync/failure.c \
	isrfs/sync/hold.c isrfs/sync/hold.h \
	isrfs/sync/home.c isrfs/sync/home.h \
	isrfs/sync/import.c isrfs/sync/import.h \
	isrfs/sync/import_file.c isrfs/sync/import_file.h \
	isrfs/sync/import_image.c isrfs/sync/import_image.h \
	isrfs/sync/import_names.c isrfs/sync/import_names.h \
	isrfs/sync/import_source.c isrfs/sync/import_source.h \
	isrfs/sync/prune.c isrfs/sync/prune.h \
	isrfs/sync/push.c isrfs/sync/push.h \
	isrfs/sync/rebuild.c isrfs/sync/rebuild.h \
	isrfs/sync/rebuild_scan.c isrfs/sync/rebuild_scan.h \
	isrfs/sync/recover.c isrfs/sync/recover.h \
	isrfs/sync/resize.c isrfs/sync/resize.h \
	isrfs/sync/rekey.c isrfs/sync/rekey.h \
	isrfs/sync/rekey_file.c isrfs/sync/rekey_file.h \
	isrfs/sync/seen.c isrfs/sync/seen.h \
	isrfs/sync/server.c isrfs/sync/server.h \
	isrfs/sync/site.c isrfs/sync/site.h \
	isrfs/sync/source.c \
	isrfs/sync/verify.c isrfs/sync/verify.h \
	isrfs/sync/version.c isrfs/sync/version.h \
	isrfs/sync/versions.c isrfs/sync/versions.h
