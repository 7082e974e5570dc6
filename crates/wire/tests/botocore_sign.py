"""Signs requests with botocore and prints each as a line of JSON, for tests/botocore.rs to verify: some that were chosen, and as many
that were generated from a seed as the first argument says."""

import base64
import datetime
import json
import random
import sys
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ORIGIN = "http://127.0.0.1:8080"
ARN = "arn%3Aaws%3Ainspector2%3Aeu-west-1%3A111122223333%3Afilter%2F0123456789abcdef"
CASES = [
    ("POST", "/findings/list", b'{"maxResults": 100}', {}),
    ("POST", "/findings/list", b"", {}),
    ("POST", "/findings/list", "{\"title\": \"ü\"}".encode(), {"Content-Type": "application/json", "X-Amz-Meta": "  two   words "}),
    ("GET", f"/tags/{ARN}", b"", {}),
    ("DELETE", f"/tags/{ARN}?tagKeys=b&tagKeys=a%20c&tagKeys=%C3%BC%2F", b"", {}),
    ("DELETE", f"/tags/{ARN}?tagKeys=", b"", {}),
    ("GET", "/a//b/./c/../d/", b"", {}),
    ("GET", "/with%20space/~tilde/plus+", b"", {}),
    ("GET", "/", b"", {"User-Agent": "unsigned/1.0", "X-Amzn-Trace-Id": "unsigned"}),
]

CHANCE = random.Random(20261129)
# What is signed awkwardly: what must be escaped, what need not be, what is more than a byte, what orders differently when escaped.
LETTERS = "abcXYZ019-_.~ +&=/?#%:;,@!$'()*[]{}<>\\^`|\"\u00e9\u00df\u4e2d\U0001f600"


def text(most):
    return "".join(CHANCE.choice(LETTERS) for _ in range(CHANCE.randint(0, most)))


def generated():
    method = CHANCE.choice(["GET", "POST", "PUT", "DELETE"])
    path = "/" + "/".join(quote(text(12), safe="~") for _ in range(CHANCE.randint(1, 5)))
    query = "&".join(f"{quote(text(6) or 'k', safe='~')}={quote(text(9), safe='~')}" for _ in range(CHANCE.randint(0, 5)))
    body = CHANCE.randbytes(CHANCE.choice([0, 1, 64, 1000])) if CHANCE.random() < 0.5 else json.dumps({"title": text(30)}).encode()
    headers = {"Content-Type": "application/json"} if CHANCE.random() < 0.5 else {}
    for n in range(CHANCE.randint(0, 3)):
        words = (CHANCE.choice(["one", "two", "\"quoted  text\"", "a,b", "=;"]) for _ in range(CHANCE.randint(1, 4)))
        headers[CHANCE.choice(["X-Amz-Meta-", "X-Custom-", "x-amz-"]) + str(n)] = CHANCE.choice([" ", "  ", "   "]).join(words) + " " * CHANCE.randint(0, 2)
    return method, path + (f"?{query}" if query else ""), body, headers


def signed(method, path, body, headers, token):
    request = AWSRequest(method=method, url=ORIGIN + path, data=body, headers=headers)
    request.headers["Host"] = "127.0.0.1:8080"
    SigV4Auth(Credentials("AKIDEXAMPLE", "secret/+key", token), "inspector2", "eu-west-1").add_auth(request)
    url = urlsplit(request.url)
    told = {
        "method": method,
        "path": url.path,
        "query": url.query,
        "headers": list(request.headers.items()),
        "body": base64.b64encode(body).decode(),
    }
    print(json.dumps(told))


for case in CASES:
    for token in (None, "session/token=="):
        signed(*case, token)
for _ in range(int(sys.argv[1])):
    signed(*generated(), CHANCE.choice([None, "session/token=="]))
