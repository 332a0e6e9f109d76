/* netlab's server in C: what the same design costs without Python.
 *
 * Facts. netlab's worker accepts, reads, answers and closes by system calls that any
 * program with this design makes. What it costs beyond those is its own: an
 * interpreter, or Numba's machine code. To tell the two apart, the design has to be
 * here once with nothing between it and the kernel.
 *
 * Decision. The same threads, each bound to a CPU and with an epoll of its own; one
 * shared, non-blocking listener, watched level-triggered by all; one accept a turn;
 * one read a turn and client; answers of the same bytes; one eventfd, never read, that
 * wakes everybody for the stop. A client that does not take its answers is not read
 * from. Every thread counts in a row of its own.
 *
 * What is different: all complete requests of one read are answered in one turn
 * (netlab: 16); a worker without descriptors does not rest; /bytes/N ends at 65,536;
 * a wrong request is answered and closed without draining; HTTP is checked less: no
 * list of methods, no absolute targets, a repeated header is not one header.
 *
 *     gcc -O2 -Wall -Wextra -Werror -pthread -o peer peer.c && ./peer [WORKERS [PORT]]
 *
 * Prints where it listens; SIGTERM or SIGINT ends it, and then it prints its counters.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WORKERS_LIMIT = 1024,
    BACKLOG = 4096,
    EVENTS_PER_TURN = 128,
    READ_BYTES = 1 << 16,
    HEAD_LIMIT = 8192,
    FILLER_BYTES = 1 << 16,
    SPIN_LIMIT_US = 100000,
    JSON_BYTES = 71,
    DESCRIPTORS_LIMIT = 1 << 20,
    INBOX_BYTES = READ_BYTES + HEAD_LIMIT,
    OUTBOX_BYTES = 1 << 18,
    ANSWER_BYTES = FILLER_BYTES + 512, /* the longest answer */
};

enum route { ROOT, SPIN, BYTES, MISSING };

struct request {
    enum route route;
    long argument;
    int status, minor;
    bool head_only, keep_alive;
};

struct connection { /* found by its descriptor */
    char *in;  /* received, not answered yet; NULL if nothing */
    char *out; /* answered, not sent yet; NULL if nothing */
    size_t in_size, out_size, out_at;
    bool closing; /* when all is sent */
};

struct worker {
    int number, epoll, cpu, tid, bound_to;
    long turns, accepted, would_block, requests, closed, partial_writes;
    pthread_t thread;
    char inbox[INBOX_BYTES], outbox[OUTBOX_BYTES];
} __attribute__((aligned(128)));

static struct connection *connections;
static int descriptors, listener, stop;
static char filler[FILLER_BYTES];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* -- what bytes mean ------------------------------------------------------------ */

static bool token_has(const char *value, size_t size, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= size; at++) {
        bool begins = at == 0 || strchr(", \t", value[at - 1]);
        bool ends = at + length == size || strchr(", \t", value[at + length]);
        if (begins && ends && !strncasecmp(value + at, word, length))
            return true;
    }
    return false;
}

static bool is_zero(const char *value, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (!strchr(" \t0", value[at]))
            return false;
    return memchr(value, '0', size);
}

static void find_route(struct request *request, const char *target, size_t size)
{
    const char *query = memchr(target, '?', size);
    size_t prefix = 0;
    if (query)
        size = query - target;
    request->route = MISSING;
    if (size == 1)
        request->route = ROOT;
    else if (size > 6 && !memcmp(target, "/spin/", 6))
        request->route = SPIN, prefix = 6;
    else if (size > 7 && !memcmp(target, "/bytes/", 7))
        request->route = BYTES, prefix = 7;
    if (prefix == 0)
        return;
    long limit = request->route == SPIN ? SPIN_LIMIT_US : FILLER_BYTES;
    for (size_t at = prefix; at < size; at++) {
        if (!isdigit((unsigned char)target[at]) || at - prefix == 9) {
            request->route = MISSING;
            return;
        }
        request->argument = request->argument * 10 + target[at] - '0';
    }
    if (request->argument > limit)
        request->status = 400;
}

