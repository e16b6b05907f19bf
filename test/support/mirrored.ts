/**
 * Mirrored: a relay, and a mirror in front of it that notes and may damage what is fetched, for all
 * tests of a file that imports it.
 */
import { after, afterEach, before } from "node:test";
import { endPrograms } from "./child.ts";
import { type Mirror, openMirror } from "./mirror.ts";
import { type RelayProgram, relayProgram } from "./programs.ts";

export let relay: RelayProgram;
export let mirror: Mirror;

before(async () => {
  relay = await relayProgram();
  mirror = await openMirror(relay);
});
afterEach(() => {
  mirror.fetched = [];
  mirror.isDamaging = false;
});
after(async () => {
  mirror.close();
  await endPrograms();
});
