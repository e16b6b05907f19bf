/**
 * Key exchanges stand in three places: what the agent offers, what it has beside ssh2's own, and what
 * wsproxy can check a host key in. What is offered and cannot be checked would end every pinned login.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { algorithms } from "../../src/io/agent/ssh/algorithms.ts";
import { checkable } from "../../src/io/client/host-key-pin.ts";
import { offerPostQuantum } from "../../src/io/ssh2/post-quantum.ts";
import { lines } from "../support/lines.ts";

test("wsproxy can check the host key in each key exchange that the agent offers", async () => {
  const offered = [...(await offerPostQuantum(lines())), ...algorithms.kex];
  assert.equal(offered.length, 6);
  assert.deepEqual(
    offered.filter((name) => !checkable.has(name)),
    [],
  );
});
