"""X.509: certificates, TNAuthLists, chains, CRLs, the trust store, and which x5u is acceptable; knows no SIP."""
