EXTRA_DIST += doc/architecture.md doc/decisions.md doc/format.md doc/lock-server.md
dist_man_MANS += doc/man/isr-vmm-hook.7
