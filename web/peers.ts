/**
 * Peers: what other tools do, as a table for the About page. Facts with a date, fair to both
 * sides: the rows in which Converge is behind are here too.
 */
export const peersDate = "November 2026";

export const peerNames = ["Converge", "tmate", "upterm", "sshx", "Breakpoint"] as const;

/** What is no difference where the relay shows nobody who is there. */
export const publicList = "Public list of sessions";

/** What is compared, then a cell for each of `peerNames`. */
export const peerRows: readonly (readonly [string, string, string, string, string, string])[] = [
  [
    "State",
    "young, self-hosted",
    "public servers closed (announced July 2025); self-hosting is possible",
    "active, public relay",
    "public service; self-hosting not supported",
    "active; GitHub Actions first",
  ],
  [
    "The relay cannot read the session",
    "yes",
    "no",
    "no, it ends ssh on both sides",
    "yes, by a key in the link",
    "yes",
  ],
  [
    "You can check whom you reach, without trust at first use",
    "yes, --fingerprint",
    "the relay's key only",
    "the relay's key only",
    "by the secret in the link",
    "the fingerprint is in the log",
  ],
  [
    "Your own ssh, nothing to install",
    "wsproxy, one file",
    "yes",
    "yes over ssh; its program over websocket",
    "browser only",
    "yes",
  ],
  [
    "The job needs only outbound HTTPS",
    "yes",
    "no, ssh",
    "yes",
    "yes",
    "no, QUIC over UDP; the user needs a random port",
  ],
  ["Commands with exit status, rsync, VS Code", "yes", "no", "no", "no", "commands in part"],
  ["sftp and scp", "yes", "no", "yes", "no", "sftp"],
  [
    "Ends when nobody is active",
    "yes, with warnings",
    "no",
    "only until somebody joins",
    "no",
    "fixed time, can be extended",
  ],
  [publicList, "yes", "no", "no", "no", "no"],
  ["Several people on one screen", "no (tmux in it works)", "yes", "yes", "yes", "no"],
  ["Terminal in the browser", "no", "it had one", "no", "yes", "no"],
  [
    "Session survives a cut network",
    "yes, and a restarted relay",
    "yes",
    "no, the job waits for you",
    "yes",
    "no",
  ],
];
