"""Trust store files, the STI-PA list and CRLs, kept current."""
