"""The trust store: its files, the STI-PA list and CRLs, kept up to date."""
