/* Answers every connection with one line. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static const char answer[] = "It works\n";
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(@PORT@)};
	int on = 1;
	int server = socket(AF_INET, SOCK_STREAM, 0);

	signal(SIGPIPE, SIG_IGN);
	if (server < 0 || setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(server, (struct sockaddr *)&address, sizeof address) != 0 || listen(server, 16) != 0) {
		perror("@NAME@: port @PORT@");
		return 1;
	}
	for (;;) {
		char request[1024];
		int client = accept(server, NULL, NULL);

		if (client < 0)
			continue;
		if (read(client, request, sizeof request) > 0 && write(client, answer, sizeof answer - 1) < 0)
			perror("@NAME@");
		close(client);
	}
}
