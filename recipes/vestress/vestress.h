/* What the parts of vestress share: the state of a run in shared memory, errors, random numbers, files. */
#ifndef VESTRESS_H
#define VESTRESS_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

#define CGROUPS "/sys/fs/cgroup"
#define PARENT CGROUPS "/vestress"
#define FIRST_ID 700000
#define WORKERS_MAX 8
/* Large enough for any file that is read here, with all containers of a run in it. */
#define TEXT_MAX (256 * 1024)

struct shared {
	atomic_int failed;
	atomic_int stop;
	atomic_int live[WORKERS_MAX]; /* VEID of a worker's container, 0 when it has none */
	atomic_long begun, cycles, reads, entered, vanished, limits;
};
extern struct shared *run;

/* util.c */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void seed_random(unsigned long seed);
unsigned long random_below(unsigned long limit);
/* Opens, or fails; `expected` is the one errno that is right, 0 for success. */
int must_open(const char *path, int flags, int expected);
/* Writes a text to a file; gives 0 or the errno. */
int put(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
void must_put(int expected, const char *path, const char *text);
/* Reads to the end, in pieces of at most `piece` bytes (0: as large as there is room); gives 0 or the errno. */
int read_text(int fd, char *text, size_t piece);
void read_file(const char *path, char *text);
int count_lines(const char *text);
void reap(pid_t pid, const char *who);

/* cgroup.c: containers without a runtime */
void cgroup_path(char *path, size_t size, unsigned id, const char *file);
void cgroup_parent(void);
void make_cgroup(unsigned id);
void remove_cgroup(unsigned id);
/* How a container's first process is started: in it at its birth, else moved there before it runs; with users of its own. */
enum { BORN_INSIDE = 1, OWN_USERS = 2 };
/* Starts a process in new namespaces and in a container. */
pid_t start(unsigned id, int how, int (*function)(unsigned id), const char *who);
void end_container(unsigned id, pid_t init);

/* inside.c */
int container_init(unsigned id);
void check_inside(unsigned id, unsigned long rounds);

/* outside.c */
void forbidden(void);
void outside_reader(void);
void outside_writer(void);
void outside_enterer(void);

#endif
