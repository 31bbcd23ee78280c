/** Every vendor by its name. Pure. */
import { bird } from './bird.ts'
import { frr } from './frr.ts'
import { gobgp } from './gobgp.ts'
import { openbgpd } from './openbgpd.ts'
import type { Vendor } from './vendor.ts'

export const VENDORS: readonly Vendor[] = [frr, bird, gobgp, openbgpd]
