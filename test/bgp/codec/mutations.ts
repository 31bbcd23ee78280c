/**
 * Messages of every type and shape, and a way to break them: what mutation tests start from.
 */
import { AS_PATH, attribute, MANDATORY, message, NEXT_HOP, NLRI, ORIGIN, update } from './support.ts'

export const SEEDS: readonly Uint8Array[] = [
  message(4, ''),
  message(1, '04 fdf2 005a 0a000001 00'),
  message(1, '04 fde9 005a 0a000002 00'),
  message(
    1,
    '04 5ba0 005a 0a000001 27 02 25 01040002 0001 0200 4600 0600 0901 03 4006 c258 0001 01 80 4104 00011170 0506 0001 0001 0002',
  ),
  message(1, '04 fdf2 005a 0a000001 ff ff 000e 02 000b 4707 0001 01 80 015180 0200'),
  message(3, '06 02 05 68656c6c6f'),
  message(3, '06 09 06 02 02 6f6b'),
  message(3, '06 01 0001 01 00000064'),
  message(5, '0001 00 01'),
  message(5, '0001 01 01'),
  update({}),
  update({ withdrawn: '18 0a0001 19 0a000280 00' }),
  update({
    attributes: `${MANDATORY} 800404 00000064 c00808 fde9000a ffffff01 c00708 00011170 0a000001`,
    nlri: `${NLRI} 20 0a000201`,
  }),
  update({
    attributes: `${ORIGIN} 400206 0202 5ba0 fde9 ${NEXT_HOP} c0110a 0202 00011170 0000fde9 c00706 5ba0 0a000001 c01208 00011170 0a000001`,
    nlri: NLRI,
  }),
  update({
    attributes: `${attribute('800e', '0002 01 10 fd000000000000000000000000000001 00 40 fd00000100000002')} ${ORIGIN} ${AS_PATH} c0200c 000111700000000100000002`,
  }),
  update({
    attributes: `${attribute('800e', '0001 01 10 fd000000000000000000000000000001 00 18 0a0001')} ${ORIGIN} ${AS_PATH} c01008 0002fde90000000a`,
  }),
  update({ attributes: `800f0c 0002 01 40 fd00000100000002` }),
  update({
    attributes: `${MANDATORY} 400504 00000064 800904 0a000001 800a08 0a0000010a000002 400600 c02304 0000fde9`,
    nlri: NLRI,
  }),
]

/**
 * One to four changes; the length field is put right most of the time, so that what is behind it is
 * tried.
 */
export function mutate(seed: Uint8Array, below: (limit: number) => number): Uint8Array {
  let wire = new Uint8Array(seed)
  for (let change = 1 + below(4); change > 0; change--) {
    const at = 19 + below(Math.max(1, wire.length - 19))
    const kind = below(6)
    if (kind === 0) wire[at] = below(256)
    else if (kind === 1) wire[at] = (wire[at] ?? 0) ^ (1 << below(8))
    else if (kind === 2) wire = wire.slice(0, at)
    else if (kind === 3)
      wire = Uint8Array.of(
        ...wire.subarray(0, at),
        ...Array.from({ length: 1 + below(8) }, () => below(256)),
        ...wire.subarray(at),
      )
    else if (kind === 4) wire = Uint8Array.of(...wire.subarray(0, at), ...wire.subarray(at + 1 + below(4)))
    else wire[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)] ?? 0
  }
  if (wire.length >= 19 && below(20) !== 0) {
    wire[16] = wire.length >> 8
    wire[17] = wire.length & 0xff
  }
  if (wire.length >= 19 && below(50) === 0) wire[below(19)] = below(256)
  return wire
}
