/* load: asks one server on 127.0.0.1 the same question over and over. HTTP/1.1, one thread.
 *
 *   load -p PORT -f FILE [-c CONNECTIONS] [-w WARM] [-t SECONDS] [-a SECONDS] [-s CHUNKS] [-R RATE]
 *        [-v FILE -o OFFSET]
 *
 * -f  the request as it goes over the wire, head and body
 * -c  connections (1), each asks again as soon as it has its answer
 * -a  start the connections evenly over so many seconds (0)
 * -w  seconds after that before measuring begins (1), -t seconds of measuring (3)
 * -s  answers are event streams of so many stamped chunks (see mock.c) that end with [DONE]
 * -R  requests a second at random moments (Poisson) instead; times count from the moment a request was due,
 *     also when all connections were busy then
 * -v  values of equal length, one a line; the next one is laid over the request at -o before each is sent
 *
 * Prints "begin" and "end" at the edges of the measured window, then one line of JSON; times are milliseconds.
 * Exit status 0 also when answers were wrong: they are counted. */
#define _GNU_SOURCE
#include "common.h"
#include <math.h>

#define AGAIN_AFTER (SECOND / 100) /* a failed connection pauses for so long */
#define PATIENCE (30 * SECOND)

struct samples {
    double *at;
    size_t count, room;
};

enum state { IDLE, CONNECTING, SENDING, HEAD, BODY, PAUSED };
enum framing { LENGTH, CHUNKED, UNTIL_CLOSE };
enum part { SIZE, EXTENSION, DATA, AFTER_DATA, TRAILER, TRAILER_LINE, WHOLE };

struct client {
    int fd, watched_out;
    enum state state;
    enum framing framing;
    enum part part;
    uint64_t asked, heard, again; /* moments: the request was due, the last chunk came, to try again */
    size_t sent, value;
    char head[8192];
    size_t head_size;
    int status, keep, chunks, digits;
    unsigned long long left; /* bytes of the body, or of its current HTTP chunk */
    uint64_t stamp;
    char tail[16]; /* the last bytes of the body */
    struct client *next_idle;
};

static int poll_fd, port, stream_chunks;
static struct client *clients, *idle;
static int client_count = 1, started;
static char *request, *values;
static size_t request_size, values_count, value_size, value_offset, next_value;
static double rate;
static int measuring;
static uint64_t *backlog; /* moments of requests that found no idle connection */
static size_t backlog_first, backlog_last, backlog_room;
static struct samples latency, first_chunk, delay, gap;
static struct {
    unsigned long answers, right, chunks, reads, connections, refused, status, cut, wrong, late;
    unsigned long long bytes;
    int odd_status;
} counted;

static void note(struct samples *samples, uint64_t from, uint64_t to)
{
    if (!measuring)
        return;
    if (samples->count == samples->room)
        samples->at = grown(samples->at, (samples->room = samples->room * 2 + 4096) * sizeof *samples->at);
    samples->at[samples->count++] = to > from ? (double)(to - from) / 1e6 : 0;
}

static void ask(struct client *client, uint64_t due);

static void release(struct client *client)
{
    client->state = IDLE;
    if (rate <= 0) {
        ask(client, now());
    } else if (backlog_first < backlog_last) {
        ask(client, backlog[backlog_first++]);
    } else {
        client->next_idle = idle;
        idle = client;
    }
}

static void leave(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->watched_out = 0;
}

/* The answer did not come, or not whole. */
static void failed(struct client *client, unsigned long *counter)
{
    *counter += (unsigned long)measuring;
    leave(client);
    client->state = PAUSED;
    client->again = now() + AGAIN_AFTER;
}

