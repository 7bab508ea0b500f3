"""Certification authorities: profiles, policy, issuance, revocation, CRLs, status."""
