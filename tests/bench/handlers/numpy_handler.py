"""Some linear algebra with numpy: the request's numbers are the diagonal of a matrix. A first product is
made before the request is read, so that the library's buffers belong to the setting up."""
import json
import sys

import numpy

SIZE = 16
BASE = numpy.arange(SIZE * SIZE, dtype=float).reshape(SIZE, SIZE) / SIZE
GRAM = BASE @ BASE.T


def answer():
    request = json.loads(sys.stdin.readline())
    matrix = BASE + numpy.diag(numpy.resize(numpy.array(request["items"], dtype=float), SIZE))
    product = matrix @ matrix.T
    print(json.dumps({"name": request["name"], "trace": float((product - GRAM).trace())}), flush=True)


if __name__ == "__main__":
    answer()
