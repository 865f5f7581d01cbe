noinst_LIBRARIES += libparcel.a
libparcel_a_SOURCES = \
	isrfs/parcel/blocks.c \
	isrfs/parcel/catalog.c isrfs/parcel/catalog.h \
	isrfs/parcel/catalog_json.c isrfs/parcel/catalog_json.h \
	isrfs/parcel/chunk_buffers.c isrfs/parcel/chunk_buffers.h \
	isrfs/parcel/chunk_cache.c isrfs/parcel/chunk_cache.h \
	isrfs/parcel/dirty.c \
	isrfs/parcel/fetch.c \
	isrfs/parcel/flush.c \
	isrfs/parcel/holes.c isrfs/parcel/holes.h \
	isrfs/parcel/losses.c isrfs/parcel/losses.h \
	isrfs/parcel/journal.c \
	isrfs/parcel/listing.c \
	isrfs/parcel/names.c \
	isrfs/parcel/ops.c \
	isrfs/parcel/parcel.c isrfs/parcel/parcel.h isrfs/parcel/parcel_internal.h \
	isrfs/parcel/patience.c \
	isrfs/parcel/prefetch.c \
	isrfs/parcel/read.c \
	isrfs/parcel/ref_slots.c isrfs/parcel/ref_slots.h \
	isrfs/parcel/replay.c \
	isrfs/parcel/salvage.c \
	isrfs/parcel/save.c \
	isrfs/parcel/segment.c isrfs/parcel/segment.h \
	isrfs/parcel/segment_space.c isrfs/parcel/segment_space.h \
	isrfs/parcel/site_log.c isrfs/parcel/site_log.h \
	isrfs/parcel/site_log_append.c isrfs/parcel/site_log_internal.h \
	isrfs/parcel/site_log_journal.c isrfs/parcel/site_log_repair.c \
	isrfs/parcel/site_log_read.c isrfs/parcel/site_log_trim.c \
	isrfs/parcel/site_log_salvage.c \
	isrfs/parcel/site_log_scan.c isrfs/parcel/site_log_scan.h \
	isrfs/parcel/site_log_space.c \
	isrfs/parcel/spill.c isrfs/parcel/spill.h \
	isrfs/parcel/volatile.c \
	isrfs/parcel/write.c
