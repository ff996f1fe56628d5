/* mock: a provider that costs next to nothing. HTTP/1.1, keep-alive, one thread, loopback only.
 *
 *   mock PORT [ADDRESSES]      listens on 127.0.0.1, 127.0.0.2, ... (1 address)
 *
 * POST answers like OpenAI's chat completions: JSON, or an event stream where the body says "stream":true.
 * The text of the request may steer the answer:
 *
 *   [mock chunks=100 gap_us=0 wait_us=0 bytes=600]
 *
 * chunks of content, microseconds between two of them, microseconds before the answer, size of a JSON answer.
 * Each chunk of content carries #0123456789abcdef#: nanoseconds of the monotonic clock at which it was written.
 * Each event is an HTTP chunk and a write of its own.
 *
 * GET answers 200; .../models lists one model. On SIGTERM it prints what it counted, as JSON. */
#define _GNU_SOURCE
#include "common.h"

#define ROUND 8 /* events a stream may write before the others have their turn */

enum state { READING, WAITING, STREAMING, DRAINING };

struct peer {
    int fd, listening, blocked, closing;
    enum state state;
    char *in, *out;
    size_t have, room, head, body; /* read so far; sizes of the head and of the framed body */
    size_t filled, sent, space;    /* to be written; written of it */
    long chunks, gap, bytes, step;
    int stream;
    uint64_t due;
    size_t place; /* in the heap, from 1; 0 is outside */
};

static int poll_fd;
static struct peer **heap;
static size_t waiting, heap_room;
static struct {
    unsigned long connections, requests, streams, chunks, aborted, malformed;
} counted;
static volatile sig_atomic_t over;

static void put_at(struct peer *peer, size_t place)
{
    heap[place] = peer;
    peer->place = place;
}

static void sift(struct peer *peer, size_t place)
{
    while (place > 1 && heap[place / 2]->due > peer->due) {
        put_at(heap[place / 2], place);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;
        if (child < waiting && heap[child + 1]->due < heap[child]->due)
            child++;
        if (child > waiting || heap[child]->due >= peer->due)
            break;
        put_at(heap[child], place);
        place = child;
    }
    put_at(peer, place);
}

static void call_at(struct peer *peer, uint64_t due)
{
    if (waiting + 2 > heap_room)
        heap = grown(heap, (heap_room = heap_room * 2 + 64) * sizeof *heap);
    peer->due = due;
    sift(peer, ++waiting);
}

static void call_off(struct peer *peer)
{
    size_t place = peer->place;
    if (!place)
        return;
    struct peer *last = heap[waiting--];
    peer->place = 0;
    if (last != peer)
        sift(last, place);
}

static void hang_up(struct peer *peer)
{
    counted.aborted += peer->state != READING;
    call_off(peer);
    close(peer->fd);
    free(peer->in);
    free(peer->out);
    free(peer);
}

static void add(struct peer *peer, const char *data, size_t size)
{
    if (peer->filled + size > peer->space)
        peer->out = grown(peer->out, peer->space = (peer->filled + size) * 2);
    memcpy(peer->out + peer->filled, data, size);
    peer->filled += size;
}

static void add_event(struct peer *peer, const char *text, int size)
{
    char frame[16];
    add(peer, frame, (size_t)sprintf(frame, "%x\r\n", size));
    add(peer, text, (size_t)size);
    add(peer, "\r\n", 2);
}

