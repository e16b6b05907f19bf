/**
 * Trace: every message between actors as one debug line. The only place that logs transitions.
 */
import type { InspectionEvent } from "xstate";
import type { Log } from "./ports.ts";

/** For `createActor`'s `inspect`. Free of cost unless the log's level is debug. */
export function trace(log: Log): (inspected: InspectionEvent) => void {
  return (inspected) => {
    if (inspected.type !== "@xstate.event") return;
    log.debug({ actor: inspected.actorRef.sessionId, event: inspected.event.type }, "event");
  };
}
