# Every command of the project; what each does is a script of its name under scripts/.

PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help build test demo demo-down bench lint install test-vm test-long

help:
	@echo 'make build      installs what building and running need; leaves the program at build/berth'
	@echo 'make demo       everything, from a fresh clone to a video platform that runs as an ECS service'
	@echo 'make demo-down  takes that away again'
	@echo 'make test       every test (make test-vm: only the one in a virtual machine)'
	@echo 'make test-long  what takes long: an upgrade under running tasks, random networks, many seeds'
	@echo 'make bench      measures Berth beside others and prints a table'
	@echo 'make lint       formatting, clang-tidy, shellcheck'
	@echo 'make install    build/berth and its systemd unit into PREFIX=$(PREFIX)'

build demo demo-down test bench lint test-vm test-long:
	@scripts/$@

# Takes the programs as they are: nothing is compiled here, so that it works on a machine without compilers. berth looks for its
# helpers beside itself, so they live in one folder and PATH gets a link.
install:
	@test -x build/berth || { echo 'error: there is no build/berth. Run: make build' >&2; exit 1; }
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/berth build/berth build/berth-supervisor build/berth-unpack build/berth-seccomp build/berth-resolver
	install -d $(DESTDIR)$(PREFIX)/bin
	ln -sfn ../lib/berth/berth $(DESTDIR)$(PREFIX)/bin/berth
	install -D -m 0644 packaging/berth.service $(DESTDIR)$(PREFIX)/lib/systemd/system/berth.service
	install -D -m 0644 docs/operations.md $(DESTDIR)$(PREFIX)/share/doc/berth/operations.md
	sed -i 's|@PREFIX@|$(PREFIX)|' $(DESTDIR)$(PREFIX)/lib/systemd/system/berth.service