/* The request line, without its end. */
static bool read_line(struct request *request, const char *line, size_t size)
{
    const char *end = line + size, *target = memchr(line, ' ', size);
    if (!target || size < 14)
        return false;
    request->head_only = target - line == 4 && !memcmp(line, "HEAD", 4);
    if (!request->head_only && (target - line != 3 || memcmp(line, "GET", 3)))
        return false;
    target++;
    const char *version = memchr(target, ' ', end - target);
    if (!version || *target != '/' || end - version != 9)
        return false;
    for (const char *byte = target; byte < version; byte++)
        if (*byte < '!' || *byte > '~' || *byte == '#')
            return false;
    if (memcmp(version, " HTTP/1.", 8) || (version[8] != '0' && version[8] != '1'))
        return false;
    request->minor = request->keep_alive = version[8] == '1';
    find_route(request, target, version - target);
    return true;
}

/* One header, without its end: false if it is wrong, or announces a body. */
static bool read_header(struct request *request, const char *line, size_t size,
                        bool *host)
{
    const char *colon = memchr(line, ':', size);
    if (!colon || colon == line)
        return false;
    for (const char *byte = line; byte < colon; byte++)
        if (*byte <= ' ' || *byte > '~' || strchr("\"(),/:;<=>?@[\\]{}", *byte))
            return false;
    for (const char *byte = colon + 1; byte < line + size; byte++)
        if (((unsigned char)*byte < ' ' && *byte != '\t') || *byte == 127)
            return false;
    size_t name = colon - line, value = size - name - 1;
    if (name == 4 && !strncasecmp(line, "host", 4))
        *host = true;
    else if (name == 10 && !strncasecmp(line, "connection", 10)) {
        bool keep = request->minor || token_has(colon + 1, value, "keep-alive");
        request->keep_alive = keep && !token_has(colon + 1, value, "close");
    } else if (name == 14 && !strncasecmp(line, "content-length", 14))
        return is_zero(colon + 1, value);
    else if (name == 17 && !strncasecmp(line, "transfer-encoding", 17))
        return false;
    return true;
}

/* Returns the size of the request that begins at `data`, 0 if it is incomplete. */
static size_t read_request(struct request *request, const char *data, size_t size)
{
    size_t window = size < HEAD_LIMIT ? size : HEAD_LIMIT;
    const char *last = memmem(data, window, "\r\n\r\n", 4), *line = data;
    bool host = false, good = true;
    memset(request, 0, sizeof *request);
    request->status = 200;
    if (!last && size < HEAD_LIMIT)
        return 0;
    for (bool first = true; last && good && line < last + 2; first = false) {
        const char *end = memmem(line, last + 2 - line, "\r\n", 2);
        good = first ? read_line(request, line, end - line)
                     : read_header(request, line, end - line, &host);
        line = end + 2;
    }
    if (!last || !good || (request->minor && !host))
        request->status = last ? 400 : 431;
    else if (request->status == 200 && request->route == MISSING)
        request->status = 404;
    if (request->status == 400 || request->status == 431)
        request->keep_alive = false, request->route = MISSING;
    return last ? (size_t)(last + 4 - data) : size;
}

static void spin(long microseconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t until = now.tv_sec * 1000000000LL + now.tv_nsec + microseconds * 1000;
    while (now.tv_sec * 1000000000LL + now.tv_nsec < until)
        clock_gettime(CLOCK_MONOTONIC, &now);
}

