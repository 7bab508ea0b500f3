"""Asks for enrollment policies with curl, and reads the answer with lxml by the schema of the specification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from lxml import etree

from tests.protocols.wstep.policy_schema import NAMESPACE, validate
from tests.support.processes import program, run

_MESSAGE = """\
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">
<s:Header>
<a:Action s:mustUnderstand="1">
{namespace}/IPolicy/GetPolicies
</a:Action>
<a:MessageID>urn:uuid:5fb5f6fd-4709-414b-8afa-0c05f6686d1c</a:MessageID>
<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>
<a:To s:mustUnderstand="1">{url}</a:To>{security}
</s:Header>
<s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<GetPolicies xmlns="{namespace}"><client><lastUpdate>{last_update}</lastUpdate>
<preferredLanguage xsi:nil="true"></preferredLanguage></client>
<requestFilter xsi:nil="true"></requestFilter></GetPolicies>
</s:Body></s:Envelope>
"""
_SECURITY = """
<o:Security s:mustUnderstand="1"
 xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">
<o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken></o:Security>"""


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP and SOAP."""

    status: int
    root: etree._Element | None

    def texts(self, path: str) -> list[str]:
        """Of all elements at a path of local names."""
        assert self.root is not None
        steps = "/".join(f"{{*}}{name}" for name in path.split("/"))
        return [each.text or "" for each in self.root.iterfind(f".//{steps}")]

    @property
    def permissions(self) -> dict[str, tuple[str, str]]:
        """Names of templates, and what the client may: enroll, autoEnroll."""
        told = zip(
            self.texts("attributes/commonName"),
            self.texts("attributes/permission/enroll"),
            self.texts("attributes/permission/autoEnroll"),
            strict=True,
        )
        return {name: (enroll, automatic) for name, enroll, automatic in told}


def get_policies(
    url: str,
    trusted: Path,
    *options: str,
    user: tuple[str, str] | None = None,
    last_update: str = "0001-01-01T00:00:00",
) -> Answer:
    """Ask with curl; an answer that is not a fault is validated."""
    security = "" if user is None else _SECURITY.format(user=escape(user[0]), password=escape(user[1]))
    message = _MESSAGE.format(namespace=NAMESPACE, url=url, security=security, last_update=last_update)
    media_type = "Content-Type: application/soap+xml; charset=utf-8"
    command = [program("curl"), "--silent", "--cacert", trusted, "--write-out", "\n%{http_code}", *options]
    done = run([*command, "--header", media_type, "--data-binary", message, url])
    body, _, status = done.stdout.rpartition("\n")
    root = etree.fromstring(body.encode()) if body.startswith("<") else None
    if status == "200":
        assert root is not None
        validate(next(root.iter(f"{{{NAMESPACE}}}GetPoliciesResponse")))
    return Answer(int(status), root)
