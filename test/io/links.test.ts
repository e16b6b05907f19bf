/** The relay's links: each has a name for as long as its websocket lives, and none after. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { openLinks } from "../../src/io/links.ts";
import { closeCodes } from "../../src/io/wire.ts";
import { handClock } from "../support/clock.ts";
import { until } from "../support/until.ts";

test("a link that is closed, by either side, is forgotten, and counts nothing any more", async () => {
  const clock = handClock();
  const links = openLinks(clock);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const far: WebSocket[] = [];
  for (const add of [links.addControl, (socket: WebSocket) => links.addData(socket, true)]) {
    const arrival = once(server, "connection");
    far.push(new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`));
    const [near] = (await arrival) as [WebSocket];
    add(near);
  }
  const [control, data] = links.all();
  assert.ok(control && data && control !== data);
  far[0]?.close();
  await until("the first is forgotten", () => links.all().length === 1);
  links.shut(data, closeCodes.done, "");
  await until("none is left", () => links.all().length === 0);
  assert.deepEqual(links.countsOf(data), { clientBytes: 0, agentBytes: 0 });
  await assert.rejects(links.splice(data, control), /closed before it was joined/);
  server.close();
  clock.stop();
});
