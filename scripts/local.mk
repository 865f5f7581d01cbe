lockserverdir = $(pkglibexecdir)/lockserver
dist_lockserver_SCRIPTS = \
	scripts/lockserver/isr_acquire_lock \
	scripts/lockserver/isr_break_lock \
	scripts/lockserver/isr_cat_keyroot \
	scripts/lockserver/isr_cat_parcel_cfg \
	scripts/lockserver/isr_cat_user \
	scripts/lockserver/isr_check_lock \
	scripts/lockserver/isr_clone_parcel \
	scripts/lockserver/isr_create_parcel \
	scripts/lockserver/isr_history \
	scripts/lockserver/isr_list_forgotten \
	scripts/lockserver/isr_list_parcel \
	scripts/lockserver/isr_prune_versions \
	scripts/lockserver/isr_publish \
	scripts/lockserver/isr_release_lock \
	scripts/lockserver/isr_remove_parcel \
	scripts/lockserver/isr_rollback
# Sourced by the commands, not run.
dist_lockserver_DATA = scripts/lockserver/isr_functions scripts/lockserver/isr_version_functions

EXTRA_DIST += scripts/check scripts/quickstart scripts/prepare scripts/make-guest .ci/run

# For whoever runs a lock server; it finds the commands beside itself.
adminexecdir = $(pkglibexecdir)
dist_adminexec_SCRIPTS = scripts/isr_admin
dist_man_MANS += doc/man/isr_admin.8
INSTALL_HOOKS += install-admin-link
install-admin-link: install-dist_adminexecSCRIPTS
	$(AM_V_at)$(MKDIR_P) "$(DESTDIR)$(sbindir)"
	$(AM_V_at)ln -sf "$(pkglibexecdir)/isr_admin" "$(DESTDIR)$(sbindir)/isr_admin"
UNINSTALL_HOOKS += uninstall-admin-link
uninstall-admin-link:
	$(AM_V_at)rm -f "$(DESTDIR)$(sbindir)/isr_admin"
