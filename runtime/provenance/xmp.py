"""XMP packets (ISO 16684-1): the statement of what made a picture, among what its owner wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

from . import Provenance

if TYPE_CHECKING:
    from xml.dom.minidom import Document, Element

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
# Some seconds' work; the history of a picture edited for years has thousands.
MOST_TAGS = 100_000
EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{RDF}"/>'
    '</x:xmpmeta><?xpacket end="w"?>'
).encode()


def state(made: Provenance, packet: bytes = b"") -> bytes:
    """The packet with the statement in it; everything else that it says stays.

    Args:
        made: what is stated; replaces an older statement (the camera's "digitalCapture").
        packet: the owner's, b"" for none. What is no XMP comes back as it is: better the owner's
            words alone than ours alone.

    Returns:
        UTF-8, the same for the same arguments.
    """
    document = _parsed(packet or EMPTY)
    if document is None:
        return packet
    try:
        return _stated(made, document)
    except RecursionError:  # nested a thousand times: no camera and no program writes that
        return packet


def _stated(made: Provenance, document: Document) -> bytes:
    home = document.getElementsByTagNameNS(RDF, "RDF")[0]
    for element in list(document.getElementsByTagName("*")):
        _forget(element, made.properties)
    statement = document.createElementNS(RDF, "rdf:Description")
    # Prefixes are declared where they are used: the owner may have given them to other names.
    statement.setAttribute("xmlns:rdf", RDF)
    statement.setAttribute("xmlns:Iptc4xmpExt", IPTC)
    statement.setAttributeNS(RDF, "rdf:about", _subject(document))
    for name, value in made.properties.items():
        statement.setAttributeNS(IPTC, f"Iptc4xmpExt:{name}", value)
    home.appendChild(statement)
    return "".join(node.toxml() for node in document.childNodes).encode()


def _parsed(packet: bytes) -> Document | None:
    """None for what is no XML, has no RDF, is not UTF-8, declares entities, which XMP forbids, or
    takes long to read."""
    from xml.dom.minidom import parseString

    if b"\0" in packet.strip(b"\0") or packet.count(b"<") > MOST_TAGS:
        return None
    if b"<!" in packet.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        return None
    try:
        document = parseString(packet.strip(b"\0 \t\r\n"))
    except (ExpatError, ValueError, LookupError):
        return None
    return document if document.getElementsByTagNameNS(RDF, "RDF") else None


def _subject(document: Document) -> str:
    """What the packet's descriptions are about: all must say the same, mostly ""."""
    described = document.getElementsByTagNameNS(RDF, "Description")
    return described[0].getAttributeNS(RDF, "about") if described else ""


def _forget(element: Element, names: Iterable[str]) -> None:
    """Remove properties, which stand in packets as elements or as attributes, and descriptions
    that say nothing without them."""
    parent = element.parentNode
    if element.namespaceURI == IPTC and element.localName in names and parent is not None:
        parent.removeChild(element)
    stated = [name for name in names if element.hasAttributeNS(IPTC, name)]
    for name in stated:
        element.removeAttributeNS(IPTC, name)
    if stated and parent is not None and _says_nothing(element):
        parent.removeChild(element)


def _says_nothing(description: Element) -> bool:
    names = (name for name, _ in description.attributes.items() if not name.startswith("xmlns"))
    return not description.childNodes and all(name.endswith(":about") for name in names)
