/* What is known of one HTTP connection: a client's, or one that an invocation opened to the
 * gateway's broker. conn.c reads and writes it, reply.c puts the answer into it, handlers read the
 * request. */
#pragma once
#include "gateway.h"

#include "pv/http.h"
#include "pv/msg.h"

#include <event2/event_struct.h>

enum gw_conn_state {
    GW_READING, /* a request is being read, or awaited */
    GW_BUSY,    /* a complete request is being answered */
    GW_CLOSING, /* the last answer is being written */
    GW_LINGER,  /* answered and shut down; reads until the peer closes */
    GW_DEAD,    /* closed; freed by the loop */
};

struct gw_conn;
typedef void gw_handler(struct gw_conn *c);

struct gw_conn {
    LIST_ENTRY(gw_conn) link;
    TAILQ_ENTRY(gw_conn) held_link;
    LIST_ENTRY(gw_conn) owner_link;
    struct gateway *gw;
    int fd;
    enum gw_conn_state state;
    struct event read_event;
    struct event write_event;
    bool reading; /* read_event is added */
    bool feeding; /* inside the parse loop */
    bool keep_alive;
    bool head_only; /* HEAD: no body in the answer */
    bool bodyless;  /* the answer's status allows no body */
    bool old_peer;  /* HTTP/1.0: keep-alive must be confirmed */
    bool held;      /* in gw->held */
    bool eof;
    struct pv_http_parser *parser;
    const struct pv_http_head *head;
    void (*answered)(struct gw_conn *c); /* goes on once the answer stands in out and tail */
    gw_handler *handler;                 /* for the request whose body is being read */
    const char *rest;                    /* target after a prefix route, borrowed from the head */
    struct pv_buf pending;               /* input that came while busy */
    struct pv_buf body;
    uint64_t counted;  /* part of gw->held_bytes */
    struct pv_buf env; /* variables of an invocation */
    struct pv_buf out;
    size_t out_off;
    struct pv_payload tail; /* a large body behind out, mapped; owned */
    size_t tail_off;
    uint64_t deadline_ns;
    uint64_t arrived_ns; /* the request was complete */
    uint64_t hold_until_ns;
    uint64_t sign_dseq; /* the answer waits until events below it are signed; 0: does not */
    uint64_t sign_until_ns;
    bool awaiting_signature; /* in gw->unsigned_ */
    struct gw_call *call;    /* being answered */
    struct gw_conn **waiter; /* cleared when the connection dies */
    struct gw_call *owner;   /* the invocation that opened it, or NULL: an outside client */
    uint64_t connection;     /* the host's number of it */
    char remote[64];         /* "ip:port" */
};