/* Returns the size of the answer that was written to `to`. */
static size_t write_answer(struct worker *worker, struct request *request, char *to)
{
    const char *phrase = request->status == 200   ? "OK"
                         : request->status == 404 ? "Not Found"
                         : request->status == 400
                             ? "Bad Request"
                             : "Request Header Fields Too Large";
    const char *end = !request->keep_alive ? "Connection: close\r\n"
                      : request->minor     ? ""
                                           : "Connection: keep-alive\r\n";
    bool counted = request->route == BYTES;
    const char *kind = counted ? "application/octet-stream" : "application/json";
    long length = counted ? request->argument : JSON_BYTES;
    worker->requests++;
    if (request->route == SPIN)
        spin(request->argument);
    int head = sprintf(to,
                       "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %ld\r\n"
                       "X-Netlab-Worker: %d\r\nX-Netlab-Cpu: %d\r\n%s\r\n",
                       request->status, phrase, kind, length,
                       worker->number, worker->cpu, end);
    if (request->head_only)
        return head;
    if (counted) {
        memcpy(to + head, filler, length);
        return head + length;
    }
    int body = sprintf(to + head,
                       "{\"worker\": %d, \"tid\": %d, \"cpu\": %d, \"accepts\": %ld}",
                       worker->number, worker->tid, worker->cpu, worker->accepted);
    memset(to + head + body, ' ', JSON_BYTES - 1 - body);
    to[head + JSON_BYTES - 1] = '\n';
    return head + JSON_BYTES;
}

/* -- one client ----------------------------------------------------------------- */

static void watch(struct worker *worker, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(worker->epoll, operation, fd, &event) < 0)
        die("epoll_ctl");
}

static void hang_up(struct worker *worker, int fd)
{
    free(connections[fd].in);
    free(connections[fd].out);
    close(fd);
    worker->closed++;
}

static char *copy(const char *data, size_t size)
{
    char *kept = size ? malloc(size) : NULL;
    if (size && !kept)
        die("malloc");
    return kept ? memcpy(kept, data, size) : NULL;
}

/* Returns how much the kernel took; -1 if the client is gone. */
static ssize_t push(int fd, const char *data, size_t size)
{
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

/* Fills the outbox from the inbox, until either is used up; returns what was read. */
static size_t reply(struct worker *worker, struct connection *own, size_t at,
                    size_t size, size_t *out)
{
    struct request request;
    for (*out = 0; at < size && !own->closing;) {
        if (*out + ANSWER_BYTES > OUTBOX_BYTES)
            break;
        size_t read = read_request(&request, worker->inbox + at, size - at);
        if (read == 0)
            break;
        *out += write_answer(worker, &request, worker->outbox + *out);
        own->closing = !request.keep_alive;
        at += read;
    }
    return at;
}

/* Answers what is complete in the inbox, and keeps what is not, or cannot be sent. */
static void answer(struct worker *worker, int fd, size_t size)
{
    struct connection *own = &connections[fd];
    size_t at = 0, out;
    for (;;) {
        at = reply(worker, own, at, size, &out);
        if (out == 0)
            break;
        ssize_t sent = push(fd, worker->outbox, out);
        if (sent < 0 || ((size_t)sent == out && own->closing)) {
            hang_up(worker, fd);
            return;
        }
        if ((size_t)sent < out) {
            worker->partial_writes++;
            own->out_at = 0, own->out_size = out - sent;
            own->out = copy(worker->outbox + sent, own->out_size);
            watch(worker, EPOLL_CTL_MOD, fd, EPOLLOUT);
            break;
        }
    }
    own->in_size = size - at;
    own->in = copy(worker->inbox + at, own->in_size);
}

/* Sends what an earlier turn could not; returns whether all of it is gone. */
static bool send_rest(struct worker *worker, int fd)
{
    struct connection *own = &connections[fd];
    ssize_t sent = push(fd, own->out + own->out_at, own->out_size - own->out_at);
    own->out_at += sent > 0 ? sent : 0;
    bool done = own->out_at == own->out_size;
    if (sent < 0 || (done && own->closing)) {
        hang_up(worker, fd);
        return false;
    }
    if (done) {
        free(own->out);
        own->out = NULL;
        watch(worker, EPOLL_CTL_MOD, fd, EPOLLIN);
    }
    return done;
}

static void serve(struct worker *worker, int fd)
{
    struct connection *own = &connections[fd];
    bool writing = own->out != NULL;
    if (writing && !send_rest(worker, fd))
        return;
    size_t size = own->in_size;
    if (own->in) {
        memcpy(worker->inbox, own->in, size);
        free(own->in);
        own->in = NULL, own->in_size = 0;
    }
    if (!writing) {
        ssize_t got = recv(fd, worker->inbox + size, READ_BYTES, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            hang_up(worker, fd);
            return;
        }
        size += got > 0 ? got : 0;
    }
    answer(worker, fd, size);
}

/* -- the worker ----------------------------------------------------------------- */

static void accept_one(struct worker *worker)
{
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        worker->would_block += errno == EAGAIN;
        return;
    }
    worker->accepted++;
    if (fd >= descriptors) {
        close(fd);
        worker->closed++;
        return;
    }
    memset(&connections[fd], 0, sizeof connections[fd]);
    watch(worker, EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct epoll_event events[EVENTS_PER_TURN];
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(worker->bound_to, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    worker->tid = gettid();
    for (;;) {
        int count = epoll_wait(worker->epoll, events, EVENTS_PER_TURN, -1);
        worker->turns++;
        worker->cpu = sched_getcpu();
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == stop)
                return NULL;
            if (fd == listener)
                accept_one(worker);
            else
                serve(worker, fd);
        }
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
    }
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, size) < 0)
        die("bind");
    if (listen(listener, BACKLOG) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    return ntohs(address.sin_port);
}

