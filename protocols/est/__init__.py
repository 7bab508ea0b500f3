"""Enrollment over Secure Transport (RFC 7030, RFC 8951, RFC 9908).

::

    GET  cacerts         -> the CA certificates                     :meth:`.service.ESTService.ca_certificates`
    GET  csrattrs        -> what a request should hold              :meth:`.service.ESTService.csr_attributes`
    POST simpleenroll    -> a first certificate                     :meth:`.service.ESTService.enroll`
    POST simplereenroll  -> the successor of the TLS certificate    :meth:`.service.ESTService.reenroll`
    POST serverkeygen    -> a key made here, and its certificate    :meth:`.service.ESTService.generate_key`
    POST fullcmc         -> what a full PKI request of CMC gets     :meth:`.cmc_service.CMCService.respond`

and, beside the standard::

    GET  crl             -> the current CRL                         :meth:`.service.ESTService.crl`
    POST revoke          -> the TLS certificate is revoked          :meth:`.service.ESTService.revoke`
"""
