/**
 * Link notice: the one line that wsproxy writes on the terminal of a session whose link is lost. It has
 * seen ciphertext alone and knows of no screen: so the line stands on the last row, the cursor stays
 * where it was, and nothing scrolls. When there is a link again the row is wiped, and the agent lets
 * the programs draw themselves.
 */

/** As much of a terminal as is needed. */
export interface NoticeTerminal {
  /** Now; 0 is not known. */
  readonly columns: number;
  write(text: string): void;
}

export interface LinkNotice {
  lost(): void;
  resumed(): void;
}

const line = "[converge] Connection lost; resuming. To leave: Enter, ~, then a full stop.";
/** DECSC, the last row's first column, EL 2; and DECRC (xterm's ctlseqs). */
const begin = "\x1b7\x1b[999;1H\x1b[2K";
const end = "\x1b8";

export function linkNotice(terminal: NoticeTerminal): LinkNotice {
  return {
    lost: () => {
      const { columns } = terminal;
      const cut = columns > 0 ? line.slice(0, columns - 1) : line;
      terminal.write(`${begin}\x1b[7m${cut}\x1b[0m${end}`);
    },
    resumed: () => terminal.write(begin + end),
  };
}
