"""State that outlives one packet: certificates, transactions, arrivals, tokens seen."""
