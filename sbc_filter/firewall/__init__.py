"""The nft and iptables rules that feed the queue."""
