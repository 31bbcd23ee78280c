/**
 * Chance out of one seed, keyed: a draw depends on the seed and on what it is for, not on how many
 * draws came before. So an event that is left out of a script moves no other one, and shortening a
 * failure keeps what it is about.
 */

/** 32 bits of a text, well mixed (FNV-1a with the finisher of MurmurHash3). */
export function hashText(text: string, seed = 0x811c9dc5): number {
  let hash = seed >>> 0
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0
  return mix(hash)
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** A stream of numbers of its own (mulberry32), begun from a seed and a name. */
export class Random {
  #state: number

  constructor(seed: number, name: string) {
    this.#state = hashText(name, (seed ^ 0x9e3779b9) >>> 0)
  }
  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000
  }
  /** A whole number from `least` to `most`, both possible. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }
  chance(share: number): boolean {
    return this.next() < share
  }
  pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.next() * choices.length)]
    if (choice === undefined) throw new Error('nothing to choose from')
    return choice
  }
}
