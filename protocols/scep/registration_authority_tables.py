"""The tables of registration authorities: their keys and certificates, and who makes the next ones."""

from __future__ import annotations

from cspd.certified_keys.records import CertifiedKeyRecords
from cspd.certified_keys.tables import certified_key_table, claim_table

scep_registration_authorities = certified_key_table("scep_registration_authorities", holder="holder")
scep_registration_authority_claims = claim_table("scep_registration_authority_claims", holder="holder")

RECORDS = CertifiedKeyRecords(scep_registration_authorities, scep_registration_authority_claims)

__all__ = ["RECORDS", "scep_registration_authorities", "scep_registration_authority_claims"]
