/**
 * Holder: who an address belongs to, as far as an address tells. Whatever is counted by address is
 * counted by this, so that nobody is twenty by writing it in twenty ways. It counts nothing itself.
 */
import { isIPv6 } from "node:net";
import type { Holder } from "../machines/vocabulary.ts";

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  // A URL has the shortest form (RFC 5952), without a zone.
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, "")}]`);
  const [head = "", tail] = hostname.slice(1, -1).split("::");
  const groups = (text = ""): string[] => (text === "" ? [] : text.split(":"));
  const gap = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  return [...groups(head), ...new Array<string>(gap).fill("0"), ...groups(tail)];
}

/**
 * Of IPv6 the first 64 bits, for whoever has one of those has them all; an IPv4 address that is
 * written as IPv6 (RFC 4291 2.5.5.2) is that IPv4 address. What is no address is its own holder.
 */
export function holderOf(address: string): Holder {
  if (!isIPv6(address)) return address as Holder;
  const groups = groupsOf(address);
  if (groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff")
    return groups
      .slice(6)
      .map((group) => Number.parseInt(group, 16))
      .flatMap((pair) => [pair >> 8, pair & 255])
      .join(".") as Holder;
  return `${groups.slice(0, 4).join(":")}::/64` as Holder;
}
