"""An identity provider on loopback: a discovery document, keys, and tokens that it signs."""

import base64
import hmac
import json
import threading
import time
from collections import Counter
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

__all__ = ["AUDIENCE", "Issuer", "private_key"]

AUDIENCE = "voice"


@cache
def private_key(kid: str, alg: str) -> Any:
    """A key, made once; one named ``small`` is too weak."""
    if alg == "RS256":
        return rsa.generate_private_key(65_537, 1024 if kid == "small" else 2048)
    return ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """Serves until the block ends.

    Attributes:
        keys: What it publishes, by kid: the algorithm.
        down: True while it answers nothing but 503.
        asked: How often each path was asked for.
        more: Further entries of its key set.
        says: What its discovery document says instead.
    """

    def __init__(self, **keys: str) -> None:
        self.keys = dict(keys)
        self.down = False
        self.asked: Counter[str] = Counter()
        self.more: list[Any] = []
        self.says: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tenant"

    def __enter__(self) -> "Issuer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(self, kid: str, *, lives_s: float = 300, **claims: Any) -> str:
        """A token that it has signed with a key, published or not; claims that are None lack."""
        now = time.time()
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "auth0|ada", "exp": now + lives_s}
        said |= {"iat": now, **claims}
        given = {name: value for name, value in said.items() if value is not None}
        alg = self.keys.get(kid, "RS256")
        return jwt.encode(given, private_key(kid, alg), alg, headers={"kid": kid})

    def confused(self, kid: str, alg: str) -> str:
        """A token that anybody can make: HS256 with the public key as its secret, or ``none``."""
        now = time.time()
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "eve", "exp": now + 300}
        public = private_key(kid, self.keys[kid]).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        parts = [{"alg": alg, "kid": kid, "typ": "JWT"}, said]
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        digest = hmac.digest(pem, signed.encode(), "sha256") if alg == "HS256" else b""
        return f"{signed}.{_encoded(digest)}"

    def jwk(self, kid: str, kind: str = "RS256", **more: Any) -> dict[str, Any]:
        """A public key, as it is published."""
        made = RSAAlgorithm if kind == "RS256" else ECAlgorithm
        entry = made.to_jwk(private_key(kid, kind).public_key(), as_dict=True)
        return {**entry, "kid": kid, "use": "sig", **more}

    def _answer(self, path: str) -> tuple[int, Any]:
        self.asked[path] += 1
        if self.down:
            return 503, {}
        if path == "/tenant/.well-known/openid-configuration":
            return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.says}
        if path == "/tenant/keys":
            published = [self.jwk(kid, alg) for kid, alg in self.keys.items()]
            return 200, {"keys": [*self.more, *published]}
        return 404, {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, said = answer(self.path)
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
