/** Finding: one thing that the doctor looked at, what is there and, if it is wrong, what to do. */
import { ConvergeError, type ErrorCode, reasonOf } from "../../actors/errors.ts";

export interface Finding {
  readonly name:
    | "URL"
    | "proxy"
    | "DNS"
    | "TLS"
    | "relay"
    | "clock"
    | "websocket"
    | "version"
    | "release"
    | "PATH"
    | "ssh"
    | "keepalive"
    | "agent"
    | "keys";
  readonly state: "ok" | "warn" | "FAIL";
  readonly said: string;
  readonly fix?: string;
  /** Set on a failure: the exit status goes by it. Nothing follows, for it could only fail too. */
  readonly code?: ErrorCode;
}

/** What a failure means to who reads it: the error's first sentence, and what to do in the others. */
export const failed = (name: Finding["name"], error: unknown): Finding => {
  const known =
    error instanceof ConvergeError
      ? error
      : new ConvergeError("CONVERGE_INTERNAL", reasonOf(error));
  const [said = "", ...fix] = known.message.split(/(?<=[.)]) (?=[A-Z])/);
  return { name, state: "FAIL", said, fix: fix.join(" "), code: known.code };
};