/* 1: all written, 0: the rest has to wait, -1: the peer is gone and freed. */
static int push(struct peer *peer)
{
    while (peer->sent < peer->filled) {
        ssize_t size = write(peer->fd, peer->out + peer->sent, peer->filled - peer->sent);
        if (size < 0 && errno == EAGAIN) {
            if (!peer->blocked)
                watch(poll_fd, peer->fd, peer, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            peer->blocked = 1;
            return 0;
        }
        if (size < 0) {
            hang_up(peer);
            return -1;
        }
        peer->sent += (size_t)size;
    }
    peer->filled = peer->sent = 0;
    if (peer->blocked)
        watch(poll_fd, peer->fd, peer, EPOLLIN, EPOLL_CTL_MOD);
    peer->blocked = 0;
    return 1;
}

#define FIELDS                                                                                                         \
    "server: mock\r\nx-request-id: req_4f9d0c2b7a6e4d3f8a1b\r\nopenai-organization: bench\r\n"                         \
    "openai-processing-ms: 12\r\nopenai-version: 2020-10-01\r\nx-ratelimit-limit-requests: 30000\r\n"                  \
    "x-ratelimit-remaining-requests: 29999\r\nx-ratelimit-reset-requests: 2ms\r\ncache-control: no-store\r\n"
#define OBJECT "\"created\":1767225600,\"model\":\"bench-1-2026\",\"system_fingerprint\":\"fp_bench\",\"choices\":["
#define USAGE "\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":100,\"total_tokens\":310}"
#define CHUNK "data: {\"id\":\"chatcmpl-bench4f9d0c2b7a6e\",\"object\":\"chat.completion.chunk\"," OBJECT

static void answer(struct peer *peer, const char *text, size_t size)
{
    char head[1024];
    int length = sprintf(head, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n" FIELDS "\r\n", size);
    add(peer, head, (size_t)length);
    add(peer, text, size);
}

static void answer_completion(struct peer *peer)
{
    static const char before[] = "{\"id\":\"chatcmpl-bench4f9d0c2b7a6e\",\"object\":\"chat.completion\"," OBJECT
                                 "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char after[] = "\"},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE "}";
    size_t frame = sizeof before + sizeof after - 2, size = (size_t)peer->bytes > frame ? (size_t)peer->bytes : frame;
    char *text = grown(NULL, size);
    memset(text, 'w', size);
    memcpy(text, before, sizeof before - 1);
    memcpy(text + size - (sizeof after - 1), after, sizeof after - 1);
    answer(peer, text, size);
    free(text);
}

/* Add the next event of a stream; true after the last one. */
static int next_event(struct peer *peer)
{
    char text[512];
    long rest = peer->step++ - peer->chunks;
    if (rest < 0) {
        counted.chunks++;
        add_event(peer, text,
                  sprintf(text,
                          CHUNK "{\"index\":0,\"delta\":{\"content\":\"#%016llx#\"},\"logprobs\":null,"
                                "\"finish_reason\":null}]}\n\n",
                          (unsigned long long)now()));
    } else if (rest == 0) {
        add_event(peer, text, sprintf(text, CHUNK "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n"));
    } else if (rest == 1) {
        add_event(peer, text, sprintf(text, CHUNK "]," USAGE "}\n\n"));
    } else {
        add_event(peer, text, sprintf(text, "data: [DONE]\n\n"));
        add(peer, "0\r\n\r\n", 5);
    }
    return rest > 1;
}

static void take_requests(struct peer *peer);

static void answered(struct peer *peer)
{
    peer->state = READING;
    if (peer->closing) {
        hang_up(peer);
        return;
    }
    size_t used = peer->head + peer->body;
    memmove(peer->in, peer->in + used, peer->have -= used);
    peer->head = peer->body = 0;
    take_requests(peer);
}

static void finish(struct peer *peer)
{
    int done = push(peer);
    if (done > 0)
        answered(peer);
    else if (!done)
        peer->state = DRAINING;
}

static void stream_on(struct peer *peer)
{
    for (int i = 0; i < ROUND; i++) {
        if (next_event(peer)) {
            finish(peer);
            return;
        }
        if (push(peer) <= 0)
            return;
        if (peer->gap && peer->step < peer->chunks) {
            call_at(peer, peer->due + (uint64_t)peer->gap * 1000);
            return;
        }
    }
    call_at(peer, now());
}

static void begin(struct peer *peer)
{
    if (!peer->stream) {
        answer_completion(peer);
        finish(peer);
        return;
    }
    static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                               "transfer-encoding: chunked\r\n" FIELDS "\r\n";
    counted.streams++;
    peer->state = STREAMING;
    peer->step = 0;
    add(peer, head, sizeof head - 1);
    stream_on(peer);
}

static long knob(const char *from, const char *to, const char *name, long otherwise)
{
    const char *found = from ? memmem(from, (size_t)(to - from), name, strlen(name)) : NULL;
    return found ? strtol(found + strlen(name), NULL, 10) : otherwise;
}

static void serve(struct peer *peer)
{
    const char *head = peer->in, *body = head + peer->head, *end = body + peer->body, *value;
    counted.requests++;
    value = field(head, body, "connection");
    peer->closing = value && !strncasecmp(value, "close", 5);
    peer->state = WAITING;
    if (strncmp(head, "POST ", 5)) {
        const char *line = memchr(head, '\r', peer->head);
        const char *list = memmem(head, (size_t)(line - head), "/models", 7)
                               ? "{\"object\":\"list\",\"data\":[{\"id\":\"bench-1\",\"object\":\"model\",\"owned_by\":\"bench\"}]}"
                               : "{\"status\":\"ok\"}";
        answer(peer, list, strlen(list));
        finish(peer);
        return;
    }
    const char *from = memmem(body, peer->body, "[mock ", 6);
    const char *to = from ? memchr(from, ']', (size_t)(end - from)) : NULL;
    from = to ? from : NULL;
    peer->chunks = knob(from, to, " chunks=", 100);
    peer->gap = knob(from, to, " gap_us=", 0);
    peer->bytes = knob(from, to, " bytes=", 600);
    peer->stream = memmem(body, peer->body, "\"stream\":true", 13) || memmem(body, peer->body, "\"stream\": true", 14);
    peer->due = now();
    long wait = knob(from, to, " wait_us=", 0);
    if (wait)
        call_at(peer, peer->due + (uint64_t)wait * 1000);
    else
        begin(peer);
}

/* The size of a chunked body with its framing; 0 while it is not complete, -1 when it is malformed. */
static ssize_t chunked(const char *body, const char *end)
{
    for (const char *at = body;;) {
        const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!line)
            return 0;
        char *stop;
        unsigned long size = strtoul(at, &stop, 16);
        if (stop == at || size > 1ul << 30)
            return -1;
        at = line + 2 + size + 2;
        if (at > end)
            return 0;
        if (!size)
            return at - body;
    }
}

