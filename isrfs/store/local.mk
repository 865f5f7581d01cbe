noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	isrfs/store/faulty.c isrfs/store/faulty.h \
	isrfs/store/folder.c isrfs/store/folder.h \
	isrfs/store/folder_create.c \
	isrfs/store/folder_file.c isrfs/store/folder_file.h \
	isrfs/store/folder_flush.c isrfs/store/folder_flush.h \
	isrfs/store/folder_root.c isrfs/store/folder_root.h \
	isrfs/store/stack.c isrfs/store/stack.h \
	isrfs/store/store.c isrfs/store/store.h
