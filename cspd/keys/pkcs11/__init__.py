"""Keys in PKCS#11 tokens: SoftHSM, nShield, Luna.

From the outside in: :mod:`~cspd.keys.pkcs11.provider` is what the key service sees; its works run in the token's
signing threads; :mod:`~cspd.keys.pkcs11.keys` has the private keys that ``cryptography``'s builders sign with;
:mod:`~cspd.keys.pkcs11.tokens` keeps a token's sessions, logs in, and comes back after a loss;
:mod:`~cspd.keys.pkcs11.modules` loads a vendor's library once in a process, for all its tokens.
"""
