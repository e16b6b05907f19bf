/** SYMLINK's two orders: the link that was asked for, whatever the client is called. */
import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codes, string, types } from "../../../../src/io/agent/sftp/wire.ts";
import { meet } from "../../../support/sftp-peer.ts";

/** The order in which each sends the paths to a server that is not called OpenSSH. */
const clients = [
  ["AsyncSSH_2.10.1", "link"],
  ["ssh2js1.17.0", "link"],
  ["libssh_0.10.6", "link"],
  ["libssh-0.6.3", "link"],
  ["WinSCP_release_6.3.3", "link"],
  ["OpenSSH_9.2p1", "target"],
  ["paramiko_2.12.0", "target"],
  ["PuTTY_Release_0.78", "target"],
  ["libssh2_1.10.0", "target"],
  ["JSCH_0.2.17", "target"],
  ["SSHJ_0.38.0", "target"],
  ["APACHE-SSHD-2.12.0", "target"],
  ["phpseclib_3.0", "target"],
  ["Go", "target"],
  ["rclone/v1.60.1", "target"],
  ["dropbear_2022.83", "target"],
  ["", "target"],
] as const;

for (const [software, first] of clients)
  test(`${software || "no name"} sends the ${first} first`, async (t) => {
    const peer = await meet(t, { software });
    const paths = first === "link" ? ["link", "the-target"] : ["the-target", "link"];
    assert.equal(await peer.status(types.SYMLINK, ...paths.map(string)), codes.OK);
    assert.equal(readlinkSync(join(peer.home, "link")), "the-target");
  });
