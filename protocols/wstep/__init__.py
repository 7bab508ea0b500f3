"""X.509v3 certificate enrollment of Windows ([MS-WSTEP], [MS-WCCE]).

::

    POST, SOAP 1.2                     :mod:`.endpoint`, :mod:`cspd.http.soap12`
    what is asked                      :mod:`.codec`
    who asks                           :mod:`.authentication`, :mod:`.client_certificates` for renewals
    the request and its signatures     :mod:`.tokens`, and :mod:`.renewal` for the certificate that it renews
    the request names a template       :func:`.requested_template.requested_template`
    the template may be used           :func:`.template_rules.check_template`, :func:`.template_rules.check_access`
    which profile                      :func:`.profile_choice.choose_profile`
    which subject and subjectAltName   :func:`.identity.names_for`
    which extensions                   :func:`.extensions.extensions_for`
    the answer                         :mod:`.responses`, :mod:`.request_ids`; :mod:`.errors` for a refusal

What a certificate says is decided without a socket and without a directory: the account and the template are values of
:mod:`cspd.directory.values`. :mod:`.decisions` asks the directory for them.

Beside it clients are told which templates they may enroll by, and where ([MS-XCEP])::

    POST, SOAP 1.2                     :mod:`.policy_endpoint`
    who asks                           :mod:`.authentication`, :mod:`.client_certificates`
    what is asked, and the answer      :mod:`.policy_messages`, :mod:`.policy_codec`
    what a client may have             :mod:`.policy_offers` by a directory, :mod:`.policy_conf` by conf
    a template as a policy             :mod:`.policy_templates`, :mod:`.policy_oids`
    whether that is new                :mod:`.policy_changes`

And an administrator is told what a directory has to know: :mod:`.ad_objects`, :mod:`.ad_templates`, :mod:`.ldif`,
:mod:`.ad_operations`.
"""
