# The two programs. What both link, top down.
ISRFS_LIBS = libisrfuse.a libsync.a libparcel.a libkeyring.a libstore.a liblockclient.a \
	libcodec.a libbase.a $(FUSE_LIBS) $(JANSSON_LIBS) $(NBD_LIBS) $(SSH_LIBS) $(CURL_LIBS) \
	$(ZSTD_LIBS) $(ZLIB_LIBS) $(CRYPTO_LIBS)

include isrfs/cmd/isrfs.mk

bin_PROGRAMS += isrfs/cmd/isr
isrfs_cmd_isr_SOURCES = \
	isrfs/cmd/cmd.c isrfs/cmd/cmd.h isrfs/cmd/commands.h \
	isrfs/cmd/cmd_break_lock.c \
	isrfs/cmd/cmd_checkpoint.c \
	isrfs/cmd/cmd_ci.c \
	isrfs/cmd/cmd_clone.c \
	isrfs/cmd/cmd_co.c \
	isrfs/cmd/cmd_discard.c \
	isrfs/cmd/cmd_export.c \
	isrfs/cmd/cmd_history.c \
	isrfs/cmd/cmd_import.c \
	isrfs/cmd/cmd_ls.c \
	isrfs/cmd/cmd_mount.c \
	isrfs/cmd/cmd_prune.c \
	isrfs/cmd/cmd_resize.c \
	isrfs/cmd/cmd_rm.c \
	isrfs/cmd/cmd_rollback.c \
	isrfs/cmd/cmd_recovery_key.c \
	isrfs/cmd/cmd_rekey.c \
	isrfs/cmd/cmd_run.c \
	isrfs/cmd/cmd_status.c \
	isrfs/cmd/cmd_text.c \
	isrfs/cmd/cmd_umount.c \
	isrfs/cmd/cmd_verify.c \
	isrfs/cmd/daemon.c isrfs/cmd/daemon.h \
	isrfs/cmd/isr.c \
	isrfs/cmd/recovery_words.c isrfs/cmd/recovery_words.h \
	isrfs/cmd/vmm.c isrfs/cmd/vmm.h
isrfs_cmd_isr_CPPFLAGS = $(AM_CPPFLAGS) -DISRFS_VERSION='"$(VERSION)"'
isrfs_cmd_isr_LDADD = $(ISRFS_LIBS)

dist_man_MANS += doc/man/isr.1

# Names under which isr is one of its commands.
ISR_LINKS = isr_get_parcel_names isr_parcel_co isr_parcel_ci isr_parcel_run \
	isr_parcel_checkpoint isr_parcel_verify

# umount(8) looks for its helpers in one place only, which may not be ours to write.
INSTALL_HOOKS += install-isr-links
install-isr-links: install-binPROGRAMS
	$(AM_V_at)for link in $(ISR_LINKS); do \
	    ln -sf isr "$(DESTDIR)$(bindir)/$$link" || exit 1; \
	done
	$(AM_V_at)$(MKDIR_P) "$(DESTDIR)$(mounthelperdir)" && \
	    ln -sf "$(bindir)/isr" "$(DESTDIR)$(mounthelperdir)/umount.fuse.isrfs" || \
	    echo "umount(8) will not wait for check-ins: cannot write $(DESTDIR)$(mounthelperdir)" >&2

UNINSTALL_HOOKS += uninstall-isr-links
uninstall-isr-links:
	$(AM_V_at)for link in $(ISR_LINKS); do rm -f "$(DESTDIR)$(bindir)/$$link"; done
	$(AM_V_at)rm -f "$(DESTDIR)$(mounthelperdir)/umount.fuse.isrfs" || :

# What seals isr_admin's exports; libcrypto is all it needs.
pkglibexec_PROGRAMS += isrfs/cmd/isr-seal
isrfs_cmd_isr_seal_SOURCES = isrfs/cmd/isr_seal.c
isrfs_cmd_isr_seal_LDADD = liblockclient.a libcodec.a libbase.a $(CRYPTO_LIBS)

# What sends an event, when EVENTS in isr.conf says so.
pkglibexec_PROGRAMS += isrfs/cmd/isr-send-event
isrfs_cmd_isr_send_event_SOURCES = isrfs/cmd/isr_send_event.c
isrfs_cmd_isr_send_event_LDADD = $(ISRFS_LIBS)
