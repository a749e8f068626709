"""What hostile clients of the gateway send: hypothesis' strategies of paths, queries, headers, forms and bodies."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import strategies as st

Header = tuple[bytes, bytes]

BYTES = st.binary(max_size=60)
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map(str.encode)
ENCODED = st.text(max_size=12).map(lambda text: quote(text, safe="").encode())
WORD = st.one_of(
    PRINTABLE,
    ENCODED,
    st.sampled_from([b"", b"%00", b"%ff", b"%", b"%2e%2e", b"..", b"1.2.3", b"0", b"-1", b"9" * 70, b"1,2,,3", b"*"]),
)
# A header's: without the end of its line.
VALUE = st.one_of(BYTES.map(lambda data: data.translate(None, b"\r\n")), PRINTABLE, st.just(b"x" * 5000))
METHOD = st.sampled_from(b"GET GET GET HEAD POST OPTIONS PUT DELETE TRACE PATCH".split())

_KEYS = (
    b"PatientName PatientID StudyDate StudyTime ModalitiesInStudy StudyInstanceUID SeriesInstanceUID SOPInstanceUID "
    b"00100010 0020000D 00400275.00400009 RequestAttributesSequence NumberOfFrames Rows includefield limit offset "
    b"fuzzymatching emptyvaluematching accept charset window viewport quality frame annotation iccprofile study "
    b"last-event-id x"
)
_VALUES = (
    b"* ? A*B?C %2A%3F 20260101- -20260101 20260101-20250101 1000-0900 000000.000000-235960 20261301 2026 1.2,1.3 "
    b"1.2%5C1.3 true false 0 999999999999 -5 1e9 nan all 40,400 1,0,linear 100,100 0,0 16383,16383 1,1,5,5,-1,-1 "
    b"%EF%BF%BF %F0%9F%98%80 %C3%28 %27%3B-- M%C3%BCller^*=*= ^^^^ === %5B%5D%28%29 {} 00:00:00"
)
QUERY = (
    st.lists(
        st.tuples(st.sampled_from(_KEYS.split()), st.one_of(WORD, st.sampled_from(_VALUES.split()))).map(b"=".join),
        max_size=6,
    )
    .map(b"&".join)
    .filter(lambda query: len(query) < 4000)
)

_NAMES = (
    b"accept accept accept-encoding accept-charset range if-range if-none-match if-modified-since origin referer "
    b"cookie authorization last-event-id content-type upgrade forwarded x-forwarded-for"
)
_ACCEPTED = (
    b'*/* multipart/related type= "application/dicom" application/dicom+xml image/* image/jpeg ; , q=0 q=1 q=0.0001 '
    b'transfer-syntax=* transfer-syntax=1.2.840.10008.1.2.1 " \\ ='
)
_RANGES = (
    b"bytes=0-0 bytes=-1 bytes=-0 bytes=5-2 bytes=0-99999999999999999999 bytes=999999999999999999- bytes=- items=0-1 "
    b"bytes=0-0,5-9 bytes=0-0,0-0,0-0,0-0 bytes=a-b bytes=1-%FF"
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(_NAMES.split()), VALUE),
        st.tuples(st.just(b"accept"), st.lists(st.sampled_from(_ACCEPTED.split()), max_size=12).map(b"".join)),
        st.tuples(st.just(b"range"), st.sampled_from(_RANGES.split())),
    ),
    max_size=5,
)

# No requests, or not quite.
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from(
            [
                b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
                b"GET /dicomweb/studies HTTP/1.0\r\n\r\n",
                b"GET http://localhost/dicomweb/studies HTTP/1.1\r\nhost: localhost\r\n\r\n",
                b"GET /dicomweb/studies/1.2.3/metadata HTTP/1.1\r\nhost: localhost:[\r\n\r\n",
                b"GET /dicomweb/studies HTTP/1.1\r\nhost: localhost:99999999\r\n\r\n",
                b"GET /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
                b"POST /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
                b"POST /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\ncontent-length: " + b"9" * 20 + b"\r\n\r\n",
                b"POST /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n"
                b"transfer-encoding: chunked\r\n\r\nabc",
                b"POST /study/1.2/reviews HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n"
                b"transfer-encoding: chunked\r\n\r\nzz\r\n",
                b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00",
                b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n",
                b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
                b"GET / HTTP/1.1\r\nhost: localhost\r\nx: \x00\r\n\r\n",
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)

FORM_TYPES = [b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=b", b"text/plain", b"\xff"]
FORM = st.lists(
    st.tuples(st.sampled_from(b"result verdict reviewer finding note x".split()), st.one_of(WORD, VALUE)).map(
        b"=".join
    ),
    max_size=12,
).map(b"&".join)

STORED_TYPES = [
    b'multipart/related; type="application/dicom"; boundary=b',
    b"multipart/related; type=application/dicom+json; boundary=b",
    b"multipart/related",
    b"application/dicom",
    b"multipart/related; boundary=" + b"b" * 200,
    b"\xff\xfe",
]
# Nothing of it is an object.
PART = st.tuples(
    st.sampled_from([b"--b", b"--", b"--c", b"", b"\r\n--b", b"--b--", b"--b--\r\n"]),
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"",
            b"\r\nContent-Type: application/dicom\r\n\r\n",
            b"\r\nx: " + b"y" * 9000 + b"\r\n\r\n",
        ]
    ),
    st.one_of(BYTES, st.just(b"\0" * 128 + b"DICM"), st.just(b"\0" * 100_000)),
    st.sampled_from([b"\r\n", b""]),
).map(b"".join)


def head(method: bytes, target: bytes, headers: list[Header]) -> bytes:
    """Of the last request of a connection."""
    lines = [b"%s %s HTTP/1.1" % (method, target), b"host: localhost", b"connection: close"]
    return b"\r\n".join([*lines, *(b"%s: %s" % one for one in headers), b"", b""])
