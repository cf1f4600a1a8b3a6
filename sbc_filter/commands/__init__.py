"""One file or folder for each command, named after the command.

Each has `add_arguments(parser)`, which declares its command line, and `run(arguments)`, which returns the exit code. A
new command is such a file and its line in `COMMANDS`. `run` imports what only running needs, so `--help` is fast (a
test looks at what it imports).
"""

COMMANDS = {
    "Try it": {
        "demo": "play real calls between carrier, SBC and core on this machine",
        "pki": "make a laboratory: certificates, keys, configuration, rules",
    },
    "Check and replay": {
        "check": "check configuration and rules; report every mistake at once",
        "replay": "show what the rules would have done to a capture",
        "explain": "say what is wrong with a token or an INVITE, and what to do",
        "sign": "sign one SIP message, as if it were a call that leaves",
    },
    "Run": {
        "run": "filter live traffic from the kernel's queue",
        "serve": "sign and verify for others by HTTP (ATIS-1000082)",
        "status": "show what the running filter does",
        "follow": "show the records of live calls as they happen",
        "find": "find calls of the past: a caller complains an hour later",
        "reload": "have the running filter read its files again, all or none",
        "observe": "change nothing for a time, and record what would have been done",
    },
    "Manage": {
        "certificates": "inspect, fetch, import and purge other parties' certificates",
        "firewall": "show, apply or remove the rules that feed the filter",
        "install": "make user, configuration and systemd units for this program",
        "uninstall": "remove what install made, but not the configuration",
    },
}
"""Every command with one sentence, in the groups in which `--help` lists them.

Here and not in the commands' files, because `--help` imports none of them.
"""
