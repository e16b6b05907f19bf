/**
 * Young space: loaded before anything else, it keeps V8's room for young objects at four megabytes, each
 * of its two halves.
 *
 * That room would grow to 16 when many come at once, as after a restart of the relay; and in one that is
 * seldom full nothing is ever collected again, for V8 takes a process that promotes nothing for one that
 * has no time (`Heap::HasLowAllocationRate`). And an idle relay's shrinks to one, where each event then
 * costs half as much again. It can only be kept from growing, or not.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

const halfBytes = 4 * 1024 * 1024;

let factor = 0;
/** V8 multiplies by it when what lives does not fit. */
function limitGrowth(): void {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
  const wanted = (space?.space_size ?? 0) < 2 * halfBytes ? 2 : 1;
  if (wanted === factor) return;
  factor = wanted;
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

limitGrowth();
new PerformanceObserver(limitGrowth).observe({ entryTypes: ["gc"] });
