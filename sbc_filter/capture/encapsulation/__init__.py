"""Finds the IP packet in frames that `link_types` does not know, and in tunnels; puts another packet in its place.

    carriers        what carries an IP packet: its headers, and how their lengths and checksums follow a new packet
    own_headers     headers that we read ourselves: EtherTypes, and link types that scapy does not have
    exported_pdu    SIP messages that Wireshark exported without their packets
    scapy_headers   all other headers, one at a time, by scapy
    dissector       the way through the headers of a frame or tunnel to the IP packet

Used in replay only. The live filter sees IP packets alone, and does not look into tunnels.
"""
