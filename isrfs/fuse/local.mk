# Not libfuse.a: that is another library's name.
noinst_LIBRARIES += libisrfuse.a
libisrfuse_a_SOURCES = \
	isrfs/fuse/askers.c isrfs/fuse/askers.h \
	isrfs/fuse/control.c isrfs/fuse/control.h \
	isrfs/fuse/control_client.c \
	isrfs/fuse/control_socket.c isrfs/fuse/control_socket.h \
	isrfs/fuse/front.c isrfs/fuse/front.h \
	isrfs/fuse/handover.c isrfs/fuse/handover.h \
	isrfs/fuse/handover_process.c isrfs/fuse/handover_process.h \
	isrfs/fuse/mount.c isrfs/fuse/mount.h \
	isrfs/fuse/ops.h \
	isrfs/fuse/ops_attr.c isrfs/fuse/ops_file.c isrfs/fuse/ops_folder.c isrfs/fuse/ops_name.c \
	isrfs/fuse/seek.c isrfs/fuse/seek.h \
	isrfs/fuse/tune.c isrfs/fuse/tune.h \
	isrfs/fuse/virtual.c isrfs/fuse/virtual.h \
	isrfs/fuse/virtual_text.c isrfs/fuse/virtual_text.h \
	isrfs/fuse/watch.c isrfs/fuse/watch.h \
	isrfs/fuse/writers.c isrfs/fuse/writers.h

# The process that has the kernel hand over what it holds of files.
pkglibexec_PROGRAMS += isrfs/fuse/isrfs-handover-child
isrfs_fuse_isrfs_handover_child_SOURCES = isrfs/fuse/handover_child.c
isrfs_fuse_isrfs_handover_child_LDADD = libbase.a
