"""A json handler: the request is a line, so is the answer."""
import json
import sys


def answer():
    request = json.loads(sys.stdin.readline())
    print(json.dumps({"greeting": "hello " + request["name"], "items": len(request["items"])}), flush=True)


if __name__ == "__main__":
    answer()
