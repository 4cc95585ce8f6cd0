"""A reverse proxy in front of a server, as an operator sets one up: well, or badly."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Certificates", "front", "make_certificates"]


class Certificates(NamedTuple):
    """An authority and what it has signed for 127.0.0.1: PEM files.

    Attributes:
        authority: Its certificate, for those who trust it.
        key: The server's key.
        chain: The server's certificate.
    """

    authority: Path
    key: Path
    chain: Path

    def context(self) -> ssl.SSLContext:
        """A server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _place(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_certificates(
    folder: Path, *, days: tuple[int, int] = (-1, 1), name: str = "127.0.0.1"
) -> Certificates:
    """Make an authority and what it signs for an address.

    Args:
        folder: For the files.
        days: From and to when the address's certificate is good, days from now.
        name: The address, or the name of a machine.
    """
    now = datetime.now(UTC)
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def build(
        subject: str, key: ec.EllipticCurvePublicKey, good: tuple[int, int]
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name("an authority"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=good[0]))
            .not_valid_after(now + timedelta(days=good[1]))
        )

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    authority = (
        build("an authority", root.public_key(), (-400, 400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    address = x509.SubjectAlternativeName([_place(name)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    signed = (
        build("a server", leaf.public_key(), days)
        .add_extension(address, critical=False)
        .add_extension(issuer, critical=False)
        .sign(root, hashes.SHA256())
    )
    made = Certificates(folder / "authority.pem", folder / "key.pem", folder / "chain.pem")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        leaf.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


@contextlib.asynccontextmanager
async def front(
    port: int, *, tls: ssl.SSLContext | None = None, upgrade: bool = True, prefix: str = ""
) -> AsyncIterator[str]:
    """Pass HTTP on to a port of this machine until the block ends; gives the URL of this side.

    Args:
        port: Of the server on 127.0.0.1.
        tls: This side speaks TLS; None = it does not.
        upgrade: False = the headers that ask for another protocol are left out, as nginx does
            unless it is told otherwise.
        prefix: What is passed on, without it; everything else is answered 404.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            passed = _pass_on(head.decode("latin-1"), port, upgrade=upgrade, prefix=prefix)
            if passed is None:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            else:
                there, back = await asyncio.open_connection("127.0.0.1", port)
                back.write(passed.encode("latin-1"))
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "ws" if tls is None else "wss"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _pass_on(head: str, port: int, *, upgrade: bool, prefix: str) -> str | None:
    """The head of a request as the server gets it; None = it gets none."""
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, version = first.split(" ")
    if not path.startswith(f"{prefix}/"):
        return None
    hop = ("host", "upgrade", "connection") if not upgrade else ("host",)
    kept = [line for line in lines if line.partition(":")[0].lower() not in hop]
    closing = [] if upgrade else ["Connection: close"]
    said = [f"{method} {path.removeprefix(prefix)} {version}", f"Host: 127.0.0.1:{port}"]
    return "\r\n".join([*said, *kept, *closing, "", ""])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
