/** Numbers as people read them, in tables and sentences. Pure. */

/** `3 nodes`, `1 node`, `2^57 nodes`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${blocksText(number)} ${number === 1 ? one : many}`
}

/**
 * How many blocks of addresses there are. IPv6 has more than a number is read as, or than a double
 * holds exactly: `2^57`, `about 2^89`. As on the page (ui/model.ts, which imports nothing).
 */
export function blocksText(blocks: number): string {
  if (blocks < 1e9) return String(blocks)
  const power = Math.log2(blocks)
  return Number.isInteger(power) ? `2^${power}` : `about 2^${Math.round(power)}`
}
