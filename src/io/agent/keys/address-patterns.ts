/**
 * Address patterns: the list inside `from="…"` of an authorized key, and whether an address is on it.
 *
 * Follows ssh_config(5) PATTERNS and the CIDR forms of sshd(8). Knows no host names: nothing here
 * asks a name server, so a name matches nobody (as in sshd with its default `UseDNS no`), and a
 * list that would shut a name out is refused, because that promise could not be kept.
 */
import { isIP, SocketAddress } from "node:net";
import { matchesWildcard } from "../../wildcard.ts";

/** Why this list cannot be used, as a clause; null when it can. */
export function faultInPatterns(list: string): string | null {
  for (const item of list.split(",")) {
    const fault = faultInItem(item);
    if (fault !== null) return fault;
  }
  return null;
}

/**
 * Whether `address` (IPv4 or IPv6, a zone is ignored, `::ffff:1.2.3.4` counts as `1.2.3.4`) is on
 * the list. One matching `!item` shuts it out whatever else matches, and lets nobody in by itself.
 * A list with a fault, and anything that is no address, matches nothing.
 */
export function matchesPatterns(list: string, address: string): boolean {
  const plain = canonical(address);
  if (plain === null || faultInPatterns(list) !== null) return false;
  const items = list.split(",");
  const shut = items.filter((item) => item.startsWith("!")).map((item) => item.slice(1));
  const open = items.filter((item) => !item.startsWith("!"));
  return !shut.some((p) => matchesOne(p, plain)) && open.some((p) => matchesOne(p, plain));
}

function faultInItem(item: string): string | null {
  const isNegated = item.startsWith("!");
  const pattern = isNegated ? item.slice(1) : item;
  if (pattern === "") return "it has an empty item";
  if (/[^\w.:*?/-]/.test(pattern)) return `"${pattern}" is no address or pattern`;
  if (pattern.includes("/")) return faultInNetwork(pattern);
  if (isNegated && !looksLikeAddress(pattern)) {
    return `"!${pattern}" is a host name, and host names are not looked up`;
  }
  return null;
}

function faultInNetwork(pattern: string): string | null {
  const { base, family, length } = network(pattern);
  if (family === 0 || length > (family === 4 ? 32 : 128)) return `"${pattern}" is no network`;
  // sshd calls this an inconsistent mask and lets nobody in by such a list.
  if (bitsOf(base).slice(length).includes("1")) {
    return `"${pattern}" has address bits beyond its mask`;
  }
  return null;
}

/** An address, or a wildcard over addresses: digits and dots, or hexadecimal groups. */
function looksLikeAddress(pattern: string): boolean {
  return /^[\d.*?]+$/.test(pattern) || /^(?=.*:)[\da-f:.*?]+$/i.test(pattern);
}

function matchesOne(pattern: string, address: string): boolean {
  if (pattern.includes("/")) {
    const { base, family, length } = network(pattern);
    if (isIP(address) !== family) return false;
    return bitsOf(address).startsWith(bitsOf(base).slice(0, length));
  }
  const exact = canonical(pattern);
  if (exact !== null) return exact === address;
  return matchesWildcard(pattern.toLowerCase(), address);
}

function network(pattern: string): { base: string; family: number; length: number } {
  const [base = "", length = "", ...rest] = pattern.split("/");
  const isPlain = rest.length === 0 && /^\d{1,3}$/.test(length);
  return { base, family: isPlain ? isIP(base) : 0, length: Number(length) };
}

/** The one way to write an address, so that equal addresses are equal texts; null for no address. */
function canonical(address: string): string | null {
  const bare = address.replace(/%.*$/s, "");
  const family = isIP(bare);
  if (family === 0) return null;
  if (family === 4) return bare;
  return new SocketAddress({ address: bare, family: "ipv6" }).address.replace(
    /^::ffff:(?=[\d.]+$)/,
    "",
  );
}

/** The address as 32 or 128 characters of `0` and `1`: a network is then a prefix. */
function bitsOf(address: string): string {
  if (isIP(address) === 4) {
    return address
      .split(".")
      .map((octet) => Number(octet).toString(2).padStart(8, "0"))
      .join("");
  }
  // A URL writes every IPv6 address in hexadecimal groups with at most one "::".
  const [head = "", tail = ""] = new URL(`ws://[${address}]`).hostname.slice(1, -1).split("::");
  const bits = (groups: string): string =>
    groups === ""
      ? ""
      : groups
          .split(":")
          .map((g) => Number.parseInt(g, 16).toString(2).padStart(16, "0"))
          .join("");
  const [front, back] = [bits(head), bits(tail)];
  return front + "0".repeat(128 - front.length - back.length) + back;
}
