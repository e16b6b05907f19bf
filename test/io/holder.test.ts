import assert from "node:assert/strict";
import { test } from "node:test";
import { holderOf } from "../../src/io/holder.ts";

test("the first half of an IPv6 address is its holder, however it is written", () => {
  for (const [address, holder] of [
    ["192.0.2.1", "192.0.2.1"],
    ["unknown", "unknown"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:0DB8:0:0:9:8:7:6", "2001:db8:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["0:0:0:0:0:FFFF:c000:0201", "192.0.2.1"],
  ] as const)
    assert.equal(holderOf(address), holder);
});