static void want_out(struct client *client, int wanted)
{
    if (client->watched_out != wanted)
        watch(poll_fd, client->fd, client, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    client->watched_out = wanted;
}

static void send_on(struct client *client)
{
    if (values_count)
        memcpy(request + value_offset, values + client->value * (value_size + 1), value_size);
    while (client->sent < request_size) {
        ssize_t size = write(client->fd, request + client->sent, request_size - client->sent);
        if (size < 0 && errno == EAGAIN) {
            want_out(client, 1);
            return;
        }
        if (size < 0) {
            failed(client, &counted.refused);
            return;
        }
        client->sent += (size_t)size;
    }
    client->state = HEAD;
    want_out(client, 0);
}

static void ask(struct client *client, uint64_t due)
{
    struct sockaddr_in address = loopback(0, port);
    client->asked = due;
    client->sent = client->head_size = 0;
    client->chunks = client->digits = 0;
    memset(client->tail, 0, sizeof client->tail);
    if (values_count) {
        client->value = next_value;
        next_value = (next_value + 1) % values_count;
    }
    if (client->fd >= 0) {
        client->state = SENDING;
        send_on(client);
        return;
    }
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        die("socket");
    no_delay(client->fd);
    client->state = CONNECTING;
    client->watched_out = 1;
    counted.connections++;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        failed(client, &counted.refused);
        return;
    }
    watch(poll_fd, client->fd, client, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void answered(struct client *client, uint64_t t)
{
    unsigned long *counter = NULL;
    if (client->status != 200) {
        counter = &counted.status;
        counted.odd_status = client->status;
    } else if (stream_chunks && !memmem(client->tail, sizeof client->tail, "[DONE]", 6)) {
        counter = &counted.cut;
    } else if (stream_chunks && client->chunks != stream_chunks) {
        counter = &counted.wrong;
    }
    counted.answers += (unsigned long)measuring;
    if (counter) {
        failed(client, counter);
        return;
    }
    counted.right += (unsigned long)measuring;
    note(&latency, client->asked, t);
    if (!client->keep)
        leave(client);
    release(client);
}

/* Bytes of the body without its framing: keep the last ones, find the stamps. */
static void listen_to(struct client *client, const char *data, size_t size, uint64_t t)
{
    size_t kept = sizeof client->tail;
    if (!stream_chunks)
        return;
    if (size >= kept) {
        memcpy(client->tail, data + size - kept, kept);
    } else {
        memmove(client->tail, client->tail + size, kept - size);
        memcpy(client->tail + kept - size, data, size);
    }
    for (const char *end = data + size; data < end; data++) {
        if (!client->digits) { /* 0: outside a stamp; n: n - 1 digits seen */
            data = memchr(data, '#', (size_t)(end - data));
            if (!data)
                return;
            client->digits = 1;
            client->stamp = 0;
        } else if (client->digits <= 16 && ((*data >= '0' && *data <= '9') || (*data >= 'a' && *data <= 'f'))) {
            client->stamp = client->stamp * 16 + (uint64_t)(*data <= '9' ? *data - '0' : *data - 'a' + 10);
            client->digits++;
        } else if (client->digits == 17 && *data == '#') {
            client->digits = 0;
            if (client->chunks++)
                note(&gap, client->heard, t);
            else
                note(&first_chunk, client->asked, t);
            note(&delay, client->stamp, t);
            client->heard = t;
            counted.chunks += (unsigned long)measuring;
        } else {
            client->digits = 0;
        }
    }
}

/* Take bytes of a chunked body; true at its end, which must be the end of the data. */
static int take_chunked(struct client *client, const char *data, const char *end, uint64_t t)
{
    while (data < end) {
        char c = *data;
        switch (client->part) {
        case SIZE:
            if (c >= '0' && c <= '9')
                client->left = client->left * 16 + (unsigned)(c - '0');
            else if ((c | 32) >= 'a' && (c | 32) <= 'f')
                client->left = client->left * 16 + (unsigned)((c | 32) - 'a' + 10);
            else
                client->part = EXTENSION;
            data += client->part == SIZE;
            break;
        case EXTENSION:
            if (c == '\n')
                client->part = client->left ? DATA : TRAILER;
            data++;
            break;
        case DATA: {
            size_t size = (size_t)(end - data) < client->left ? (size_t)(end - data) : (size_t)client->left;
            listen_to(client, data, size, t);
            data += size;
            client->left -= size;
            if (!client->left)
                client->part = AFTER_DATA;
            break;
        }
        case AFTER_DATA:
            if (c == '\n')
                client->part = SIZE;
            data++;
            break;
        case TRAILER:
            if (c == '\n')
                client->part = WHOLE;
            else if (c != '\r')
                client->part = TRAILER_LINE;
            data++;
            break;
        case TRAILER_LINE:
            if (c == '\n')
                client->part = TRAILER;
            data++;
            break;
        case WHOLE:
            return -1;
        }
    }
    return client->part == WHOLE;
}

/* Bytes of the answer behind its head; 1: it is whole, -1: it is malformed. */
static int take_body(struct client *client, const char *data, size_t size, uint64_t t)
{
    if (client->framing == CHUNKED)
        return take_chunked(client, data, data + size, t);
    listen_to(client, data, size, t);
    if (client->framing == UNTIL_CLOSE)
        return 0;
    if (size > client->left)
        return -1;
    client->left -= size;
    return !client->left;
}

/* Collect the head; the number of bytes that belong to it, 0 while it goes on, -1 when it is malformed. */
static ssize_t take_head(struct client *client, const char *data, size_t size)
{
    size_t old = client->head_size, room = sizeof client->head - old, taken = size < room ? size : room;
    memcpy(client->head + old, data, taken);
    char *blank = memmem(client->head, old + taken, "\r\n\r\n", 4);
    const char *value;
    client->head_size += taken;
    if (!blank)
        return client->head_size == sizeof client->head ? -1 : 0;
    char *end = blank + 4;
    client->status = atoi(client->head + 9);
    client->keep = !((value = field(client->head, end, "connection")) && !strncasecmp(value, "close", 5));
    client->part = SIZE;
    client->left = 0;
    client->framing = UNTIL_CLOSE;
    if ((value = field(client->head, end, "transfer-encoding"))) {
        client->framing = CHUNKED;
    } else if ((value = field(client->head, end, "content-length"))) {
        client->framing = LENGTH;
        client->left = strtoull(value, NULL, 10);
    }
    client->state = BODY;
    return (ssize_t)((size_t)(end - client->head) - old);
}

static void readable(struct client *client)
{
    static char data[262144];
    unsigned long chunks = counted.chunks;
    ssize_t size = read(client->fd, data, sizeof data), head = 0;
    uint64_t t = now();
    int whole = 0;
    if (size < 0 && errno == EAGAIN)
        return;
    if (client->state == IDLE) {
        leave(client); /* the server closed a connection that nobody used */
        return;
    }
    if (size <= 0) {
        if (client->state == BODY && client->framing == UNTIL_CLOSE && !size) {
            client->keep = 0;
            answered(client, t);
        } else {
            failed(client, client->state == BODY ? &counted.cut : &counted.refused);
        }
        return;
    }
    counted.bytes += measuring ? (unsigned long long)size : 0;
    if (client->state != BODY) {
        head = take_head(client, data, (size_t)size);
        if (head > 0)
            whole = client->framing == LENGTH && !client->left;
        if (!head)
            return;
    }
    if (head >= 0 && head < size)
        whole = take_body(client, data + head, (size_t)(size - head), t);
    counted.reads += counted.chunks != chunks;
    if (whole < 0 || head < 0)
        failed(client, &counted.wrong);
    else if (whole)
        answered(client, t);
}

static void writable(struct client *client)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (client->state == CONNECTING) {
        getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            failed(client, &counted.refused);
            return;
        }
        client->state = SENDING;
    }
    if (client->state == SENDING)
        send_on(client);
}

