"""One file of multipart/form-data, as browsers and httpx send it, and nothing else."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.routes.multipart import FilePart, MultipartError, boundary_of, file_in

PNG = b"\x89PNG\r\n--x\r\n\r\n\x00"


def sent(name: str, data: bytes, media_type: str) -> tuple[bytes, bytes]:
    """Boundary and body as httpx makes them."""
    request = httpx.Request("POST", "http://x/", files={"file": (name, data, media_type)})
    return boundary_of(request.headers["content-type"]), request.read()


@given(st.binary(max_size=200))
def test_whatever_is_in_a_file_comes_out_of_it(data: bytes) -> None:
    boundary, body = sent("a.png", data, "image/png")
    assert file_in(body, boundary) == FilePart("a.png", "image/png", data)


@pytest.mark.parametrize("name", ["a b.png", "ünï.pdf", 'a"b.txt', "a;b.txt", "../../etc/passwd"])
def test_names_come_as_they_were_said(name: str) -> None:
    boundary, body = sent(name, PNG, "text/plain")
    assert file_in(body, boundary) == FilePart(name, "text/plain", PNG)


def test_what_a_browser_sends_is_read() -> None:
    body = (
        b"------WebKitFormBoundaryABC\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a%22b.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + PNG + b"\r\n------WebKitFormBoundaryABC--\r\n"
    )
    boundary = boundary_of("multipart/form-data; boundary=----WebKitFormBoundaryABC")
    assert file_in(body, boundary) == FilePart('a"b.png', "image/png", PNG)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="ü"',
        "multipart/form-data; boundary*=a; boundary*0=b",
        f"multipart/form-data; boundary*{'9' * 5000}=a",
    ],
)
def test_another_type_or_no_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(MultipartError, match="multipart/form-data"):
        boundary_of(content_type)


HEAD = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
GOOD = b"--b\r\n" + HEAD + b"x\r\n--b--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--\r\n",
        b"x" + GOOD,
        GOOD[:-8],
        GOOD.replace(b"--b--", b"--b\r\n" + HEAD + b"y\r\n--b--"),
        GOOD.replace(b'name="file"', b'name="other"'),
        GOOD.replace(b"form-data", b"attachment"),
        GOOD.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\nno header\r\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 9000 + b"\r\n\r\n"),
        GOOD.replace(HEAD, b"\r\n"),
        GOOD.replace(b'filename="a"', b"filename*=a; filename*0=b"),
        GOOD.replace(b'filename="a"', b"filename*" + b"9" * 5000 + b"=a"),
        GOOD + b"more",
    ],
)
def test_a_body_with_anything_wrong_is_refused(body: bytes) -> None:
    assert file_in(GOOD, b"b") == FilePart("a", "", b"x")
    with pytest.raises(MultipartError):
        file_in(body, b"b")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    for made in (body, b"--b\r\n" + body, b"--b\r\n" + body + b"\r\n--b--\r\n"):
        try:
            file_in(made, b"b")
        except MultipartError:
            continue
