"""The Simple Certificate Enrolment Protocol (RFC 8894, and draft-nourse-pkix-scep-23, which devices still speak).

::

    client                                            server
    ->  GET ?operation=GetCACaps                      :func:`.capabilities.encode_capabilities`
    ->  GET ?operation=GetCACert                      :func:`.ca_certificates.encode_ca_certificates`
    ->  GET or POST ?operation=PKIOperation           :func:`.transport.decode_message_parameter` for GET
        pkiMessage (SignedData)                       :func:`.codec.decode`, :func:`.verification.verify`
          pkcsPKIEnvelope (EnvelopedData)             :func:`.envelope.open_envelope`
            messageData (PKCS #10, names)             :func:`.message_data.decode_message_data`
    <-  CertRep                                       :func:`.envelope.seal_envelope`, :class:`.codec.MessageSigner`
"""
