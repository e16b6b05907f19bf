/**
 * Network: the addresses of this machine, to be compared with those of before. It knows no connection.
 */
import { networkInterfaces } from "node:os";

/** All that others could see of it, as one text. */
export function networkNow(): string {
  const all = Object.values(networkInterfaces()).flatMap((of) => of ?? []);
  return all
    .filter(({ internal }) => !internal)
    .map(({ address }) => address)
    .sort()
    .join();
}
