/* Accepts and never closes, in functions of known names; prints its port, ends with its input. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static __attribute__((noinline)) int take_one(int listener)
{
    int taken = accept(listener, 0, 0);
    __asm__ volatile("");
    return taken;
}

static __attribute__((noinline)) void keep_all(int listener)
{
    while (take_one(listener) >= 0)
        __asm__ volatile("");
}

static void *serve(void *listener)
{
    keep_all(*(int *)listener);
    return 0;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    char byte;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128)
        || getsockname(listener, (struct sockaddr *)&address, &size)
        || pthread_create(&thread, 0, serve, &listener))
        return 1;
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}
