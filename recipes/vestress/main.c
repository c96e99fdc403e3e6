/*
 * vestress: containers that are made, looked at from inside and outside, limited, and ended, all at once, over and over. It tries
 * the kernel's /proc/vz, /proc/bc and what a container sees of itself; each result that is not the documented one is an error.
 */
#define _GNU_SOURCE
#include "vestress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"Usage: vestress [-c CYCLES] [-s SECONDS] [-w WORKERS] [-m MILLISECONDS] [-r SEED]\n"
	"  -c  ends after so many cycles of create, read and destroy (0: without end; default 100)\n"
	"  -s  ends after so many seconds, whatever comes first (0: never; default)\n"
	"  -w  containers at a time, 1 to 8 (default 2)\n"
	"  -m  how long a container lives, at most (default 50)\n"
	"  -r  seed of all choices (default: the time)\n";

static long cycles = 100, seconds, workers = 2, life = 50;
static unsigned long seed;
static time_t begin;

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void cycle(unsigned id)
{
	char path[128], text[32];
	pid_t init;

	make_cgroup(id);
	cgroup_path(path, sizeof(path), id, "ve.id");
	snprintf(text, sizeof(text), "%u", id);
	must_put(0, path, text);
	init = start(id, random_below(4), container_init, "an init");
	run->live[(id - FIRST_ID) % WORKERS_MAX] = id;
	/* Its readers are to be in the middle of it, wherever that is. */
	usleep(1000 + random_below(life * 1000));
	if (!random_below(4))
		must_put(EBUSY, path, text);
	run->live[(id - FIRST_ID) % WORKERS_MAX] = 0;
	end_container(id, init);
	/* Who entered while it ended is dead or through: nobody else comes, as the cgroup goes. */
	for (;;) {
		/* It may have been killed between making this and removing it. */
		cgroup_path(path, sizeof(path), id, "inner");
		if (rmdir(path) && errno != ENOENT)
			fail("rmdir %s", path);
		cgroup_path(path, sizeof(path), id, NULL);
		if (!rmdir(path))
			break;
		if (errno != EBUSY)
			fail("rmdir %s", path);
		usleep(1000);
	}
	snprintf(path, sizeof(path), "/proc/bc/%u", id);
	if (!access(path, F_OK) || errno != ENOENT)
		fail("%s outlives its container", path);
	atomic_fetch_add(&run->cycles, 1);
}

static void worker(unsigned id)
{
	while (!run->stop && (!seconds || now() - begin < seconds)) {
		if (cycles && atomic_fetch_add(&run->begun, 1) >= cycles)
			break;
		cycle(id);
		/* Another number: who was about to enter the last one must not come to a cgroup that is no container yet. */
		id += WORKERS_MAX;
	}
}

/* How far it is, for those who wait for a slow machine. */
static void reporter(void)
{
	for (unsigned long turn = 1; !run->stop; turn++) {
		usleep(200 * 1000);
		if (turn % 150 == 0) {
			printf("vestress: %ld cycles, %ld files read\n", run->cycles, run->reads);
			fflush(stdout);
		}
	}
}

static pid_t in_a_process(void (*function)(void), unsigned id)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		seed_random(seed * 1000 + id);
		if (function)
			function();
		else
			worker(id);
		_exit(0);
	}
	return pid;
}

static void options(int count, char **words)
{
	int option;

	seed = time(NULL);
	while ((option = getopt(count, words, "c:s:w:m:r:")) > 0) {
		char *end = NULL;
		long value = optarg ? strtol(optarg, &end, 10) : -1;

		if (!end || *end || value < 0)
			option = 0;
		switch (option) {
		case 'c': cycles = value; break;
		case 's': seconds = value; break;
		case 'w': workers = value; break;
		case 'm': life = value; break;
		case 'r': seed = value; break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind != count || workers < 1 || workers > WORKERS_MAX || life < 1 || (!cycles && !seconds)) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int count, char **words)
{
	void (*const others[])(void) = {outside_reader, outside_reader, outside_writer, outside_enterer, reporter};
	const int count_others = sizeof(others) / sizeof(*others);
	pid_t pids[WORKERS_MAX], more[sizeof(others) / sizeof(*others)];

	options(count, words);
	run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED) {
		perror("vestress: mmap");
		return 2;
	}
	cgroup_parent();
	if (access(PARENT "/ve.id", F_OK)) {
		fputs("vestress: this kernel has no CONFIG_VE\n", stderr);
		return 2;
	}
	printf("vestress: seed %lu\n", seed);
	fflush(stdout);
	seed_random(seed);
	forbidden();
	begin = now();
	for (int i = 0; i < count_others; i++)
		more[i] = in_a_process(others[i], 100 + i);
	for (long i = 0; i < workers; i++)
		pids[i] = in_a_process(NULL, FIRST_ID + i);
	for (long i = 0; i < workers; i++)
		reap(pids[i], "a worker");
	run->stop = 1;
	for (int i = 0; i < count_others; i++)
		reap(more[i], "one outside");
	if (run->failed)
		return 1;
	if (rmdir(PARENT))
		fail("rmdir %s", PARENT);
	printf("vestress: %ld cycles in %ld s, %ld files read, %ld of them when their containers were gone, %ld times entered, %ld times limited: as it should be\n",
	       run->cycles, (long)(now() - begin), run->reads, run->vanished, run->entered, run->limits);
	return 0;
}
