noinst_LIBRARIES += liblockclient.a
liblockclient_a_SOURCES = \
	lockclient/call.c lockclient/call.h \
	lockclient/connection.c lockclient/connection.h \
	lockclient/dial.c lockclient/dial.h \
	lockclient/known_hosts.c lockclient/known_hosts.h \
	lockclient/location.c lockclient/location.h \
	lockclient/lockclient.c lockclient/lockclient.h \
	lockclient/lockclient_versions.c \
	lockclient/message.c lockclient/message.h \
	lockclient/message_list.c \
	lockclient/message_words.c \
	lockclient/terminal.c lockclient/terminal.h \
	lockclient/transport.h \
	lockclient/transport_command.c \
	lockclient/transport_local.c \
	lockclient/transport_ssh.c \
	lockclient/types.h

# What sshd runs at a lock server.
shellexecdir = $(pkglibexecdir)
shellexec_PROGRAMS = lockclient/isr_shell
lockclient_isr_shell_SOURCES = lockclient/isr_shell.c
lockclient_isr_shell_LDADD = liblockclient.a libbase.a

# How the commands read, and change, files; the first does without libcrypto, which takes longer to
# load than all that it does.
pkglibexec_PROGRAMS += lockclient/isr-look lockclient/isr-keep
lockclient_isr_look_SOURCES = lockclient/isr_look.c lockclient/state_file.c lockclient/state_file.h
lockclient_isr_look_LDADD = libbase.a
lockclient_isr_keep_SOURCES = lockclient/isr_keep.c lockclient/state_file.c lockclient/state_file.h
lockclient_isr_keep_LDADD = libbase.a $(CRYPTO_LIBS)
dist_man_MANS += doc/man/isr_shell.8

# For an account of one's own, whose login shell looks for the commands by their names.
SHELL_LINKS = isr_acquire_lock isr_break_lock isr_cat_keyroot isr_cat_parcel_cfg isr_cat_user \
	isr_check_lock isr_clone_parcel isr_create_parcel isr_history isr_list_forgotten isr_list_parcel \
	isr_prune_versions isr_publish isr_put_event isr_recover_parcel isr_rekey isr_release_lock isr_remove_parcel \
	isr_rollback
INSTALL_HOOKS += install-shell-links
install-shell-links: install-shellexecPROGRAMS
	$(AM_V_at)$(MKDIR_P) "$(DESTDIR)$(bindir)"
	$(AM_V_at)for link in $(SHELL_LINKS); do \
	    ln -sf "$(pkglibexecdir)/isr_shell" "$(DESTDIR)$(bindir)/$$link" || exit 1; \
	done
UNINSTALL_HOOKS += uninstall-shell-links
uninstall-shell-links:
	$(AM_V_at)for link in $(SHELL_LINKS); do rm -f "$(DESTDIR)$(bindir)/$$link"; done
