/**
 * Terminal bits: the modes of a person's terminal that a program can leave on, as one number. Pure
 * names; who follows them and who puts them off are others. From xterm's ctlseqs.
 */

/** Modes that are on, as bits; the cursor being saved counts as one, for each of the two screens. */
export const mode = {
  /** ?47 or ?1047: the other screen, left without putting the cursor back. */
  alternate: 1 << 0,
  /** ?1049: the other screen, with the cursor kept for the way back. */
  alternateKept: 1 << 1,
  /** DECSTBM has been used, be it for the whole screen. */
  region: 1 << 2,
  /** DECOM, ?6: rows are counted within the region. */
  origin: 1 << 3,
  /** DECSC, ?1048 or SCOSC, not yet followed by their opposite, on the main screen. */
  savedOnMain: 1 << 4,
  savedOnAlternate: 1 << 5,
  /** ?9, ?1000 to ?1003. */
  mouse: 1 << 6,
  /** ?1005, ?1006, ?1015, ?1016: how the mouse is told. */
  mouseForm: 1 << 7,
  /** ?1004 */
  focus: 1 << 8,
  /** ?2004 */
  paste: 1 << 9,
  /** ?25 reset. */
  cursorHidden: 1 << 10,
  /** ?1 */
  cursorKeys: 1 << 11,
  /** DECKPAM or ?66. */
  keypad: 1 << 12,
  /** xterm's `CSI > 4 ; n m`. */
  otherKeys: 1 << 13,
  /** kitty's keyboard, `CSI > n u`. */
  kittyKeys: 1 << 14,
  /** DECSCUSR, `CSI n SP q`. */
  cursorShape: 1 << 15,
  /** IRM, 4. */
  insert: 1 << 16,
  /** ?7 reset. */
  noWrap: 1 << 17,
  /** ?2026: drawn only when it is over. */
  synchronized: 1 << 18,
  /** ?5 */
  reverse: 1 << 19,
} as const;

export const onAlternate = mode.alternate | mode.alternateKept;

/** The bit of a DEC private mode by its number; 0 for those that are not followed. */
export function bitOf(number: number): number {
  switch (number) {
    case 47:
    case 1047:
      return mode.alternate;
    case 1049:
      return mode.alternateKept;
    case 1:
      return mode.cursorKeys;
    case 5:
      return mode.reverse;
    case 6:
      return mode.origin;
    case 7:
      return mode.noWrap;
    case 25:
      return mode.cursorHidden;
    case 66:
      return mode.keypad;
    case 9:
    case 1000:
    case 1001:
    case 1002:
    case 1003:
      return mode.mouse;
    case 1004:
      return mode.focus;
    case 1005:
    case 1006:
    case 1015:
    case 1016:
      return mode.mouseForm;
    case 2004:
      return mode.paste;
    case 2026:
      return mode.synchronized;
    default:
      return 0;
  }
}

/** Those whose bit means that the mode is reset. */
export const invertedBits = mode.noWrap | mode.cursorHidden;