/* Now and then: paused connections try again, unanswered requests are given up. */
static void look_around(uint64_t t)
{
    for (struct client *client = clients; client < clients + started; client++) {
        if (client->state == PAUSED && client->again <= t)
            release(client);
        else if (client->state != IDLE && client->state != PAUSED && t > client->asked + PATIENCE)
            failed(client, &counted.late);
    }
}

/* Open loop: ask for everything that is due; the moment of the next. */
static uint64_t ask_due(uint64_t due, uint64_t t)
{
    while (due <= t) {
        if (idle) {
            struct client *client = idle;
            idle = client->next_idle;
            ask(client, due);
        } else {
            if (backlog_last == backlog_room)
                backlog = grown(backlog, (backlog_room = backlog_room * 2 + 4096) * sizeof *backlog);
            backlog[backlog_last++] = due;
        }
        due += (uint64_t)(-log(1 - drand48()) / rate * 1e9);
    }
    return due;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_samples(const char *name, struct samples *samples)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999};
    static const char *const names[] = {"p50", "p90", "p99", "p999"};
    qsort(samples->at, samples->count, sizeof *samples->at, ascending);
    printf(",\"%s\":{\"count\":%zu", name, samples->count);
    for (int i = 0; samples->count && i < 4; i++)
        printf(",\"%s\":%.4f", names[i], samples->at[(size_t)((double)(samples->count - 1) * shares[i])]);
    if (samples->count)
        printf(",\"max\":%.4f", samples->at[samples->count - 1]);
    printf("}");
}

