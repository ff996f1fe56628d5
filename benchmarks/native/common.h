/* What the two programs share: clock, sockets on the loopback interface, growing buffers. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

static inline uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what)
{
    perror(what);
    exit(2);
}

static inline void *grown(void *block, size_t size)
{
    void *result = realloc(block, size);
    if (!result)
        die("memory");
    return result;
}

static inline struct sockaddr_in loopback(unsigned last, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + last);
    return address;
}

static inline void no_delay(int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static inline void watch(int poll, int fd, void *owner, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(poll, operation, fd, &event))
        die("epoll_ctl");
}

/* Wait until something happens or the moment comes; 0 is no moment. */
static inline int wait_until(int poll, struct epoll_event *events, int most, uint64_t moment)
{
    uint64_t t = now(), left = moment > t ? moment - t : 0;
    struct timespec limit = {.tv_sec = (time_t)(left / SECOND), .tv_nsec = (long)(left % SECOND)};
    int count = epoll_pwait2(poll, events, most, moment ? &limit : NULL, NULL);
    if (count < 0 && errno != EINTR)
        die("epoll_pwait2");
    return count < 0 ? 0 : count;
}

static inline void many_files(void)
{
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The value of a header field, or NULL. The head ends with an empty line. */
static inline const char *field(const char *head, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = head; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        if ((size_t)(end - line) > length && line[length] == ':' && !strncasecmp(line, name, length)) {
            line += length + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

#endif
