/**
 * Network: three network namespaces, a relay's, an agent's and a client's, on one switch whose cables a
 * test can pull without that anybody's own interface goes down. It needs root, and leaves nothing.
 */
import { execFileSync } from "node:child_process";
import { type How, type Program, program } from "./child.ts";

export type Place = "relay" | "agent" | "client";

export interface Network {
  readonly relayAddress: string;
  /** The words before a program's own that start it there. */
  at(place: Place): readonly [string, ...string[]];
  run(place: Place, file: string, args: readonly string[], how?: How): Program;
  /** Nothing comes or goes there any more, and nobody is told. */
  silence(place: Exclude<Place, "relay">): void;
  restore(place: Exclude<Place, "relay">): void;
  /** It has another address from now on, and the old one no more. */
  move(place: Exclude<Place, "relay">): void;
  close(): void;
}

export function network(): Network {
  const name = (place: Place): string => `converge-${place}-${process.pid}`;
  const ip = (...args: string[]): void => void execFileSync("ip", args);
  const places = ["relay", "agent", "client"] as const;
  const made: string[] = [];
  const hosts = { relay: 1, agent: 2, client: 3 };
  const addressOf = (place: Place): string => `10.231.7.${hosts[place]}`;
  const close = (): void => {
    for (const one of made.splice(0)) ip("netns", "del", one);
  };
  try {
    for (const place of places) {
      ip("netns", "add", name(place));
      made.push(name(place));
      ip("-n", name(place), "link", "set", "lo", "up");
    }
    const within = ["-n", name("relay"), "link"];
    ip(...within, "add", "switch", "type", "bridge");
    ip("-n", name("relay"), "addr", "add", `${addressOf("relay")}/24`, "dev", "switch");
    ip(...within, "set", "switch", "up");
    for (const place of ["agent", "client"] as const) {
      ip(...within, "add", place, "type", "veth", "peer", "name", "eth0", "netns", name(place));
      ip(...within, "set", place, "master", "switch", "up");
      ip("-n", name(place), "addr", "add", `${addressOf(place)}/24`, "dev", "eth0");
      ip("-n", name(place), "link", "set", "eth0", "up");
    }
  } catch (error) {
    close();
    throw error;
  }
  const at = (place: Place): readonly [string, ...string[]] => ["ip", "netns", "exec", name(place)];
  return {
    relayAddress: addressOf("relay"),
    at,
    run: (place, file, args, how) => {
      const [first, ...before] = at(place);
      return program(first, [...before, file, ...args], how);
    },
    silence: (place) => ip("-n", name("relay"), "link", "set", place, "nomaster"),
    restore: (place) => ip("-n", name("relay"), "link", "set", place, "master", "switch"),
    move: (place) => {
      const old = addressOf(place);
      hosts[place] += 10;
      ip("-n", name(place), "addr", "del", `${old}/24`, "dev", "eth0");
      ip("-n", name(place), "addr", "add", `${addressOf(place)}/24`, "dev", "eth0");
    },
    close,
  };
}
