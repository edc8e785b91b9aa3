/* The least that a platform in front of a Node runner can do: one thread that takes an HTTP request, sends a ready-made frame to
 * a runner, waits for its frame and sends a ready-made answer. It parses, checks, records and isolates nothing. What it does not
 * reach beside a bare Node server, nothing with the same trip reaches on the same machine.
 *
 *   floor PORT SOCKET RUNNERS    (prints "ready" when it listens for the runners on the unix socket) */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096, QUEUE = 1024, HEADER = 24, RUN = 3 };

static const char payload[] =
    "{\"value\":{},\"namespace\":\"guest\",\"action_name\":\"/guest/load0\",\"api_host\":\"http://10.88.4.1:3234\",\"api_key\":\"\","
    "\"activation_id\":\"0123456789abcdef0123456789abcdef\",\"transaction_id\":\"abcdefghijabcdefghijabcdefghij12\",\"deadline\":\"1234567890123\"}";
static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\nDate: Wed, 25 Nov 2026 22:00:00 GMT\r\n"
    "X-Request-ID: 0123456789abcdef0123456789abcdef\r\nX-Openwhisk-Activation-Id: 0123456789abcdef0123456789abcdef\r\n"
    "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, DELETE, POST, PUT, HEAD\r\n"
    "Access-Control-Allow-Headers: Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent\r\n\r\n{}";

static int is_runner[DESCRIPTORS], serves[DESCRIPTORS], waiting[DESCRIPTORS][QUEUE];
static unsigned first[DESCRIPTORS], last[DESCRIPTORS];
static char frame[HEADER + sizeof payload - 1];

static void serve(int runner, int client) {
  serves[runner] = client;
  send(runner, frame, sizeof frame, MSG_NOSIGNAL);
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: floor PORT SOCKET RUNNERS\n");
    return 2;
  }

  int runners = atoi(arguments[3]), one = 1, next = 0;
  int *runner_of = calloc((size_t)runners, sizeof(int));
  struct epoll_event wanted = {.events = EPOLLIN};
  int epoll = epoll_create1(0);

  struct sockaddr_un path = {.sun_family = AF_UNIX};
  strncpy(path.sun_path, arguments[2], sizeof path.sun_path - 1);
  int door = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(door, (struct sockaddr *)&path, sizeof path) != 0 || listen(door, 128) != 0) {
    perror(arguments[2]);
    return 1;
  }

  puts("ready");
  fflush(stdout);
  for (int i = 0; i < runners; i++) {
    int runner = runner_of[i] = wanted.data.fd = accept(door, 0, 0);
    is_runner[runner] = 1;
    serves[runner] = -1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, runner, &wanted);
  }

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = wanted.data.fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 512) != 0) {
    perror("listen");
    return 1;
  }

  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted);
  frame[0] = (char)(sizeof payload - 1);
  frame[1] = (char)((sizeof payload - 1) >> 8);
  frame[4] = 1;
  frame[5] = RUN;
  memcpy(frame + HEADER, payload, sizeof payload - 1);

  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      static char bytes[65536];
      int at = events[i].data.fd;
      if (at == listener) {
        wanted.data.fd = accept(listener, 0, 0);
        setsockopt(wanted.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll, EPOLL_CTL_ADD, wanted.data.fd, &wanted);
      } else if (recv(at, bytes, sizeof bytes, 0) <= 0) {
        if (is_runner[at]) {
          return 0;
        }

        close(at);
      } else if (is_runner[at]) {
        int client = serves[at];
        serves[at] = -1;
        if (first[at] != last[at]) {
          serve(at, waiting[at][first[at]++ % QUEUE]);
        }

        if (client >= 0) {
          send(client, answer, sizeof answer - 1, MSG_NOSIGNAL);
        }
      } else {
        int runner = runner_of[next++ % runners];
        if (serves[runner] < 0) {
          serve(runner, at);
        } else {
          waiting[runner][last[runner]++ % QUEUE] = at;
        }
      }
    }
  }
}
