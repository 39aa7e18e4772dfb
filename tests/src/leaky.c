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

#ifdef COMPILES
#include <string.h>
#include <sys/mman.h>

/* push %rbp; mov %rsp,%rbp; mov %rdi,%rax; mov %esi,%edi; call *%rax; pop %rbp; ret */
static const unsigned char CODE[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8, 0x89, 0xf7,
                                      0xff, 0xd0, 0x5d, 0xc3 };

/* As a runtime: compiles a function that calls another one, and writes down its name. */
static void run(void (*function)(int), int argument)
{
    char name[64];
    void *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FILE *map;

    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    memcpy(code, CODE, sizeof CODE);
    map = fopen(name, "w");
    fprintf(map, "%lx %lx compiled handler\n", (unsigned long)code, sizeof CODE);
    fclose(map);
    ((void (*)(void (*)(int), int))code)(function, argument);
}
#else
static void run(void (*function)(int), int argument)
{
    function(argument);
}
#endif

static void *serve(void *listener)
{
    run(keep_all, *(int *)listener);
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
