"""The part of a Kubernetes API server that lists pods, over TLS, for tests: python3 kubernetes_api.py CERTIFICATE KEY PODS SECRET.

PODS is a file with a list of pods, read with every request and told two pods at a time. Who asks must bring a token of EKS for the
cluster `shop`, signed by the key AKIDEXAMPLE with SECRET within the last minute. The port is printed."""

import base64
import datetime
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import sys
import urllib.parse

CERTIFICATE, KEY, PODS, SECRET = sys.argv[1:5]
PAGE = 2


def refusal(authorization):
    """Why a token is not good; nothing when it is. Worked out anew from the published description of signatures."""
    if not authorization.startswith("Bearer k8s-aws-v1."):
        return "no token"
    coded = authorization.removeprefix("Bearer k8s-aws-v1.")
    url = urllib.parse.urlsplit(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode())
    pairs = urllib.parse.parse_qsl(url.query, strict_parsing=True)
    asked = dict(pairs)
    if (url.scheme, url.netloc, url.path) != ("https", "sts.eu-west-1.amazonaws.com", "/"):
        return "not STS"
    if asked["Action"] != "GetCallerIdentity" or asked["X-Amz-SignedHeaders"] != "host;x-k8s-aws-id":
        return "another question"
    made = datetime.datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
    age = (datetime.datetime.now(datetime.timezone.utc) - made).total_seconds()
    if not -60 <= age <= int(asked["X-Amz-Expires"]):
        return "too old"
    signature = asked.pop("X-Amz-Signature")
    access, *scope = asked["X-Amz-Credential"].split("/")
    quote = lambda text: urllib.parse.quote(text, safe="-_.~")
    query = "&".join(sorted(f"{quote(name)}={quote(value)}" for name, value in asked.items()))
    headers = f"host:{url.netloc}\nx-k8s-aws-id:shop\n"
    empty = hashlib.sha256(b"").hexdigest()
    canonical = "\n".join(["GET", "/", query, headers, "host;x-k8s-aws-id", empty])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", asked["X-Amz-Date"], "/".join(scope), digest])
    key = ("AWS4" + SECRET).encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    mine = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return None if access == "AKIDEXAMPLE" and hmac.compare_digest(mine, signature) else "another's signature"


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        try:
            why = refusal(self.headers.get("authorization", ""))
        except (KeyError, ValueError) as error:
            why = repr(error)
        if why:
            return self.say(401, {"kind": "Status", "reason": "Unauthorized", "message": why})
        if path != "/api/v1/pods":
            return self.say(403, {"kind": "Status", "reason": "Forbidden"})
        items = json.loads(pathlib.Path(PODS).read_text())
        at = int(asked.get("continue", "0"))
        metadata = {"resourceVersion": "1"}
        if at + PAGE < len(items):
            metadata["continue"] = str(at + PAGE)
        return self.say(200, {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items[at : at + PAGE]})

    def say(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
