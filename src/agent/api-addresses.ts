/**
 * Which addresses count as the API server's. What the kubeconfig names as an address does. What a
 * name resolves to, and what a connection reaches, does once it was there before the server
 * answered and still is after it, and from then on for a week. In an outage a name server may say
 * anything (a router that leads every name to its own page, a captive portal): an address that
 * nobody knew before counts for some minutes, in which contact has to come of it, or pods whose
 * podCIDR holds it would be cut off for nothing. Pure; times are Clock.now() milliseconds.
 */

export interface ApiAddresses {
  /** When each was last seen. */
  readonly known: ReadonlyMap<string, number>
  /** Since when each is there that the server has not answered with since. */
  readonly doubtful: ReadonlyMap<string, number>
}

export interface SeenAddresses {
  /** Written as addresses. */
  readonly written: readonly string[]
  /** Names resolve to them, or connections reach them. */
  readonly found: readonly string[]
  /** When the server answered last, if it ever did. */
  readonly contactAt: number | undefined
  readonly now: number
}

/** An address that was not seen for so long is not one any more. */
const FORGET_MILLISECONDS = 7 * 24 * 3600_000
/** Whoever answered within this time is in contact. */
const CONTACT_MILLISECONDS = 600_000
/** How long one that is doubtful counts, and after how long it may once more. */
const TRIAL_MILLISECONDS = 180_000
const AGAIN_MILLISECONDS = 24 * 3600_000

export function nextAddresses(before: ApiAddresses, { written, found, contactAt, now }: SeenAddresses): ApiAddresses {
  const isProven = (address: string) => {
    const since = before.doubtful.get(address)
    return since !== undefined && contactAt !== undefined && contactAt > since && now >= since
  }
  const certain = [...written, ...found.filter(address => before.known.has(address) || isProven(address))]
  const known = new Map([...before.known, ...certain.map(address => [address, now] as const)])
  // only who sees the ones of today forgets those of the past: the clock may have jumped
  const inContact = contactAt !== undefined && age(contactAt, now) < CONTACT_MILLISECONDS
  if (inContact) for (const [address, seen] of known) if (now - seen > FORGET_MILLISECONDS) known.delete(address)
  const doubtful = new Map(
    [...before.doubtful].filter(([address, since]) => !known.has(address) && age(since, now) < AGAIN_MILLISECONDS),
  )
  for (const address of found) if (!known.has(address) && !doubtful.has(address)) doubtful.set(address, now)
  return { known, doubtful }
}

/** Those that count now. */
export function countingAddresses({ known, doubtful }: ApiAddresses, now: number): readonly string[] {
  const onTrial = [...doubtful].filter(([, since]) => age(since, now) < TRIAL_MILLISECONDS)
  return [...known.keys(), ...onTrial.map(([address]) => address)]
}

/** Where the clock was set back nobody knows: it is over. */
function age(since: number, now: number): number {
  return now < since ? Number.POSITIVE_INFINITY : now - since
}
