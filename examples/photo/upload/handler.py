#!/usr/bin/python3
"""upload: the entry of the photo flow.

Takes {"user", "url", "title"}, has the picture fetched and captioned, and publishes the post.
"""

import base64
import http.client
import json
import sys


def call(function, body):
    """Calls another function through the gateway and returns its answer."""
    gateway = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
    gateway.request("POST", "/function/" + function, body)
    answer = gateway.getresponse()
    content = answer.read()
    gateway.close()
    if answer.status != 200:
        sys.exit(f"upload: {function} answered {answer.status}: {content[:200]!r}")
    return content


def main():
    try:
        order = json.load(sys.stdin)
        user, url, title = str(order["user"]), str(order["url"]), str(order["title"])
    except (ValueError, KeyError, TypeError) as fault:
        sys.exit(f'upload: the request must be {{"user", "url", "title"}}: {fault!r}')
    picture = call("fetch-image", url.encode())
    caption = call("make-caption", picture).decode(errors="replace").strip()
    post = {
        "user": user,
        "title": title,
        "caption": caption,
        "picture": base64.b64encode(picture).decode(),
    }
    receipt = json.loads(call("publish", json.dumps(post).encode()))
    json.dump({"user": user, "title": title, "caption": caption, "post": receipt["post"]}, sys.stdout)
    print()


main()
