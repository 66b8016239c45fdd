#!/bin/sh
# make-caption: reads a picture on stdin and answers with one line of text about it. A PPM picture is
# described by its comment line; of anything else the beginning is quoted, which is how people find
# out what was uploaded instead of a picture.
set -eu

picture=/tmp/picture
cat >"$picture"
size=$(wc -c <"$picture")

case $(head -c 2 "$picture" | tr -d '\0') in
P6)
    comment=$(head -c 200 "$picture" | tr -d '\0' | sed -n 's/^# *//p' | head -n 1)
    echo "${comment:-untitled} (PPM, $size bytes)"
    ;;
*)
    begin=$(head -c 200 "$picture" | tr -cd '[:print:]')
    echo "unknown format, $size bytes, begins with: $begin"
    ;;
esac
