"""Notes of a log as its key's thief would write them (docs/formats/{log,checkpoint}.md)."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def split(data):
    """Records: u16 big-endian length and what follows."""
    out, at = [], 0
    while at + 2 <= len(data):
        n = int.from_bytes(data[at : at + 2], "big")
        out.append(data[at : at + 2 + n])
        at += 2 + n
    return out


def record(raw):
    return len(raw).to_bytes(2, "big") + raw


def signer(key_file):
    """Name and seed out of a log.key."""
    text = key_file.read_bytes().rstrip(b"\n").split(b"+", 4)
    return text[2], base64.b64decode(b"+".join(text[4:]))[1:]


def signature(name, seed, text):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_hash = hashlib.sha256(name + b"\n\x01" + public).digest()[:4]
    return b"\xe2\x80\x94 " + name + b" " + base64.b64encode(key_hash + key.sign(text)) + b"\n"


def sign(name, seed, size, root):
    text = name + b"\n%d\n" % size + base64.b64encode(root) + b"\n"
    return text + b"\n" + signature(name, seed, text)
