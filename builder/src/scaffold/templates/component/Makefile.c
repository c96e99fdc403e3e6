@NAME@: @NAME@.c
	$(CC) -Os -Wall -Wextra -s -o $@ @NAME@.c
