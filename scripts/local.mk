lockserverdir = $(pkglibexecdir)/lockserver
dist_lockserver_SCRIPTS = \
	scripts/lockserver/isr_acquire_lock \
	scripts/lockserver/isr_break_lock \
	scripts/lockserver/isr_cat_keyroot \
	scripts/lockserver/isr_cat_parcel_cfg \
	scripts/lockserver/isr_cat_user \
	scripts/lockserver/isr_check_lock \
	scripts/lockserver/isr_create_parcel \
	scripts/lockserver/isr_history \
	scripts/lockserver/isr_list_parcel \
	scripts/lockserver/isr_publish \
	scripts/lockserver/isr_release_lock
# Sourced by the commands, not run.
dist_lockserver_DATA = scripts/lockserver/isr_functions

EXTRA_DIST += scripts/check scripts/quickstart scripts/prepare scripts/make-guest .ci/run
