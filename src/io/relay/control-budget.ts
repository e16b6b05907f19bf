/**
 * Control budget: how much one holder's agents may say in a second, all together. What is above it is
 * not refused: their links are read later, a few at a time and each in its turn, and nobody else
 * waits. It counts bytes as they come off the sockets, whatever they are, and knows no message.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import type { Holder } from "../../machines/vocabulary.ts";
import { rawOf } from "../websocket/raw-socket.ts";
import { Bucket, type Rate } from "./admission/rates.ts";

/**
 * At once, and in each second. The largest status costs the relay some 2 ms for its 64 KiB; a fleet
 * of thousands that comes back after a restart says less than 1 KiB an agent.
 */
export const budgetBytes = 512 * 1024;
export const budgetPerSecond = 1024 * 1024;
/** What a message costs beside its bytes: a small one is far more work for a byte than a large one. */
export const messageBytes = 512;
/** When so much may be read again, so many links are, those first that wait longest. */
const turnBytes = 64 * 1024;
const turnLinks = 64;
const rate: Rate = { most: budgetBytes, perSecond: budgetPerSecond };
const turnMs = 1_000 * (turnBytes / budgetPerSecond);

interface Account {
  readonly bucket: Bucket;
  readonly reading: Set<WebSocket>;
  readonly waiting: Set<WebSocket>;
  timer: unknown;
}

export interface ControlBudget {
  /** From now on what the link reads is the holder's; what it returns takes as many bytes more. */
  open(holder: Holder, socket: WebSocket): (bytes: number) => void;
}

export function openControlBudget(clock: Clock): ControlBudget {
  const accounts = new Map<Holder, Account>();

  const wait = (account: Account): void => {
    const missingMs = (1_000 * (turnBytes - account.bucket.left)) / budgetPerSecond;
    account.timer ??= clock.setTimeout(
      () => {
        account.timer = null;
        turn(account);
      },
      Math.max(turnMs, missingMs),
    );
  };
  const turn = (account: Account): void => {
    if (account.bucket.left >= turnBytes)
      for (const socket of [...account.waiting].slice(0, turnLinks)) {
        account.waiting.delete(socket);
        account.reading.add(socket);
        socket.resume();
      }
    if (account.waiting.size > 0) wait(account);
  };
  const pay = (account: Account, bytes: number): void => {
    if (account.bucket.pay(bytes) >= 0) return;
    // All of them, or each would be read once more in this very turn of the loop.
    for (const socket of account.reading) {
      socket.pause();
      account.waiting.add(socket);
    }
    account.reading.clear();
    wait(account);
  };

  return {
    open: (holder, socket) => {
      const account: Account = accounts.get(holder) ?? {
        bucket: new Bucket(clock, rate),
        reading: new Set(),
        waiting: new Set(),
        timer: null,
      };
      accounts.set(holder, account);
      const { reading, waiting } = account;
      reading.add(socket);
      pay(account, 0); // in debt it waits like the others
      rawOf(socket)?.on("data", (chunk: Buffer) => pay(account, chunk.length));
      socket.on("close", () => {
        reading.delete(socket);
        waiting.delete(socket);
        if (reading.size + waiting.size > 0) return;
        // Not before it is full again: who comes back at once is not the richer for it.
        const emptyMs = (1_000 * (budgetBytes - account.bucket.left)) / budgetPerSecond;
        clock.setTimeout(() => {
          if (reading.size + waiting.size === 0 && accounts.get(holder) === account)
            accounts.delete(holder);
        }, emptyMs);
      });
      return (bytes) => pay(account, bytes);
    },
  };
}
