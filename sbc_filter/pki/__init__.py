"""X.509: certificates, TNAuthLists, paths, CRLs, the trust store and the rules for x5u. Contains nothing about SIP."""
