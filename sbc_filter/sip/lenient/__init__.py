"""Messages that SIP stacks read differently: recognised, repaired so that one reading remains, or salvaged in part."""
