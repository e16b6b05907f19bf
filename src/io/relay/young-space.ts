/**
 * Young space: loaded before anything else, it keeps V8's room for young objects at a megabyte.
 *
 * That room would grow to 32 MiB when many come at once, as after a restart of the relay; and in one
 * that is seldom full nothing is ever collected again, for V8 takes a process that promotes nothing for
 * one that has no time (`Heap::HasLowAllocationRate`). It can only be kept from growing.
 */
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--semi-space-growth-factor=1");
