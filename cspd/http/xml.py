"""One reader of XML for everybody: no DTD, no entities, nothing fetched, limits on what a document may hold.

A document without a DTD has neither entities that expand, nor any that read files or addresses (XXE, "billion laughs").
"""

from __future__ import annotations

from lxml import etree

from cspd.refusals import Malformed

MAX_DEPTH = 64
MAX_NODES = 20_000
"""Elements and attributes."""


def read_xml(document: bytes) -> etree._Element:
    """The root of a document, UTF-8 or what its declaration says; comments and processing instructions are left out.

    Total: raises Malformed for anything else, and beyond the limits.
    """
    if b"<!DOCTYPE" in document:
        raise Malformed("a document type declaration is not allowed", code="xml-dtd")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        # The text of the error may repeat a piece of the document, and that of a password.
        where = f"libxml2 {error.code} at {error.position}" if isinstance(error, etree.XMLSyntaxError) else ""
        raise Malformed("not well-formed XML", code="xml-syntax", detail=where) from error
    if root is None:
        raise Malformed("an XML document without an element", code="xml-syntax")
    # The declaration may have come in another encoding.
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a document type declaration is not allowed", code="xml-dtd")
    _check_limits(root)
    return root


def _check_limits(root: etree._Element) -> None:
    depth = nodes = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        nodes += 1 + len(element.attrib)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise Malformed(f"more than {MAX_DEPTH} levels, or {MAX_NODES} elements and attributes", code="xml-limits")
