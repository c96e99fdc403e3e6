#include <stdio.h>

int main(void)
{
	puts("hello from @NAME@");
	return 0;
}
