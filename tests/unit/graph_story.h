/* A story for the graph's tests: a photo-sharing workflow in which a crafted URL makes fetch-image
 * give away its credential file, which leaves through publish. Events as the roles emit them. */
#pragma once
#include "pv/event.h"
#include "pv/ratchet.h"

enum { STORY_MAX = 400 };
struct story_entry {
    uint8_t bytes[1024];
    size_t len;
};
struct story {
    struct story_entry v[STORY_MAX];
    size_t n;
    struct pv_call_id attack[4]; /* upload, fetch-image, make-caption, publish */
    struct pv_call_id good[4];
};
/* How the producers' events interleave. */
enum story_order {
    STORY_BY_TIME,       /* as things happened */
    STORY_OUTSIDE_FIRST, /* all of the outside witness before the rest */
    STORY_OUTSIDE_LAST,
    STORY_NO_WITNESS, /* without the outside witness */
    STORY_OVERREACH,  /* as STORY_BY_TIME; fetch-image tries what it was not granted */
};
void story_tell(struct story *s, enum story_order order);
