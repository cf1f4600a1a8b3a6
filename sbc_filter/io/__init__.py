"""The shells: kernel queue, capture files, certificates, firewall, sockets."""