static void take_requests(struct peer *peer)
{
    char *blank = peer->have ? memmem(peer->in, peer->have, "\r\n\r\n", 4) : NULL;
    if (!blank)
        return;
    peer->head = (size_t)(blank + 4 - peer->in);
    const char *body = blank + 4, *end = peer->in + peer->have, *value;
    ssize_t size = 0;
    if ((value = field(peer->in, body, "transfer-encoding"))) {
        size = strncasecmp(value, "chunked", 7) ? -1 : chunked(body, end);
        if (!size)
            return;
    } else if ((value = field(peer->in, body, "content-length"))) {
        size = (ssize_t)strtol(value, NULL, 10);
        if (size > end - body)
            return;
    }
    if (size < 0 || !memmem(peer->in, peer->head, " HTTP/1.1\r\n", 11)) {
        counted.malformed++;
        peer->state = READING;
        hang_up(peer);
        return;
    }
    peer->body = (size_t)size;
    serve(peer);
}

static void readable(struct peer *peer)
{
    if (peer->have + 65536 > peer->room)
        peer->in = grown(peer->in, peer->room = peer->room * 2 + 131072);
    ssize_t size = read(peer->fd, peer->in + peer->have, peer->room - peer->have);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        hang_up(peer);
        return;
    }
    peer->have += (size_t)size;
    if (peer->state == READING)
        take_requests(peer);
}

static void writable(struct peer *peer)
{
    if (push(peer) <= 0)
        return;
    if (peer->state == DRAINING)
        answered(peer);
    else if (peer->state == STREAMING)
        call_at(peer, now());
}

static void accept_all(struct peer *port)
{
    int fd;
    while ((fd = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer)
            die("memory");
        peer->fd = fd;
        counted.connections++;
        no_delay(fd);
        watch(poll_fd, fd, peer, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void listen_on(unsigned last, int port)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_in address = loopback(last, port);
    int yes = 1;
    if (!peer || (peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) < 0)
        die("socket");
    peer->listening = 1;
    setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(peer->fd, (struct sockaddr *)&address, sizeof address) || listen(peer->fd, 4096))
        die("listen");
    watch(poll_fd, peer->fd, peer, EPOLLIN, EPOLL_CTL_ADD);
}

static void stop(int signal_number)
{
    (void)signal_number;
    over = 1;
}

int main(int count, char **arguments)
{
    struct epoll_event events[256];
    if (count < 2)
        return 2;
    many_files();
    signal(SIGTERM, stop);
    poll_fd = epoll_create1(0);
    for (int i = 0; i < (count > 2 ? atoi(arguments[2]) : 1); i++)
        listen_on((unsigned)i, atoi(arguments[1]));
    while (!over) {
        int ready = wait_until(poll_fd, events, 256, waiting ? heap[1]->due : 0);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->listening)
                accept_all(peer);
            else if (events[i].events & EPOLLOUT)
                writable(peer); /* what there is to read is told again */
            else
                readable(peer);
        }
        uint64_t t = now();
        for (int most = 1024; most && waiting && heap[1]->due <= t; most--) {
            struct peer *peer = heap[1];
            call_off(peer);
            if (peer->state == WAITING)
                begin(peer);
            else
                stream_on(peer);
        }
    }
    printf("{\"connections\":%lu,\"requests\":%lu,\"streams\":%lu,\"chunks\":%lu,\"aborted\":%lu,\"malformed\":%lu}\n",
           counted.connections, counted.requests, counted.streams, counted.chunks, counted.aborted, counted.malformed);
    return 0;
}
