"""X.509v3 certificate enrollment of Windows ([MS-WSTEP], [MS-WCCE]).

What stands here so far decides what a certificate says, without a socket and without a directory: the account and the
template are values of :mod:`cspd.directory.values`.

::

    the request names a template       :func:`.requested_template.requested_template`
    the template may be used           :func:`.template_rules.check_template`, :func:`.template_rules.check_access`
    which profile                      :func:`.profile_choice.choose_profile`
    which subject and subjectAltName   :func:`.identity.names_for`
    which extensions                   :func:`.extensions.extensions_for`
"""
