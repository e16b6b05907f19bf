/** Version: this release's number, from package.json, found from the sources and from dist alike. */
import { readFileSync } from "node:fs";

function read(): string {
  for (const up of ["../../package.json", "../../../package.json"]) {
    try {
      return JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8")).version;
    } catch {
      // not there: one folder further up, since dist adds a level
    }
  }
  return "0.0.0";
}

export const version: string = read();
