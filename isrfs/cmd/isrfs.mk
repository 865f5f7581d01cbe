bin_PROGRAMS += isrfs/cmd/isrfs
isrfs_cmd_isrfs_SOURCES = \
	isrfs/cmd/isrfs.c \
	isrfs/cmd/isrfs_background.c isrfs/cmd/isrfs_background.h \
	isrfs/cmd/isrfs_mountpoint.c isrfs/cmd/isrfs_mountpoint.h \
	isrfs/cmd/isrfs_options.c isrfs/cmd/isrfs_options.h \
	isrfs/cmd/isrfs_requests.c \
	isrfs/cmd/isrfs_session.c isrfs/cmd/isrfs_session.h \
	isrfs/cmd/isrfs_session_private.h
isrfs_cmd_isrfs_CPPFLAGS = $(AM_CPPFLAGS) -DISRFS_VERSION='"$(VERSION)"'
isrfs_cmd_isrfs_LDADD = $(ISRFS_LIBS)
dist_man_MANS += doc/man/isrfs.8
