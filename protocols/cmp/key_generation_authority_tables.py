"""The tables of key generation authorities: their keys and certificates, and who makes the next ones."""

from __future__ import annotations

from cspd.certified_keys.records import CertifiedKeyRecords
from cspd.certified_keys.tables import certified_key_table, claim_table

cmp_key_generation_authorities = certified_key_table("cmp_key_generation_authorities", holder="ca")
cmp_key_generation_authority_claims = claim_table("cmp_key_generation_authority_claims", holder="ca")

RECORDS = CertifiedKeyRecords(cmp_key_generation_authorities, cmp_key_generation_authority_claims)

__all__ = ["RECORDS", "cmp_key_generation_authorities", "cmp_key_generation_authority_claims"]
