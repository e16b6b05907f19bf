/**
 * Slow lines: how long each address of a name is tried before the next one, for whatever this process
 * connects to. To be imported for its effect by whoever dials.
 */
import { setDefaultAutoSelectFamilyAttemptTimeout } from "node:net";

/**
 * Node gives an address 250 ms, and the last one too, which is too little for a slow line. In this time
 * TCP asks three times (RFC 6298 2.1: again after one second, and after two more).
 */
setDefaultAutoSelectFamilyAttemptTimeout(4_000);