/* Fills in the CPUs that this process may use; returns how many they are. */
static int allowed_cpus(int *cpus)
{
    cpu_set_t set;
    int count = 0;
    sched_getaffinity(0, sizeof set, &set);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus[count++] = cpu;
    return count;
}

static void start(struct worker *worker, int number, const int *cpus, int count)
{
    worker->number = number;
    worker->bound_to = cpus[number % count];
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(worker, EPOLL_CTL_ADD, stop, EPOLLIN);
    watch(worker, EPOLL_CTL_ADD, listener, EPOLLIN);
    if (pthread_create(&worker->thread, NULL, work, worker))
        die("pthread_create");
}

static void report(const struct worker *worker)
{
    printf("worker %d: turns %ld accepted %ld would_block %ld requests %ld closed %ld "
           "partial_writes %ld\n",
           worker->number, worker->turns, worker->accepted, worker->would_block,
           worker->requests, worker->closed, worker->partial_writes);
}

int main(int count, char **arguments)
{
    int workers = count > 1 ? atoi(arguments[1]) : 1, cpus[CPU_SETSIZE], allowed;
    int port = count > 2 ? atoi(arguments[2]) : 0, caught;
    struct rlimit limit;
    sigset_t ends;
    if (workers < 1 || workers > WORKERS_LIMIT || port < 0 || port > 65535) {
        fprintf(stderr, "usage: peer [WORKERS, 1 to %d [PORT]]\n", WORKERS_LIMIT);
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* for all threads; main waits for them */
    getrlimit(RLIMIT_NOFILE, &limit);
    bool few = limit.rlim_cur < DESCRIPTORS_LIMIT;
    descriptors = few ? limit.rlim_cur : DESCRIPTORS_LIMIT;
    connections = calloc(descriptors, sizeof *connections);
    struct worker *crew = aligned_alloc(128, workers * sizeof *crew);
    if (!connections || !crew)
        die("no memory");
    memset(crew, 0, workers * sizeof *crew);
    for (int at = 0; at < FILLER_BYTES; at++)
        filler[at] = 0x21 + at % 64;
    allowed = allowed_cpus(cpus);
    stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    port = listen_on(port);
    for (int number = 0; number < workers; number++)
        start(&crew[number], number, cpus, allowed);
    printf("listening on 127.0.0.1:%d pid %d\n", port, getpid());
    fflush(stdout);
    sigwait(&ends, &caught);
    eventfd_write(stop, 1);
    for (int number = 0; number < workers; number++) {
        pthread_join(crew[number].thread, NULL);
        report(&crew[number]);
    }
    free(crew);
    return 0;
}
