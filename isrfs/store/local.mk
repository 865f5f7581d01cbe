noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	isrfs/store/faulty.c isrfs/store/faulty.h \
	isrfs/store/folder.c isrfs/store/folder.h \
	isrfs/store/folder_create.c \
	isrfs/store/folder_file.c isrfs/store/folder_file.h \
	isrfs/store/folder_flush.c isrfs/store/folder_flush.h \
	isrfs/store/folder_root.c isrfs/store/folder_root.h \
	isrfs/store/home_watch.c isrfs/store/home_watch.h \
	isrfs/store/remote.c isrfs/store/remote.h \
	isrfs/store/remote_child.c isrfs/store/remote_child.h \
	isrfs/store/remote_keeper.c \
	isrfs/store/remote_mounts.c isrfs/store/remote_mounts.h \
	isrfs/store/remote_protocol.c isrfs/store/remote_protocol.h \
	isrfs/store/remote_puts.c isrfs/store/remote_puts.h \
	isrfs/store/remote_state.c isrfs/store/remote_state.h \
	isrfs/store/stack.c isrfs/store/stack.h \
	isrfs/store/store.c isrfs/store/store.h

# The process that works on a home that may hang.
pkglibexec_PROGRAMS += isrfs/store/isrfs-store-child
isrfs_store_isrfs_store_child_SOURCES = isrfs/store/store_child.c
isrfs_store_isrfs_store_child_LDADD = libstore.a libcodec.a libbase.a $(ZSTD_LIBS) $(ZLIB_LIBS) \
	$(CRYPTO_LIBS)
