PREFIX = /usr

@NAME@: @NAME@.c
	$(CC) -Os -Wall -Wextra -s -o $@ @NAME@.c

install: @NAME@
	mkdir -p $(DESTDIR)$(PREFIX)/bin
	cp @NAME@ $(DESTDIR)$(PREFIX)/bin/

.PHONY: install
