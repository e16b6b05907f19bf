/** Clock: which timers the tests' own clock keeps, when it is to do without the links' pings. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { confineTimers } from "../src/actors/confine.ts";
import { pingMs, pingTurnMs, silentMs } from "../src/io/protocol/wire.ts";
import { openPinger } from "../src/io/websocket/keep-alive.ts";
import { handClock } from "./support/clock.ts";

for (const pings of [true, false])
  test(`with pings ${pings ? "on" : "off"}, timers that are merely as long as theirs fire`, async () => {
    const clock = handClock({ pings });
    after(clock.stop);
    let [written, rang] = [0, 0];
    const pinger = openPinger(
      confineTimers(clock, () => {}),
      () => {},
    );
    pinger.add({
      ...{ isPaused: false, bufferedAmount: 0, bytesRead: 0, readyState: 1, OPEN: 1 },
      write: () => {
        written += 1;
      },
      terminate: () => {},
    });
    for (const ms of [pingMs, pingTurnMs])
      clock.setTimeout(() => {
        rang += 1;
      }, ms);
    await clock.advance(silentMs);
    assert.deepEqual([written > 0, rang], [pings, 2]);
  });
