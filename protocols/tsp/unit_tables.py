"""The tables of time-stamp units whose certificates our own CAs issue."""

from __future__ import annotations

from cspd.certified_keys.records import CertifiedKeyRecords
from cspd.certified_keys.tables import certified_key_table, claim_table

tsp_units = certified_key_table("tsp_units", holder="issuer")
tsp_unit_claims = claim_table("tsp_unit_claims", holder="issuer")

RECORDS = CertifiedKeyRecords(tsp_units, tsp_unit_claims)

__all__ = ["RECORDS", "tsp_unit_claims", "tsp_units"]
