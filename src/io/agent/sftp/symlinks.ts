/**
 * Symlinks: which of SYMLINK's two paths comes first, by the name of the client.
 *
 * The draft has the link first, OpenSSH from the start the target (PROTOCOL, section 4.1), and no
 * client is told which a server wants. Some look for OpenSSH's name, which ours is not, and send
 * the draft's order otherwise; all others send what OpenSSH takes, or have their callers do so.
 */

/**
 * What clients that decide by the server's name call themselves (RFC 4253 4.2), from their sources:
 * asyncssh `sftp.py` (_nonstandard_symlink_impls), ssh2 for Node `protocol/SFTP.js` (RE_OPENSSH),
 * libssh `sftp_symlink` (ssh_get_openssh_version), WinSCP `CreateLink` (sbSymlink). libssh2 is
 * another, and not one of them.
 */
const byTheName = /^(?:AsyncSSH_|ssh2js|libssh[-_]|WinSCP)/;

/** Whether the link is the first of the two paths that this client sends; if not, the target is. */
export function sendsLinkFirst(software: string): boolean {
  return byTheName.test(software);
}
