/* The least that a platform in front of a Node runner can do: one thread that takes an HTTP request, sends a ready-made frame to
 * a runner, waits for its frame and sends a ready-made answer. It parses, checks, records and isolates nothing. What it does not
 * reach beside a bare Node server, nothing with the same trip reaches on the same machine.
 *
 *   floor PORT ANSWERS:REQUESTS ...    (two descriptors that it inherited for each runner; prints "ready" when it listens) */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
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

static int requests_of[DESCRIPTORS], serves[DESCRIPTORS], waiting[DESCRIPTORS][QUEUE];
static unsigned first[DESCRIPTORS], last[DESCRIPTORS];
static char frame[HEADER + sizeof payload - 1];

static void serve(int runner, int client) {
  serves[runner] = client;
  if (write(requests_of[runner], frame, sizeof frame) != sizeof frame) {
    exit(1);
  }
}

int main(int count, char **arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: floor PORT ANSWERS:REQUESTS ...\n");
    return 2;
  }

  int runners = count - 2, one = 1, next = 0;
  int *runner_of = calloc((size_t)runners, sizeof(int));
  struct epoll_event wanted = {.events = EPOLLIN};
  int epoll = epoll_create1(0);

  for (int i = 0; i < runners; i++) {
    int answers, requests;
    if (sscanf(arguments[2 + i], "%d:%d", &answers, &requests) != 2 || answers >= DESCRIPTORS) {
      fprintf(stderr, "%s: not two descriptors\n", arguments[2 + i]);
      return 2;
    }

    runner_of[i] = wanted.data.fd = answers;
    requests_of[answers] = requests;
    serves[answers] = -1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, answers, &wanted);
  }

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = wanted.data.fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 512) != 0) {
    perror("listen");
    return 1;
  }

  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted);
  puts("ready");
  fflush(stdout);
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
      } else if (read(at, bytes, sizeof bytes) <= 0) {
        if (requests_of[at]) {
          return 0;
        }

        close(at);
      } else if (requests_of[at]) {
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
