"""Signs requests with botocore and prints each as a line of JSON, for tests/botocore.rs to verify."""

import base64
import datetime
import json
import sys
from urllib.parse import urlsplit

import botocore
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

for method, path, body, headers in CASES:
    for token in (None, "session/token=="):
        request = AWSRequest(method=method, url=ORIGIN + path, data=body, headers=headers)
        request.headers["Host"] = "127.0.0.1:8080"
        SigV4Auth(Credentials("AKIDEXAMPLE", "secret/+key", token), "inspector2", "eu-west-1").add_auth(request)
        url = urlsplit(request.url)
        json.dump(
            {
                "method": method,
                "path": url.path,
                "query": url.query,
                "headers": list(request.headers.items()),
                "body": base64.b64encode(body).decode(),
            },
            sys.stdout,
        )
        print()
