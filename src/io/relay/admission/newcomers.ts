/**
 * Newcomers: clients of an id of whom its agent has not said that they logged in. Anybody can be one
 * of a public id, so they have a bound, and each holder a share of it. Who has logged in is the
 * agent's guest, and a link that is closing nobody's; neither takes a newcomer's place.
 */
import type { Holder, RendezvousId, Ticket } from "../../../machines/vocabulary.ts";

/** How many of them one id may have, whether they are joined or wait, and of these one holder. */
export interface Crowd {
  readonly perId: number;
  readonly perHolder: number;
}

/** A holder may be a company, or a program that does fifty things at once. */
export const newcomersMost: Crowd = { perId: 200, perHolder: 50 };
/**
 * Those who were in before and lost their link, or say so: an office loses all of its links at once,
 * and none of them may be in the way of the others.
 */
export const returningMost: Crowd = { perId: 600, perHolder: 300 };

/** As much of a link as has to be known. */
interface Link {
  readonly readyState: number;
  readonly OPEN: number;
}

interface Newcomer {
  readonly holder: Holder;
  readonly link: Link;
}

export interface Newcomers {
  /** Whether one more of that holder may come to the id. */
  mayCome(id: RendezvousId, holder: Holder): boolean;
  /** One more; what it returns takes it away again. */
  enter(id: RendezvousId, ticket: Ticket, newcomer: Newcomer): () => void;
  /** The agent of that id let it in; nothing happens when it has no such client. */
  loggedIn(id: RendezvousId, ticket: Ticket): void;
}

export function openNewcomers(most: Crowd): Newcomers {
  const crowds = new Map<RendezvousId, Map<Ticket, Newcomer>>();
  const leave = (id: RendezvousId, ticket: Ticket): void => {
    const crowd = crowds.get(id);
    crowd?.delete(ticket);
    if (crowd?.size === 0) crowds.delete(id);
  };
  return {
    mayCome: (id, holder) => {
      let all = 0;
      let own = 0;
      for (const [ticket, newcomer] of crowds.get(id) ?? []) {
        const { readyState, OPEN } = newcomer.link;
        if (readyState !== OPEN)
          leave(id, ticket); // and it is not looked at again
        else {
          all += 1;
          if (newcomer.holder === holder) own += 1;
        }
      }
      return all < most.perId && own < most.perHolder;
    },
    enter: (id, ticket, newcomer) => {
      const crowd = crowds.get(id) ?? new Map<Ticket, Newcomer>();
      crowds.set(id, crowd.set(ticket, newcomer));
      return () => leave(id, ticket);
    },
    loggedIn: leave,
  };
}
