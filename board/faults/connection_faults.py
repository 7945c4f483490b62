"""What OpenSSH's client says when a board cannot be reached, in its own words since 7.x."""

from __future__ import annotations

from .fault import Fault

NO_SSH = Fault(
    "no-ssh",
    "ssh is not installed here: {line}",
    "install OpenSSH's client (openssh-client)",
)
NO_ANSWER = Fault(
    "no-answer",
    "{board} took the connection, and did not answer for {seconds} s",
    "look whether the board hangs or is very busy, and restart it if so",
)
NO_SHELL = Fault(
    "no-shell",
    "ssh to {board} ran no command: {line}",
    "try it by hand: ssh {target} true",
)
LOST = Fault(
    "connection-lost",
    "the connection to {board} broke: {line}",
    "look at cable, network and power of the board, then start again",
    r"Timeout, server .* not responding|Broken pipe|Connection reset|Connection to .* closed",
)
SESSION_REFUSED = Fault(
    "session-refused",
    "{board} allows one session a connection: {line}",
    "set MaxSessions to 4 or more in its sshd_config",
    r"Session open refused|session request failed",
)

CONNECTION_FAULTS = (
    Fault(
        "ssh-configuration",
        "ssh cannot read its configuration: {line}",
        "mend that line of ~/.ssh/config; ssh -G {target} reads it too",
        r"Bad configuration option|terminating, \d+ bad configuration|Bad owner or permissions on"
        r"|unsupported option|line \d+: (missing|no) argument|Bad number",
    ),
    Fault(
        "host-unknown",
        "there is no host of the name in {board}: {line}",
        "look for a mistyped name, or give the board's IP address",
        "Could not resolve hostname",
    ),
    Fault(
        "refused",
        "{board} refuses the connection: nothing listens on that port",
        "start the ssh server there, or give its port: ssh://user@host:PORT",
        "Connection refused",
    ),
    Fault(
        "unreachable",
        "there is no way to {board}: {line}",
        "look whether the board is on, and in the same network as this machine",
        r"No route to host|Network is (unreachable|down)|Host is down",
    ),
    Fault(
        "connect-timeout",
        "{board} does not answer: {line}",
        "look whether the board is on, and whether a firewall is between",
        r"connect to .*timed out|Operation timed out|Connection timed out",
    ),
    Fault(
        "host-key-changed",
        "{board} has another host key than the one that was known",
        "if the board was set up anew, forget the old key with ssh-keygen -R {known} and connect "
        "once by hand; else somebody else may have answered",
        "REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed|Host key for .* changed",
    ),
    Fault(
        "host-key-unknown",
        "the host key of {board} is not known here",
        "connect once by hand and compare the key: ssh {target} true",
        r"Host key verification failed|host key is known for",
    ),
    Fault(
        "key-permissions",
        "ssh does not use a key that others may read: {line}",
        "chmod 600 the key's file",
        r"UNPROTECTED PRIVATE KEY|Permissions \d+ for .* are too open|bad permissions",
    ),
    Fault(
        "too-many-keys",
        "{board} gave up before the right key came: {line}",
        "name the key in ~/.ssh/config: IdentityFile and IdentitiesOnly yes",
        "Too many authentication failures",
    ),
    Fault(
        "key-refused",
        "{board} does not let this user in: {line}",
        "put your public key there with ssh-copy-id {target}, and load its passphrase with "
        "ssh-add; no password is asked for",
        r"Permission denied \(|Permission denied, please|No supported authentication",
    ),
    Fault(
        "no-common-algorithm",
        "{board} and this ssh have no method in common: {line}",
        "allow what the board offers for this host in ~/.ssh/config, such as "
        "HostKeyAlgorithms +ssh-rsa",
        r"Unable to negotiate|no matching .* found",
    ),
    Fault(
        "no-ssh-server",
        "what answers at {board} is no ssh server, or it turned us away: {line}",
        "give the port of its ssh server: ssh://user@host:PORT",
        r"(kex|ssh)_exchange_identification|banner line contains|Protocol m\w+|invalid characters",
    ),
)
