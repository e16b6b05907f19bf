/**
 * Collector: how V8 frees the buffers that bytes pass through. It knows nothing of who makes them.
 */
import { setFlagsFromString } from "node:v8";

/**
 * From now on buffers are freed by the thread that made them, and the young ones are looked through
 * by it alone. Each packet of ssh leaves two of 32 KiB behind; other threads that free them take the
 * processor from the session's own programs, and give back memory that no cache holds: half of an
 * agent's processor time went there. To be called once, before anything large is made.
 *
 * Only flags that V8 looks at anew for each collection may be set here: those of marking crash it.
 */
export function freeInPlace(): void {
  setFlagsFromString("--no-concurrent-array-buffer-sweeping");
  setFlagsFromString("--no-parallel-scavenge");
}