static char *contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        die(path);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = grown(NULL, *size + 1);
    if (fread(data, 1, *size, file) != *size)
        die(path);
    data[*size] = 0;
    fclose(file);
    return data;
}

static void say(const char *word)
{
    printf("%s\n", word);
    fflush(stdout);
}

static void report(double seconds)
{
    printf("{\"seconds\":%.4f,\"answers\":%lu,\"right\":%lu,\"chunks\":%lu,\"reads\":%lu,\"bytes\":%llu,\"connections\":%lu,", seconds,
           counted.answers, counted.right, counted.chunks, counted.reads, counted.bytes, counted.connections);
    printf("\"backlog\":%zu,\"errors\":{\"connection\":%lu,\"status\":%lu,\"cut\":%lu,\"wrong\":%lu,\"late\":%lu},\"odd_status\":%d",
           backlog_last - backlog_first, counted.refused, counted.status, counted.cut, counted.wrong, counted.late,
           counted.odd_status);
    print_samples("latency", &latency);
    print_samples("first_chunk", &first_chunk);
    print_samples("delay", &delay);
    print_samples("gap", &gap);
    printf("}\n");
}

static void run(double ramp, double warm, double seconds)
{
    struct epoll_event events[256];
    uint64_t zero = now(), begin = zero + (uint64_t)((ramp + warm) * 1e9), end = begin + (uint64_t)(seconds * 1e9);
    uint64_t due = zero, looked = zero, t;
    while ((t = now()) < end) {
        if (!measuring && t >= begin) {
            say("begin");
            begin = now();
            end = begin + (uint64_t)(seconds * 1e9);
            measuring = 1;
        }
        while (started < client_count && (double)(t - zero) >= ramp * 1e9 * started / client_count)
            release(&clients[started++]);
        if (rate > 0 && started == client_count)
            due = ask_due(due, t);
        if (t - looked > SECOND / 200) {
            looked = t;
            look_around(t);
        }
        uint64_t wake = t + (started < client_count ? SECOND / 1000 : SECOND / 200);
        if (rate > 0 && due < wake)
            wake = due;
        int ready = wait_until(poll_fd, events, 256, wake);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client->fd < 0)
                continue;
            if (events[i].events & EPOLLIN || client->state == IDLE)
                readable(client);
            else
                writable(client); /* finds errors, too */
        }
    }
    measuring = 0;
    say("end");
    report((double)(now() - begin) / 1e9);
}

int main(int count, char **arguments)
{
    double ramp = 0, warm = 1, seconds = 3;
    for (int option; (option = getopt(count, arguments, "p:f:c:a:w:t:s:R:v:o:")) != -1;) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'f': request = contents(optarg, &request_size); break;
        case 'c': client_count = atoi(optarg); break;
        case 'a': ramp = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 's': stream_chunks = atoi(optarg); break;
        case 'R': rate = atof(optarg); break;
        case 'v':
            values = contents(optarg, &values_count);
            value_size = strcspn(values, "\n");
            values_count /= value_size + 1;
            break;
        case 'o': value_offset = strtoul(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    if (!port || !request || client_count < 1 || (values && value_offset + value_size > request_size))
        return 2;
    many_files();
    srand48(1);
    poll_fd = epoll_create1(0);
    clients = calloc((size_t)client_count, sizeof *clients);
    if (!clients)
        die("memory");
    for (int i = 0; i < client_count; i++)
        clients[i].fd = -1;
    run(ramp, warm, seconds);
    return 0;
}
